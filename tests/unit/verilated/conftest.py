import pytest

from summand.isa import EngineConfig
from summand.verilated import ToolError, find_verilator


@pytest.fixture(scope="session")
def config() -> EngineConfig:
    """A small engine with a simulator; skips where none can be built."""
    try:
        find_verilator()
    except ToolError as e:
        pytest.skip(str(e))
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
