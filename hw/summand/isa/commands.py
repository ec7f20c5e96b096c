"""The commands of the input stream, without their payloads.

A command is its header, for a GEMM its segment table, and what follows these as payload:
activations, scales and plane words, or requantise parameters.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from summand.isa.beats import beats
from summand.isa.borders import Border, check_borders, encode_table
from summand.isa.checks import (
    check_bins,
    check_border_count,
    check_group,
    check_limbs,
    check_operand,
    check_place,
    check_requantised,
    check_rows,
    check_segment_count,
    check_slices,
    check_stored,
    check_tiles,
)
from summand.isa.config import EngineConfig
from summand.isa.errors import CommandError, ErrorCode
from summand.isa.header import STORED, Header, Op, operations
from summand.isa.results import Extremes
from summand.isa.segments import Segment, check_segments, segment_beats
from summand.isa.walks import walk_beats

__all__ = ["Cast", "Command", "Fence", "Gemm", "Load", "Requantise", "Store"]


class _Command(ABC):
    @abstractmethod
    def validate(self, config: EngineConfig) -> None:
        """Raise :class:`~summand.isa.CommandError` if the engine refuses this command."""

    @abstractmethod
    def header(self, config: EngineConfig) -> Header:
        """Return the header."""

    def payload_beats(self, config: EngineConfig) -> int:
        """Return the beats that follow what :meth:`encode` returns."""
        return 0

    def encode(self, config: EngineConfig) -> bytes:
        """Return the header, padded to whole beats; a GEMM's segment table follows it."""
        return self.header(config).encode(config)


@dataclass(frozen=True)
class Load(_Command):
    """Activations of ``rows`` tokens to ``slices`` K-slices from ``to_slice`` on."""

    to_slice: int
    slices: int
    rows: int

    def validate(self, config: EngineConfig) -> None:
        """Check rows, then slices."""
        check_rows(self.rows, config)
        check_slices(self.to_slice, self.slices, config)

    def header(self, config: EngineConfig) -> Header:
        """Return the header."""
        length = self.payload_beats(config)
        return Header(Op.LOAD, length, self.to_slice, self.slices, self.rows)

    def payload_beats(self, config: EngineConfig) -> int:
        """Return the beats of activations, row by row."""
        return self.rows * self.slices * config.slice_words


@dataclass(frozen=True)
class Gemm(_Command):
    """A walk over ``slices`` K-slices of activations from ``from_slice`` on.

    Parameters
    ----------
    from_slice, slices : int
        Activations that are multiplied.
    segments : tuple of :class:`~summand.isa.segments.Segment`
        Accumulators that the products are added to, in the order of the walk.
    group : int
        Slices that share scales; 0 for all of the walk.
    borders : tuple of :class:`~summand.isa.borders.Border`
        Slices at which the accumulators are shifted left, ascending.
    from_word : int, optional
        First word of the operand memory that the plane words are read from, in the order of the
        walk; the stream brings none then, and there are no groups.
    """

    from_slice: int
    slices: int
    segments: tuple[Segment, ...]
    group: int = 0
    borders: tuple[Border, ...] = ()
    from_word: int | None = None

    @property
    def stored(self) -> bool:
        """Whether its plane words come from the operand memory."""
        return self.from_word is not None

    @property
    def words(self) -> int:
        """Plane words of one slice."""
        return sum(s.words for s in self.segments)

    def touches(self, low: int, high: int) -> bool:
        """Whether a segment has one of the tiles ``low <= t < high``."""
        return any(s.tile < high and s.end > low for s in self.segments)

    def validate(self, config: EngineConfig) -> None:
        """Check the number of borders, group, slices, the number of segments, then each of them.

        Words of the operand memory are checked last.
        """
        check_border_count(len(self.borders), config)
        check_stored(self.stored, config)
        if self.stored and self.group:
            raise CommandError(ErrorCode.RESERVED)
        check_group(self.group, config)
        check_slices(self.from_slice, self.slices, config)
        check_segment_count(len(self.segments))
        check_segments(self.segments, config, stored=self.stored)
        check_borders(self.borders, self.slices, self.segments, config)
        if self.from_word is not None:
            check_operand(self.from_word, self.slices * self.words, config)

    def header(self, config: EngineConfig) -> Header:
        """Return the header; its length includes the segment table with the borders."""
        count, borders = len(self.segments), len(self.borders)
        length = segment_beats(count + borders, config) + self.payload_beats(config)
        d, flags = self.group, borders
        if self.from_word is not None:
            d, flags = self.from_word, borders | STORED
        return Header(Op.GEMM, length, self.from_slice, self.slices, count, d, flags)

    def payload_beats(self, config: EngineConfig) -> int:
        """Return the beats of scales and plane words."""
        if self.stored:
            return 0
        return sum(walk_beats(self.slices, self.segments, self.group, config))

    def encode(self, config: EngineConfig) -> bytes:
        """Return the header, and the segment table with the borders, each padded to whole beats."""
        return super().encode(config) + encode_table(self.segments, self.borders, config)


