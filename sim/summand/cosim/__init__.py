"""cocotb co-simulation: runner, drivers and benches."""

from summand.cosim.bench import Bench, Simulator
from summand.cosim.build import build_bench
from summand.cosim.icarus import Standard, build_icarus
from summand.cosim.runner import CosimError, run_cocotb

__all__ = [
    "Bench",
    "CosimError",
    "Simulator",
    "Standard",
    "build_bench",
    "build_icarus",
    "run_cocotb",
]
