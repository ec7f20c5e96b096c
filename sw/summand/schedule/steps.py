"""The steps of a plan: a command each, before weights and activations are put in."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal

from summand.isa.borders import Border
from summand.isa.commands import Cast, Gemm, Load, Store
from summand.isa.limits import SEGMENTS
from summand.isa.results import Extremes
from summand.isa.segments import Segment
from summand.schedule.terms import Runs
from summand.schedule.tiling import Bundle, Piece, Run

__all__ = [
    "Deposit",
    "Fetch",
    "Input",
    "Matrix",
    "PlanStep",
    "Role",
    "Strip",
    "Walk",
    "renumbered",
]

Role = Literal["direct", "first factor", "second factor"]


@dataclass(frozen=True)
class Matrix:
    """A matrix that is streamed: a layer's direct term, or a factor for some of its ranks."""

    layer: int
    term: int
    role: Role
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True)
class Strip:
    """Tiles of a matrix, from its tile ``first`` on, that go to accumulator ``tile`` on."""

    matrix: Matrix
    first: int
    tile: int
    tiles: int
    planes: int
    clear: bool = False
    shift: bool = False
    #: Slices that share scales; 0 without.
    group: int = 0
    half_step: bool = False
    #: Weights of a block that are streamed; 0 where all are.
    kept: int = 0
    #: Slices of the input in which it is not walked, its weights being 0; none clears or shifts.
    absent: Runs = ()

    @property
    def segment(self) -> Segment:
        """The segment that it is by itself."""
        return Segment(
            tile=self.tile,
            tiles=self.tiles,
            planes=self.planes,
            clear=self.clear,
            shift=self.shift,
            scaled=bool(self.group),
            half_step=self.half_step,
            kept=self.kept,
        )

    def within(self, low: int, high: int) -> "Strip | None":
        """Return the part in accumulator tiles ``low`` to ``high``, if there is one."""
        start, stop = max(self.tile, low), min(self.tile + self.tiles, high)
        if start >= stop:
            return None
        return replace(self, first=self.first + start - self.tile, tile=start, tiles=stop - start)


@dataclass(frozen=True)
class Walk:
    """One GEMM: ``slices`` slices of the strips' matrices from ``first`` on.

    ``from_slice`` is the place of the first in the activation memory. Strips ascend. ``borders``
    count the walk's slices. ``from_word`` is the place of its plane words in the operand memory;
    without it the stream brings them.
    """

    from_slice: int
    first: int
    slices: int
    strips: tuple[Strip, ...]
    borders: tuple[Border, ...] = ()
    from_word: int | None = None

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The segment table: dense neighbours of the same kind are one segment.

        Their plane words are in tile order slice by slice, as they are side by side. Sparse ones
        are filled up to whole beats each.
        """
        return _joined(self.strips)

    @cached_property
    def group(self) -> int:
        """Slices after which scales are sent anew, so that no strip's ever change within; or 0."""
        groups = [s.group for s in self.strips if s.group]
        return math.gcd(self.first, *groups) if groups else 0

    @property
    def words(self) -> int:
        """Plane words of one slice."""
        return sum(s.tiles * s.planes for s in self.strips)

    def command(self, rows: int, tag: int = 0) -> Gemm:
        """Return its GEMM."""
        return Gemm(
            self.from_slice, self.slices, self.segments, self.group, self.borders, self.from_word
        )

    def within(self, low: int, high: int) -> "Walk":
        """Return the part of the walk in accumulator tiles ``low`` to ``high``."""
        parts = (s.within(low, high) for s in self.strips)
        return replace(self, strips=tuple(s for s in parts if s))

    def only(self, role: Role) -> "Walk":
        """Return the part of the walk over matrices of this role."""
        return replace(self, strips=tuple(s for s in self.strips if s.matrix.role == role))

    def between(self, start: int, stop: int) -> "Walk":
        """Return slices ``start`` to ``stop`` of the walk. Only slice 0 clears or shifts."""
        strips = self.strips
        if start:
            strips = tuple(replace(s, clear=False, shift=False) for s in strips)
        return replace(
            self,
            from_slice=self.from_slice + start,
            first=self.first + start,
            slices=stop - start,
            strips=strips,
            borders=tuple(
                Border(b.slice - start, b.shift) for b in self.borders if start <= b.slice < stop
            ),
        )

    def lots(self) -> Iterator["Walk"]:
        """Yield what is to be done in GEMMs of no more segments than one may have.

        Each has the same strips in all its slices, those that are not absent there.
        """
        for part in self._parts():
            lot: list[Strip] = []
            for strip in part.strips:
                if len(_joined([*lot, strip])) > SEGMENTS.high:
                    yield replace(part, strips=tuple(lot))
                    lot = []
                lot.append(strip)
            if lot:
                yield replace(part, strips=tuple(lot))

    def _parts(self) -> Iterator["Walk"]:
        """Yield the walk, cut where strips begin or end to be absent, without these."""
        edges = {at - self.first for s in self.strips for run in s.absent for at in run}
        places = [0, *sorted(at for at in edges if 0 < at < self.slices), self.slices]
        for start, stop in pairwise(places):
            part, at = self.between(start, stop), self.first + start
            there = (s for s in part.strips if not any(a <= at < b for a, b in s.absent))
            yield replace(part, strips=tuple(there))


