"""The header that begins every command of the input stream."""

import enum
import struct
from dataclasses import dataclass

from summand.isa.beats import pad
from summand.isa.config import EngineConfig
from summand.isa.errors import CommandError, ErrorCode

__all__ = ["CHECK", "HEADER_BYTES", "STORED", "Header", "Op", "fold", "operations"]

#: What the eight little-endian half-words of a header fold to by exclusive or.
CHECK = 0x53D5

HEADER_BYTES = 16

#: The flag of a GEMM whose plane words come from the operand memory.
STORED = 0x80


class Op(enum.IntEnum):
    """Byte 0 of a command header."""

    LOAD = 1
    CAST = 2
    GEMM = 3
    REQUANTISE = 4
    STORE = 5
    FENCE = 6


def operations(config: EngineConfig) -> tuple[Op, ...]:
    """Return the operations that an engine has: CAST only with an operand memory."""
    return tuple(op for op in Op if op != Op.CAST or config.operand_depth)


@dataclass(frozen=True)
class Header:
    """The header's fields: operation, flags, payload length in beats and four arguments.

    ===========  ==============  ==========  ============  =================
    op           a               b           c             d
    ===========  ==============  ==========  ============  =================
    LOAD         first slice     slices      rows          0
    CAST         first tile      tiles       planes, rows  to word
    GEMM         first slice     slices      segments      group, or word
    REQUANTISE   first tile      tiles       rows          to slice
    STORE        first tile      tiles       rows          tag
    FENCE        tag             0           0             0
    ===========  ==============  ==========  ============  =================

    ``flags`` is the number of a GEMM's borders, with :data:`STORED` if its plane words come from
    the operand memory, from word ``d`` on; a CAST's first lane; a STORE's limbs, or its
    :class:`~summand.isa.results.Extremes`; and 0 in the other operations. A CAST's planes are the
    high byte of ``c``. A GEMM's length includes its segment table. The fields may hold anything
    that fits them; :func:`summand.isa.decoding.check_header` says what an engine accepts.
    """

    op: int
    length: int = 0
    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0
    flags: int = 0

    _FORMAT = struct.Struct("<BBHIHHHH")

    def encode(self, config: EngineConfig) -> bytes:
        """Return the header with its checksum, padded to whole beats."""
        fields = (self.length, self.a, self.b, self.c, self.d)
        bare = self._FORMAT.pack(self.op, self.flags, 0, *fields)
        check = CHECK ^ fold(bare)
        return pad(self._FORMAT.pack(self.op, self.flags, check, *fields), config)

    @classmethod
    def decode(cls, raw: bytes) -> "Header":
        """Read 16 bytes; raises :class:`~summand.isa.CommandError` with ``CHECK``."""
        if fold(raw[:HEADER_BYTES]) != CHECK:
            raise CommandError(ErrorCode.CHECK)
        op, flags, _, length, a, b, c, d = cls._FORMAT.unpack(raw[:HEADER_BYTES])
        return cls(op=op, flags=flags, length=length, a=a, b=b, c=c, d=d)


def fold(raw: bytes) -> int:
    """Return the exclusive or of the little-endian half-words of ``raw``."""
    value = 0
    for (half,) in struct.iter_unpack("<H", raw):
        value ^= half
    return value
