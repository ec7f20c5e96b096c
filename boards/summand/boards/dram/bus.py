"""What a host needs of the way to a controller's registers."""

from collections.abc import Mapping
from typing import Protocol

from summand.boards.dram.controller import ControlRegister

__all__ = ["ControlBus", "ControlRegisters"]


class ControlBus(Protocol):
    """Reads and writes a controller's words of 32 bits."""

    def read(self, offset: int) -> int:
        """Return the word at a byte offset."""
        ...

    def write(self, offset: int, value: int) -> None:
        """Write the word at a byte offset."""
        ...

    def wait(self, cycles: int) -> None:
        """Let at least so many cycles of the controller's clock pass."""
        ...


class ControlRegisters:
    """A controller's registers by name, whatever their width.

    Parameters
    ----------
    registers : mapping of str to ControlRegister
        Where they are.
    bus : ControlBus
        The way to them.
    """

    def __init__(self, registers: Mapping[str, ControlRegister], bus: ControlBus):
        self._registers = registers
        self._bus = bus

    def __contains__(self, name: str) -> bool:
        return name in self._registers

    def read(self, name: str) -> int:
        """Return a register's value."""
        register, value = self._registers[name], 0
        for n in range(register.words):
            value = value << 32 | self._bus.read(register.offset + 4 * n)
        return value

    def write(self, name: str, value: int) -> None:
        """Set a register; writing any value to one that acts makes it act."""
        register = self._registers[name]
        for n in range(register.words):
            shift = 32 * (register.words - 1 - n)
            self._bus.write(register.offset + 4 * n, value >> shift & 0xFFFFFFFF)

    def wait(self, cycles: int) -> None:
        """Let at least so many cycles pass."""
        self._bus.wait(cycles)