@dataclass(frozen=True)
class Input:
    """A LOAD of the input's K-slices ``first`` to ``first + slices``, to slice 0 on."""

    first: int
    slices: int

    def command(self, rows: int, tag: int = 0) -> Load:
        """Return its LOAD."""
        return Load(0, self.slices, rows)


@dataclass(frozen=True)
class Fetch:
    """A STORE of contiguous tiles; ``runs`` says whose they are.

    It sends ``limbs`` of each accumulator, or ``extremes`` of each bin of one run's tiles.
    """

    runs: tuple[Run, ...]
    limbs: int = 0
    extremes: Extremes = Extremes.NONE

    @property
    def tile(self) -> int:
        """The first tile."""
        return self.runs[0].tile

    @property
    def tiles(self) -> int:
        """The number of tiles."""
        return sum(run.tiles for run in self.runs)

    def within(self, low: int, high: int) -> "Fetch":
        """Return the part in accumulator tiles ``low`` to ``high``."""
        runs = tuple(r for run in self.runs if (r := run.within(low, high)))
        return replace(self, runs=runs)

    def command(self, rows: int, tag: int = 0) -> Store:
        """Return its STORE."""
        return Store(self.tile, self.tiles, rows, tag, self.limbs, self.extremes)


@dataclass(frozen=True)
class Deposit:
    """A CAST of contiguous tiles to the operand memory; ``runs`` says whose they are.

    Row 0 becomes input feature ``lane`` of the slice whose words for these tiles begin with
    ``to_word``.
    """

    runs: tuple[Run, ...]
    planes: int
    to_word: int
    lane: int

    @property
    def tile(self) -> int:
        """The first tile."""
        return self.runs[0].tile

    @property
    def tiles(self) -> int:
        """The number of tiles."""
        return sum(run.tiles for run in self.runs)

    def command(self, rows: int, tag: int = 0) -> Cast:
        """Return its CAST."""
        return Cast(self.tile, self.tiles, rows, self.planes, self.to_word, self.lane)


#: What has ``command(rows, tag)``: its command for a batch of ``rows`` tokens.
PlanStep = Input | Walk | Bundle | Deposit | Fetch


def renumbered(step: PlanStep, layers: Sequence[int]) -> PlanStep:
    """Return a step with what it streams of layer ``i`` as that of layer ``layers[i]``."""

    def pieces(of: tuple[Piece, ...]) -> tuple[Piece, ...]:
        return tuple(replace(piece, layer=layers[piece.layer]) for piece in of)

    def matrix(of: Matrix) -> Matrix:
        return replace(of, layer=layers[of.layer], pieces=pieces(of.pieces))

    match step:
        case Walk():
            strips = tuple(replace(strip, matrix=matrix(strip.matrix)) for strip in step.strips)
            return replace(step, strips=strips)
        case Bundle():
            return replace(step, pieces=pieces(step.pieces))
        case _:
            return step


def _joined(strips: Sequence[Strip]) -> tuple[Segment, ...]:
    joined: list[Segment] = []
    for s in strips:
        segment = s.segment
        last = joined[-1] if joined else None
        if (
            last
            and not last.kept
            and replace(segment, tile=last.tile, tiles=last.tiles) == last
            and last.end == s.tile
        ):
            joined[-1] = replace(last, tiles=last.tiles + s.tiles)
        else:
            joined.append(segment)
    return tuple(joined)
