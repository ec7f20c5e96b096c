"""The register map, as data: gateware, C header, manual and driver read it from here."""

import enum
from dataclasses import dataclass

from summand.isa.errors import SummandError

__all__ = [
    "CONTROL_REGISTERS",
    "IDENTITY",
    "PLAYER_REGISTERS",
    "REGISTERS",
    "STREAM_VERSION",
    "Access",
    "Register",
    "register",
]

#: ``SMND`` in ASCII, little-endian.
IDENTITY = int.from_bytes(b"SMND", "little")

#: Version of the stream and of this map.
STREAM_VERSION = 1


class Access(enum.Enum):
    """The bus's access to a register."""

    RO = "read only"
    #: Writing 1 to bit 0 starts an action; reads give 0.
    PULSE = "write 1 to act"
    #: Reads give what was written last; 0 at power-up. A reset of the engine leaves it.
    RW = "read and write"


@dataclass(frozen=True, kw_only=True)
class Register:
    """A 32-bit register at a byte offset."""

    name: str
    offset: int
    access: Access
    doc: str


_Described = tuple[tuple[str, Access, str], ...]

_ENGINE: _Described = (
    ("identity", Access.RO, "0x444e4d53, ASCII SMND."),
    ("version", Access.RO, "Version of the stream format and of this map."),
    ("digest_lo", Access.RO, "Configuration digest, bits 31 to 0."),
    ("digest_hi", Access.RO, "Configuration digest, bits 63 to 32."),
    (
        "reset",
        Access.PULSE,
        (
            "Soft reset: drops the command in progress and all output, clears status and "
            "counters. All memories are undefined after it."
        ),
    ),
    (
        "status",
        Access.RO,
        "Bit 0: busy. Bits 15 to 8: error code, held until reset.",
    ),
    ("commands", Access.RO, "Commands started since reset."),
    ("cycles", Access.RO, "Clock cycles since reset."),
    ("work", Access.RO, "Cycles that took a beat of plane words."),
    ("load", Access.RO, "Cycles that took a payload beat which is no weight."),
    ("header", Access.RO, "Cycles that took or decoded a header or a segment table."),
    ("stream", Access.RO, "Cycles that waited for the input stream."),
    ("table", Access.RO, "Cycles in which plane words waited for look-up tables."),
    ("drain", Access.RO, "Cycles in which a command waited for results to leave."),
    ("output", Access.RO, "The same, while the output stream was blocked."),
)

_PLAYER: _Described = (
    (
        "player_status",
        Access.RO,
        (
            "Bit 0: an item is under way. Bit 1: the memory has accesses under way. "
            "Bits 15 to 8: error code, held until reset."
        ),
    ),
    ("player_items", Access.RO, "Items finished since reset; a refused one is not."),
    ("player_crc", Access.RO, "CRC-32 of the last finished CRC item's beats."),
    ("memory_beats", Access.RO, "Size of the memory, beats."),
    ("epoch_lo", Access.RW, "What the memory holds, bits 31 to 0; the host's to choose."),
    ("epoch_hi", Access.RW, "What the memory holds, bits 63 to 32."),
    (
        "base_lo",
        Access.RW,
        "Where the memory begins on an AXI bus, bytes, bits 31 to 0; a multiple of 4096.",
    ),
    ("base_hi", Access.RW, "Where the memory begins on an AXI bus, bits 63 to 32."),
)


_CONTROL: _Described = (
    (
        "control_address",
        Access.RW,
        "Byte offset of a word among the memory controller's registers.",
    ),
    (
        "control_data",
        Access.RW,
        "That word; reads and writes end when the controller has done them.",
    ),
)


def _map(described: _Described, first: int = 0) -> tuple[Register, ...]:
    return tuple(
        Register(name=name, offset=4 * (first + i), access=access, doc=doc)
        for i, (name, access, doc) in enumerate(described)
    )


#: An engine's.
REGISTERS = _map(_ENGINE)
#: Those that follow where a player is in front of the engine.
PLAYER_REGISTERS = _map(_PLAYER, len(REGISTERS))
#: Those of the way to a memory controller that the host initialises, on boards that have one.
CONTROL_REGISTERS = _map(_CONTROL, len(REGISTERS) + len(PLAYER_REGISTERS))

_ALL = (*REGISTERS, *PLAYER_REGISTERS, *CONTROL_REGISTERS)


def register(name: str) -> Register:
    """Return the register called ``name``, of an engine or of what may stand beside it.

    Raises
    ------
    SummandError
        If there is none.
    """
    for found in _ALL:
        if found.name == name:
            return found
    known = ", ".join(r.name for r in _ALL)
    raise SummandError(f"there is no register {name!r}; there are {known}")
