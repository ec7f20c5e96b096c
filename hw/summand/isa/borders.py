"""The borders of a GEMM: slices at which all its accumulators are shifted left.

Input features whose activations have a coarser scale come first in the walk, and at a border to
features of a scale that is finer by a power of two the sums so far are brought to it, as in Tender
(arXiv 2406.12930).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from summand.isa.beats import pad
from summand.isa.config import EngineConfig
from summand.isa.errors import CommandError, ErrorCode
from summand.isa.segments import SEGMENT_BYTES, Segment

__all__ = ["Border", "Stretch", "check_borders", "decode_borders", "encode_table", "stretches"]


@dataclass(frozen=True)
class Border:
    """A slice of a walk before which the accumulators of all segments are shifted left.

    Parameters
    ----------
    slice : int
        The slice, counted from the walk's first.
    shift : int
        How far, 1 to ``config.border_shift``.
    """

    slice: int
    shift: int

    _FORMAT = struct.Struct("<HB5s")

    def validate(
        self, slices: int, segments: Sequence[Segment], config: EngineConfig, *, after: int = -1
    ) -> None:
        """Raise :class:`~summand.isa.CommandError` if the engine refuses this border.

        Parameters
        ----------
        slices : int
            Slices of the walk.
        segments : sequence of Segment
            Its segments: at slice 0 a border is in place of their shift flags.
        after : int
            The slice of the border before; slices ascend.
        """
        if (
            not 1 <= self.shift <= config.border_shift
            or not after < self.slice < slices
            or (self.slice == 0 and any(s.shift for s in segments))
        ):
            raise CommandError(ErrorCode.RESERVED)

    def encode(self) -> bytes:
        """Return the descriptor, as long as a segment's."""
        return self._FORMAT.pack(self.slice, self.shift, b"")

    @classmethod
    def decode(cls, raw: bytes) -> "Border":
        """Read a descriptor; raises :class:`~summand.isa.CommandError` with ``RESERVED``."""
        place, shift, reserved = cls._FORMAT.unpack(raw)
        if any(reserved):
            raise CommandError(ErrorCode.RESERVED)
        return cls(place, shift)


def check_borders(
    borders: Sequence[Border], slices: int, segments: Sequence[Segment], config: EngineConfig
) -> None:
    """Raise :class:`~summand.isa.CommandError` for the first border that the engine refuses."""
    after = -1
    for border in borders:
        border.validate(slices, segments, config, after=after)
        after = border.slice


def encode_table(
    segments: Sequence[Segment], borders: Sequence[Border], config: EngineConfig
) -> bytes:
    """Return the table of segments with the borders behind them, padded to whole beats."""
    return pad(b"".join(entry.encode() for entry in (*segments, *borders)), config)


def decode_borders(
    table: bytes, count: int, slices: int, segments: Sequence[Segment], config: EngineConfig
) -> tuple[Border, ...]:
    """Read and check the borders behind ``segments``.

    Raises :class:`~summand.isa.CommandError` for the first bad one.
    """
    borders: list[Border] = []
    first = len(segments) * SEGMENT_BYTES
    for at in range(first, first + count * SEGMENT_BYTES, SEGMENT_BYTES):
        border = Border.decode(table[at : at + SEGMENT_BYTES])
        after = borders[-1].slice if borders else -1
        border.validate(slices, segments, config, after=after)
        borders.append(border)
    return tuple(borders)


@dataclass(frozen=True)
class Stretch:
    """Slices ``start`` to ``stop`` of a walk, with no border within.

    ``shift`` is that of the border at ``start``, or 0 where there is none.
    """

    start: int
    stop: int
    shift: int


def stretches(slices: int, borders: Sequence[Border]) -> list[Stretch]:
    """Return a walk's slices, cut at its borders."""
    if not borders or borders[0].slice:
        borders = (Border(0, 0), *borders)
    stops = [*(b.slice for b in borders[1:]), slices]
    return [Stretch(b.slice, stop, b.shift) for b, stop in zip(borders, stops, strict=True)]
