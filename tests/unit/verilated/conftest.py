from collections.abc import Callable

import pytest

from summand.isa import EngineConfig


@pytest.fixture(scope="session")
def config(need: Callable[[str], None]) -> EngineConfig:
    """A small engine with a simulator; skips where none can be built."""
    need("verilator")
    return EngineConfig(
        rows=2,
        cols=2,
        depth=16,
        stream_bits=32,
        acc_depth=16,
        act_depth=4,
        requant_depth=16,
        shift=4,
    )