@dataclass(frozen=True)
class Requantise(_Command):
    """Accumulator tiles of ``rows`` tokens to activations, from slice ``to_slice`` on."""

    tile: int
    tiles: int
    rows: int
    to_slice: int

    def validate(self, config: EngineConfig) -> None:
        """Check rows, tiles, then the slices that they become."""
        check_rows(self.rows, config)
        check_tiles(self.tile, self.tiles, config)
        check_requantised(self.tiles, config)
        words = -(-self.tiles * config.cols // config.beat_elems)
        if self.to_slice * config.slice_words + words > config.act_depth * config.slice_words:
            raise CommandError(ErrorCode.ACTIVATIONS)

    def header(self, config: EngineConfig) -> Header:
        """Return the header."""
        length = self.payload_beats(config)
        return Header(Op.REQUANTISE, length, self.tile, self.tiles, self.rows, self.to_slice)

    def payload_beats(self, config: EngineConfig) -> int:
        """Return the beats of parameters: four bytes an output feature."""
        return beats(self.tiles * config.cols * 4, config)


@dataclass(frozen=True)
class Cast(_Command):
    """Accumulator tiles of ``rows`` tokens to weights in the operand memory.

    A row becomes an input feature, so ``depth`` rows fill a slice of the matrix
    ``[rows, tiles * cols]`` that a GEMM multiplies by.

    Parameters
    ----------
    tile, tiles : int
        Accumulators that are requantised.
    rows : int
        Tokens, from row 0 on.
    planes : int
        Bits of a weight, 1 to 8.
    to_word : int
        First word of the operand memory; ``tiles * planes`` words follow each other as in a walk.
    lane : int
        The place in the slice that row 0 goes to.
    """

    tile: int
    tiles: int
    rows: int
    planes: int
    to_word: int
    lane: int = 0

    @property
    def words(self) -> int:
        """Words of the operand memory that it writes to."""
        return self.tiles * self.planes

    def validate(self, config: EngineConfig) -> None:
        """Check for the operation, then rows, tiles, planes, lanes and words."""
        if Op.CAST not in operations(config):
            raise CommandError(ErrorCode.OP)
        check_rows(self.rows, config)
        check_tiles(self.tile, self.tiles, config)
        check_requantised(self.tiles, config)
        check_place(self.planes, self.lane, self.rows, config)
        check_operand(self.to_word, self.words, config)

    def header(self, config: EngineConfig) -> Header:
        """Return the header."""
        length = self.payload_beats(config)
        c = self.planes << 8 | self.rows
        return Header(Op.CAST, length, self.tile, self.tiles, c, self.to_word, self.lane)

    def payload_beats(self, config: EngineConfig) -> int:
        """Return the beats of parameters, as a REQUANTISE's."""
        return beats(self.tiles * config.cols * 4, config)


@dataclass(frozen=True)
class Store(_Command):
    """Accumulator tiles of ``rows`` tokens to the output stream, in a packet with ``tag``.

    Of each accumulator the lowest ``limbs`` limbs are sent; 0 in an engine without limbs, which
    sends all of it. With ``extremes`` two accumulators of each bin are sent, whole, with their
    places, and ``limbs`` is 0.
    """

    tile: int
    tiles: int
    rows: int
    tag: int = 0
    limbs: int = 0
    extremes: Extremes = Extremes.NONE

    def validate(self, config: EngineConfig) -> None:
        """Check limbs or extremes, rows, then tiles."""
        check_limbs(self.limbs, self.extremes, config)
        check_rows(self.rows, config)
        check_tiles(self.tile, self.tiles, config)
        if self.extremes:
            check_bins(self.tiles, config)

    def header(self, config: EngineConfig) -> Header:
        """Return the header."""
        flags = self.limbs | self.extremes
        return Header(Op.STORE, 0, self.tile, self.tiles, self.rows, self.tag, flags)


@dataclass(frozen=True)
class Fence(_Command):
    """A packet with ``tag`` and the counters, once all that came before is done."""

    tag: int = 0

    def validate(self, config: EngineConfig) -> None:
        """Accept it: no engine refuses a FENCE."""

    def header(self, config: EngineConfig) -> Header:
        """Return the header."""
        return Header(Op.FENCE, 0, self.tag)


Command = Load | Cast | Gemm | Requantise | Store | Fence
