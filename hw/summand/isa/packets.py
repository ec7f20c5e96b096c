"""The packets of the output stream: results and completions."""

import enum
import struct
from dataclasses import astuple, dataclass, fields

from summand.isa.beats import beats, pad
from summand.isa.config import EngineConfig
from summand.isa.errors import ErrorCode
from summand.isa.header import HEADER_BYTES
from summand.isa.results import EXTREMES_BYTES, Extremes, result_bytes

__all__ = ["Counters", "Kind", "PacketHeader", "data_packet_bytes", "status_packet_bytes"]


class Kind(enum.IntEnum):
    """Byte 0 of a packet header."""

    DATA = 1
    STATUS = 2


@dataclass(frozen=True)
class PacketHeader:
    """16 bytes, padded to whole beats, in front of every packet.

    ``command`` counts commands since reset from 0; ``length`` is the payload's beats.
    """

    kind: Kind
    status: ErrorCode
    tag: int
    length: int
    command: int

    _FORMAT = struct.Struct("<BBHIII")

    def encode(self, config: EngineConfig) -> bytes:
        """Return the header, padded to whole beats."""
        fixed = (self.kind, self.status, self.tag, self.length, self.command, 0)
        return pad(self._FORMAT.pack(*fixed), config)

    @classmethod
    def decode(cls, raw: bytes) -> "PacketHeader":
        """Read 16 bytes; raises ``ValueError`` for what no engine sends."""
        kind, status, tag, length, command, zero = cls._FORMAT.unpack(raw[:HEADER_BYTES])
        if zero:
            raise ValueError(f"packet header's last word must be 0, not {zero:#x}")
        return cls(Kind(kind), ErrorCode(status), tag, length, command)


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Cycles since reset by what the engine's front did; all but ``cycles`` add up to ``cycles``.

    Each wraps at 2**32; take differences with :meth:`since`.

    Parameters
    ----------
    cycles : int
        All of them.
    work : int
        A beat of plane words was taken.
    load : int
        A payload beat that is no weight was taken: activations, requantise parameters.
    header : int
        A header or a segment table was taken or decoded.
    stream : int
        Nothing arrived on the input stream.
    table : int
        Plane words, or the end of a walk, waited for look-up tables.
    drain : int
        A command waited for results to leave the accumulators.
    output : int
        The same, while the output stream was blocked from outside.
    """

    cycles: int = 0
    work: int = 0
    load: int = 0
    header: int = 0
    stream: int = 0
    table: int = 0
    drain: int = 0
    output: int = 0

    _FORMAT = struct.Struct("<8I")

    def encode(self) -> bytes:
        """Return the 32 bytes of a STATUS packet's payload."""
        return self._FORMAT.pack(*astuple(self))

    @classmethod
    def decode(cls, raw: bytes) -> "Counters":
        """Read 32 bytes."""
        names = [f.name for f in fields(cls)]
        return cls(**dict(zip(names, cls._FORMAT.unpack(raw[:32]), strict=True)))

    def since(self, earlier: "Counters") -> "Counters":
        """Return what was counted after ``earlier``."""
        return Counters(
            **{
                f.name: (getattr(self, f.name) - getattr(earlier, f.name)) % (1 << 32)
                for f in fields(self)
            }
        )

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )


def data_packet_bytes(
    config: EngineConfig,
    *,
    rows: int,
    tiles: int,
    limbs: int = 0,
    extremes: Extremes = Extremes.NONE,
) -> int:
    """Return the size of a STORE's packet, header and padding included."""
    if extremes:
        payload = rows * tiles // config.bin_tiles * beats(EXTREMES_BYTES, config)
    else:
        payload = beats(result_bytes(config, rows=rows, tiles=tiles, limbs=limbs), config)
    return (config.header_beats + payload) * config.beat_bytes


def status_packet_bytes(config: EngineConfig) -> int:
    """Return the size of a STATUS packet, header and padding included."""
    return (config.header_beats + beats(32, config)) * config.beat_bytes
