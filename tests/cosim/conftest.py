from collections.abc import Callable

import pytest


@pytest.fixture(scope="session", autouse=True)
def _needs_verilator(need):
    need("verilator")


@pytest.fixture
def run(tmp_path, need) -> Callable[..., None]:
    """Build a top for cocotb, or take it from the cache, and run a bench on it."""
    need("cocotb")
    from summand.cosim import build_bench, run_cocotb

    def build_and_run(top, name: str, module: str, seed: int = 1) -> None:
        bench = build_bench(top, name=name, config=top.config)
        run_cocotb(bench, module, folder=tmp_path, seed=seed)

    return build_and_run
