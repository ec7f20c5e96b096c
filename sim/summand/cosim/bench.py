"""A built simulator that runs cocotb tests."""

import enum
from dataclasses import dataclass
from pathlib import Path

from summand.isa import EngineConfig

__all__ = ["Bench", "Simulator"]


class Simulator(enum.Enum):
    """Programs that simulate Verilog for cocotb; the values are cocotb's names."""

    #: Compiles to C++; two states, cycle by cycle.
    VERILATOR = "verilator"
    #: Interprets events; four states, so a signal that nothing has set is X.
    ICARUS = "icarus"


@dataclass(frozen=True)
class Bench:
    """A simulator that runs cocotb tests.

    Parameters
    ----------
    name : str
        The top module.
    config : EngineConfig
        The configuration that it was generated for.
    simulator : Simulator
        The program that runs it.
    executable : Path
        The built simulator.
    """

    name: str
    config: EngineConfig
    simulator: Simulator
    executable: Path

    @property
    def file_name(self) -> str:
        """Name that cocotb's runner expects the executable to have in the folder of a run."""
        return "sim.vvp" if self.simulator is Simulator.ICARUS else self.name
