"""What other people's simulators and build tools take with the engine's Verilog."""

from summand.block.bench import BENCH_MODULE, bench_files
from summand.block.fusesoc import core_file

__all__ = ["BENCH_MODULE", "bench_files", "core_file"]
