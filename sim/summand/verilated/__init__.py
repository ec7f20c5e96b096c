"""The generated Verilog, simulated natively by Verilator."""

from summand.verilated.build import engine_verilog
from summand.verilated.device import SimDevice, SimTimeout
from summand.verilated.tools import ToolError, find_verilator

__all__ = ["SimDevice", "SimTimeout", "ToolError", "engine_verilog", "find_verilator"]
