"""cocotb co-simulation: runner, drivers and benches."""

from summand.cosim.build import Bench, build_bench
from summand.cosim.runner import CosimError, run_cocotb

__all__ = ["Bench", "CosimError", "build_bench", "run_cocotb"]
