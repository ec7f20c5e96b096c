"""The segment table of a GEMM."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from summand.isa.beats import beats
from summand.isa.config import EngineConfig
from summand.isa.encodings import PLANE_WORDS, Encoding, SparseBlocks
from summand.isa.errors import CommandError, ErrorCode
from summand.isa.limits import PLANES

__all__ = [
    "SEGMENT_BYTES",
    "Segment",
    "check_segments",
    "decode_segments",
    "segment_beats",
]

SEGMENT_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A run of output tiles of one width within a GEMM's walk.

    Parameters
    ----------
    tile : int
        First accumulator tile; not before the end of the segment before.
    tiles : int
        Tiles of ``cols`` output features.
    planes : int
        Bit-planes of each weight, 1 to 8.
    clear : bool
        Start from zero at the command's first slice instead of adding to what is there.
    shift : bool
        Shift the accumulators left by ``config.shift`` before the command's first slice adds.
    scaled : bool
        Multiply slice sums by the group's scales.
    half_step : bool
        Its weights are ``2 * q + 1``, with ``q`` what the planes hold.
    kept : int
        Of every ``config.sparse_block`` weights of consecutive inputs at most so many are not zero,
        and just these are streamed; 0 in a dense segment.
    """

    tile: int
    tiles: int
    planes: int
    clear: bool = False
    shift: bool = False
    scaled: bool = False
    half_step: bool = False
    kept: int = 0

    _FORMAT = struct.Struct("<HHBBBB")

    @property
    def end(self) -> int:
        """The tile after the last."""
        return self.tile + self.tiles

    @property
    def encoding(self) -> Encoding:
        """The encoding of its weights."""
        return SparseBlocks(kept=self.kept) if self.kept else PLANE_WORDS

    @property
    def words(self) -> int:
        """Plane words of this segment that enter the array in every slice."""
        return self.tiles * self.planes

    def beats(self, config: EngineConfig) -> int:
        """Return the beats that this segment's weights take in every slice."""
        return self.encoding.beats(self.tiles, self.planes, config)

    def validate(self, config: EngineConfig, *, after: int = 0, stored: bool = False) -> None:
        """Raise :class:`~summand.isa.CommandError` if the engine refuses this segment.

        ``after`` is the end of the segment before: tiles ascend and never come twice, because an
        accumulator cannot be added to again before its last addition has been written. ``stored``
        says that the plane words come from the operand memory, which holds neither scales nor
        sparse weights.
        """
        if (
            (stored and (self.scaled or self.kept))
            or (self.shift and not config.shift)
            or (self.scaled and not config.scale_bits)
            or (self.half_step and (self.kept or not config.half_steps))
            or (self.kept and self.kept >= config.sparse_block)
        ):
            raise CommandError(ErrorCode.RESERVED)
        if self.tiles < 1 or self.tile < after or self.end > config.acc_depth:
            raise CommandError(ErrorCode.TILES)
        if self.planes not in PLANES:
            raise CommandError(ErrorCode.SEGMENTS)

    def encode(self) -> bytes:
        """Return the 8-byte descriptor."""
        flags = self.clear | self.shift << 1 | self.scaled << 2 | self.half_step << 3
        return self._FORMAT.pack(self.tile, self.tiles, self.planes, flags, self.kept, 0)

    @classmethod
    def decode(cls, raw: bytes) -> "Segment":
        """Read a descriptor; raises :class:`~summand.isa.CommandError` with ``RESERVED``."""
        tile, tiles, planes, flags, kept, reserved = cls._FORMAT.unpack(raw)
        if flags > 0b1111 or reserved:
            raise CommandError(ErrorCode.RESERVED)
        return cls(
            tile=tile,
            tiles=tiles,
            planes=planes,
            clear=bool(flags & 1),
            shift=bool(flags & 2),
            scaled=bool(flags & 4),
            half_step=bool(flags & 8),
            kept=kept,
        )


def segment_beats(count: int, config: EngineConfig) -> int:
    """Return the beats of a table of ``count`` segments and borders."""
    return beats(count * SEGMENT_BYTES, config)


def check_segments(
    segments: Sequence[Segment], config: EngineConfig, *, stored: bool = False
) -> None:
    """Raise :class:`~summand.isa.CommandError` for the first segment that the engine refuses."""
    after = 0
    for segment in segments:
        segment.validate(config, after=after, stored=stored)
        after = segment.end


def decode_segments(
    raw: bytes, count: int, config: EngineConfig, *, stored: bool = False
) -> tuple[Segment, ...]:
    """Read and check a table; raises :class:`~summand.isa.CommandError` for its first bad entry."""
    segments: list[Segment] = []
    for at in range(0, count * SEGMENT_BYTES, SEGMENT_BYTES):
        segment = Segment.decode(raw[at : at + SEGMENT_BYTES])
        after = segments[-1].end if segments else 0
        segment.validate(config, after=after, stored=stored)
        segments.append(segment)
    return tuple(segments)
