"""A memory's commands, given by a host through a controller's registers."""

import enum
import random
from collections.abc import Iterable

from summand.boards.dram.bus import ControlBus, ControlRegisters
from summand.boards.dram.controller import DramController, InitialStep

__all__ = ["Command", "HostCommands"]

#: Cycles that suffice between two commands, and from a read to its data, in every memory here.
_SETTLED = 64
#: Cycles that suffice after a step of the initialisation which names fewer: 512 of the memory's
#: clocks, in which it calibrates its drivers and locks its delays.
_CALIBRATED = 512


class Command(enum.IntFlag):
    """Lines of a command, as the controller's registers have them."""

    SELECT = 1
    WRITE = 2
    COLUMN = 4
    ROW = 8
    #: Data go out with it, or come in.
    DATA_OUT = 16
    DATA_IN = 32

    @classmethod
    def activate(cls) -> "Command":
        """Open a row."""
        return cls.SELECT | cls.ROW

    @classmethod
    def precharge(cls) -> "Command":
        """Close it."""
        return cls.SELECT | cls.ROW | cls.WRITE

    @classmethod
    def read(cls) -> "Command":
        """Read from the open row."""
        return cls.SELECT | cls.COLUMN | cls.DATA_IN

    @classmethod
    def write(cls) -> "Command":
        """Write to it."""
        return cls.SELECT | cls.COLUMN | cls.WRITE | cls.DATA_OUT


#: Bit of the shared lines that leaves the memory to the controller.
_HARDWARE = 1
#: Those with which a memory runs: its clock, its termination, no reset.
_RUNNING = 14
#: Address line with which a precharge closes the rows of all banks.
_ALL_BANKS = 1 << 10


class HostCommands:
    """Gives commands to a memory in the controller's place. What is tested is its first word.

    Parameters
    ----------
    controller : DramController
        The controller.
    bus : ControlBus
        The way to its registers.
    """

    def __init__(self, controller: DramController, bus: ControlBus):
        self._controller = controller
        self.registers = ControlRegisters(controller.registers, bus)

    def take(self) -> None:
        """Take the memory from the controller and its users, and reset it, all lines low.

        Its rows are closed first, because on some boards nothing leads to its reset, and open rows
        refuse mode registers.
        """
        self.registers.write("status_done", 0)
        self.registers.write("core_dfii_control", _RUNNING)
        self._place(0, _ALL_BANKS, 0)
        self._command(0, Command.precharge())
        self.registers.write("core_dfii_control", 0)

    def give(self) -> None:
        """Leave the memory to the controller and its users."""
        self.registers.write("core_dfii_control", _HARDWARE)
        self.registers.write("status_done", 1)

    def play(self, sequence: Iterable[InitialStep]) -> None:
        """Give the commands that make the memory ready."""
        for step in sequence:
            self._place(0, step.address, step.bank)
            if step.control:
                self.registers.write("core_dfii_control", step.value)
            else:
                self._command(0, Command(step.value))
            self.registers.wait(max(step.cycles, _CALIBRATED))
        for phase in range(self._controller.phases):
            self._place(phase, 0, 0)

    def _place(self, phase: int, address: int, bank: int) -> None:
        self.registers.write(f"core_dfii_pi{phase}_address", address)
        self.registers.write(f"core_dfii_pi{phase}_baddress", bank)

    def _command(self, phase: int, command: Command) -> None:
        self.registers.write(f"core_dfii_pi{phase}_command", command)
        self.registers.write(f"core_dfii_pi{phase}_command_issue", 1)
        self.registers.wait(_SETTLED)

    def patterns(self, count: int) -> list[list[int]]:
        """Return words to test with, one for each phase; the second is the first one's inverse."""
        rng = random.Random(count)
        bits, phases = self._controller.phase_bits, range(self._controller.phases)
        found: list[list[int]] = []
        while len(found) < count:
            word = [rng.getrandbits(bits) for _ in phases]
            found += [word, [~part & (1 << bits) - 1 for part in word]]
        return found[:count]

    def wrong(self, pattern: list[int]) -> int:
        """Write a word and read it again; return the bits of any phase that came back wrong."""
        phases = range(self._controller.phases)
        self._command(0, Command.activate())
        for phase in phases:
            self.registers.write(f"core_dfii_pi{phase}_wrdata", pattern[phase])
        self._command(self._controller.write_phase, Command.write())
        self._command(self._controller.read_phase, Command.read())
        self._command(0, Command.precharge())
        wrong = 0
        for phase in phases:
            wrong |= self.registers.read(f"core_dfii_pi{phase}_rddata") ^ pattern[phase]
        return wrong

    def lanes(self, bits: int) -> set[int]:
        """Return the byte lanes to which ``bits`` of a phase's word belong."""
        lanes = self._controller.dram.data_bits // 8
        return {n // 8 % lanes for n in range(self._controller.phase_bits) if bits >> n & 1}
