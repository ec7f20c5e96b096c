"""The runner raises when a test fails or none runs."""

import pytest

from summand.cosim import CosimError, build_bench, run_cocotb
from summand.isa import EngineConfig
from summand.rtl.engine import Engine

pytestmark = [pytest.mark.sim, pytest.mark.needs("cocotb")]

CONFIG = EngineConfig(
    rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, requant_depth=16, shift=4
)

FAILING = """
import cocotb

@cocotb.test()
async def fails(dut):
    assert dut.busy.value == 2
"""


@pytest.fixture
def bench():
    return build_bench(Engine(CONFIG), name="engine", config=CONFIG)


def test_failing_test_fails(bench, tmp_path, monkeypatch):
    (tmp_path / "failing_bench.py").write_text(FAILING)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CosimError, match="failing_bench: 1 of 1 cocotb tests failed"):
        run_cocotb(bench, "failing_bench", folder=tmp_path / "run")


def test_run_of_no_tests_fails(bench, tmp_path):
    with pytest.raises(CosimError, match="tb_engine: 0 of 0 cocotb tests failed"):
        run_cocotb(bench, "summand.cosim.tb_engine", folder=tmp_path, tests="no_such_test")
