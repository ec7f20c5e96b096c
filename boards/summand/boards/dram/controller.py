"""LiteDRAM's controller of a board's memory: Verilog, and all that its users must know."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from summand.boards.dram.record import BoardDram
from summand.boards.litex import generated
from summand.families.parts import FpgaChip
from summand.isa import ConfigError
from summand.rtl.memory.native import NativePort

if TYPE_CHECKING:
    from summand.boards.board import Board

__all__ = [
    "MODULE",
    "ControlRegister",
    "DramController",
    "InitialStep",
    "controller_of",
    "generate_controller",
]

#: Name of the controller's module.
MODULE = "summand_dram"

_GENERATOR = Path(__file__).with_name("generator.py")


@dataclass(frozen=True, kw_only=True)
class ControlRegister:
    """A register on the control bus.

    Parameters
    ----------
    offset : int
        Of its first word, in bytes.
    bits : int
        Its width. Where that is more than 32, words of 32 bits follow each other, the highest
        first.
    """

    offset: int
    bits: int

    @property
    def words(self) -> int:
        """How many words it takes."""
        return -(-self.bits // 32)


@dataclass(frozen=True, kw_only=True)
class InitialStep:
    """A step of a memory's initialisation.

    Parameters
    ----------
    what : str
        For people.
    control : bool
        ``value`` is for the lines that all commands share, such as the clock enable; else it is a
        command with ``address`` and ``bank``.
    address, bank, value : int
        What is put on the memory's lines.
    cycles : int
        Of the user's clock, to wait afterwards.
    """

    what: str
    control: bool
    address: int
    bank: int
    value: int
    cycles: int


@dataclass(frozen=True, kw_only=True)
class DramController:
    """A generated controller.

    Parameters
    ----------
    dram : BoardDram
        What it was made for.
    verilog : str
        Its module :data:`MODULE`. Equal memories and clocks give equal text.
    registers : mapping of str to ControlRegister
        By LiteDRAM's names.
    sequence : tuple of InitialStep
        What makes the memory ready for commands.
    native : NativePort
        Sizes of its user port.
    phases : int
        Commands that the PHY takes in a cycle of the user.
    phase_bits : int
        Data bits of each.
    read_phase, write_phase : int
        Where reads and writes are put.
    bitslips, delays : int
        Settings that the PHY has for the time at which it reads; 0 where it has none.
    """

    dram: BoardDram
    verilog: str
    registers: Mapping[str, ControlRegister]
    sequence: tuple[InitialStep, ...]
    native: NativePort
    phases: int
    phase_bits: int
    read_phase: int
    write_phase: int
    bitslips: int
    delays: int


def generate_controller(
    dram: BoardDram, chip: FpgaChip, *, oscillator_hz: int, simulated: bool = False
) -> DramController:
    """Have LiteDRAM write the controller of ``dram``; takes some seconds.

    Parameters
    ----------
    dram : BoardDram
        The memory.
    chip : FpgaChip
        The FPGA whose pins it is at.
    oscillator_hz : int
        Frequency of the clock that the controller is given.
    simulated : bool
        Put LiteDRAM's model of PHY and memory in place of the pins. It has the PHY's latencies,
        and its clock is the user's.

    Raises
    ------
    SummandError
        If LiteDRAM is not installed, or cannot make it.
    """
    text = generated(
        _GENERATOR,
        {
            "name": MODULE,
            "device": chip.part.name,
            "oscillator_hz": oscillator_hz,
            "simulated": simulated,
            "phy": dram.phy,
            "memtype": dram.kind,
            "clock_hz": dram.clock_hz,
            "data_bits": dram.data_bits,
            "banks": dram.banks,
            "rows": dram.rows,
            "columns": dram.columns,
            "timings": dram.named_timings(),
        },
        needs=("migen", "litex", "litedram"),
        what="the controller of a board's memory",
        failure="LiteDRAM cannot make the controller",
        remedy="; check the board's [memory.dram]",
    )
    made = json.loads(text)
    registers = {
        register.pop("name"): ControlRegister(**register) for register in made.pop("registers")
    }
    native = NativePort(address_bits=made.pop("address_bits"), word_bits=made.pop("word_bits"))
    sequence = tuple(InitialStep(**step) for step in made.pop("sequence"))
    return DramController(dram=dram, registers=registers, native=native, sequence=sequence, **made)


def controller_of(board: "Board", *, simulated: bool = False) -> DramController:
    """Return the controller of a board's memory, as :func:`generate_controller` makes it.

    Raises
    ------
    ConfigError
        If the board's file does not describe its memory.
    """
    if (dram := board.memory.dram) is None:
        raise ConfigError(f"the file of {board.name} has no [memory.dram], its memory in full")
    return generate_controller(
        dram, board.chip, oscillator_hz=board.clock.oscillator_hz, simulated=simulated
    )
