from collections.abc import Callable

import pytest

from summand.verilated import ToolError, find_verilator


@pytest.fixture(scope="session", autouse=True)
def _needs_verilator():
    try:
        find_verilator()
    except ToolError as e:
        pytest.skip(str(e))


@pytest.fixture
def run(tmp_path) -> Callable[..., None]:
    """Build a top for cocotb, or take it from the cache, and run a bench on it."""
    pytest.importorskip("cocotb_tools")
    from summand.cosim import build_bench, run_cocotb

    def build_and_run(top, name: str, module: str, seed: int = 1) -> None:
        bench = build_bench(top, name=name, config=top.config)
        run_cocotb(bench, module, folder=tmp_path, seed=seed)

    return build_and_run
