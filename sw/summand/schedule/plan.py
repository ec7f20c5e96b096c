"""The commands of a batch in order, before weights and activations are put in."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from summand.isa import EngineConfig
from summand.isa.commands import Gemm, Load, Store
from summand.isa.limits import SEGMENTS
from summand.isa.segments import Segment
from summand.schedule.terms import Factored, Sizes
from summand.schedule.tiling import Bundle, Piece, Run, Tiling

__all__ = [
    "Fetch",
    "Input",
    "Matrix",
    "PlanStep",
    "Stair",
    "Strip",
    "Tail",
    "Walk",
    "plan",
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

    def within(self, low: int, high: int) -> "Strip | None":
        """Return the part in accumulator tiles ``low`` to ``high``, if there is one."""
        start, stop = max(self.tile, low), min(self.tile + self.tiles, high)
        if start >= stop:
            return None
        return replace(self, first=self.first + start - self.tile, tile=start, tiles=stop - start)


@dataclass(frozen=True)
class Walk:
    """One GEMM: ``slices`` slices of the strips' matrices from ``first`` on.

    ``from_slice`` is the place of the first in the activation memory. Strips ascend.
    """

    from_slice: int
    first: int
    slices: int
    strips: tuple[Strip, ...]

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The segment table: neighbours of the same kind are one segment.

        Their plane words are in tile order slice by slice, as they are side by side.
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
        return Gemm(self.from_slice, self.slices, self.segments, self.group)

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
        return Walk(self.from_slice + start, self.first + start, stop - start, strips)

    def lots(self) -> Iterator["Walk"]:
        """Yield what is to be done in GEMMs of no more segments than one may have."""
        lot: list[Strip] = []
        for strip in self.strips:
            if len(_joined([*lot, strip])) > SEGMENTS.high:
                yield replace(self, strips=tuple(lot))
                lot = []
            lot.append(strip)
        if lot:
            yield replace(self, strips=tuple(lot))


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
    """A STORE of contiguous tiles; ``runs`` says whose they are."""

    runs: tuple[Run, ...]

    @property
    def tile(self) -> int:
        """The first tile."""
        return self.runs[0].tile

    @property
    def tiles(self) -> int:
        """How many there are."""
        return sum(run.tiles for run in self.runs)

    def within(self, low: int, high: int) -> "Fetch":
        """Return the part in accumulator tiles ``low`` to ``high``."""
        return Fetch(tuple(r for run in self.runs if (r := run.within(low, high))))

    def command(self, rows: int, tag: int = 0) -> Store:
        """Return its STORE."""
        return Store(self.tile, self.tiles, rows, tag)


#: What has ``command(rows, tag)``: its command for a batch of ``rows`` tokens.
PlanStep = Input | Walk | Bundle | Fetch


def plan(
    layers: Sequence[Sizes],
    tiling: Tiling,
    passes: Sequence[Sequence[Run]],
    config: EngineConfig,
    *,
    deferred: int = 0,
) -> tuple[PlanStep, ...]:
    """Return a batch's steps.

    Per pass over output tiles and per round over ranks: walk over the input, requantise, walk
    over the intermediates; then fetch the pass. The first direct terms of all layers share a walk
    with the first factors; those behind them, if there are any, have walks of their own, because
    a walk has each accumulator once.

    Parameters
    ----------
    deferred : int
        How many of a walk's last slices the first factors walk before the direct terms, so that
        requantisation goes on behind these.
    """
    steps: list[PlanStep] = []
    if tiling.resident:
        steps.append(Input(0, tiling.slices))
    for p, runs in enumerate(passes):
        here = {run.layer for run in runs}
        started: set[tuple[int, int]] = set()  # factored terms that have begun to add
        for r, bundles in enumerate(tiling.rounds):
            fresh = bundles
            if len(tiling.rounds) == 1:  # made once, in the first pass, for all of them
                fresh = bundles if p == 0 else ()
            else:
                fresh = tuple(b for b in bundles if any(q.layer in here for q in b.pieces))
            first, *more = _direct(layers, runs if r == 0 else (), config)
            factors = _first_factors(layers, fresh)
            steps += _walk_input(tiling, (*first, *factors), fresh, deferred=deferred)
            for strips in more:
                steps += _walk_input(tiling, strips, (), deferred=0)
            steps += _walk_intermediates(layers, runs, bundles, started, config)
        steps.append(Fetch(tuple(runs)))
    return tuple(steps)


def _direct(
    layers: Sequence[Sizes], runs: Sequence[Run], config: EngineConfig
) -> list[tuple[Strip, ...]]:
    """Return the strips of the layers' first direct terms, of their second ones, and so on."""
    most = max(1, *(len(layers[r.layer].direct) for r in runs)) if runs else 1
    walks: list[list[Strip]] = [[] for _ in range(most)]
    for r in runs:
        for strips, (t, term) in zip(walks, layers[r.layer].direct, strict=False):
            strips.append(
                Strip(
                    Matrix(r.layer, t, "direct"),
                    r.first,
                    r.tile,
                    r.tiles,
                    term.planes,
                    clear=t == 0,
                    shift=term.shift > 0,
                    group=term.group // config.depth,
                )
            )
    return list(map(tuple, walks))


def _first_factors(layers: Sequence[Sizes], bundles: Sequence[Bundle]) -> tuple[Strip, ...]:
    return tuple(
        Strip(
            Matrix(piece.layer, piece.term, "first factor", (piece,)),
            0,
            piece.tile,
            piece.tiles,
            _factored(layers, piece).first,
            clear=True,
        )
        for bundle in bundles
        for piece in bundle.pieces
    )


def _factored(layers: Sequence[Sizes], piece: Piece) -> Factored:
    term = layers[piece.layer].terms[piece.term]
    assert isinstance(term, Factored)
    return term


def _walk_input(
    tiling: Tiling, strips: tuple[Strip, ...], fresh: Sequence[Bundle], *, deferred: int
) -> Iterator[PlanStep]:
    """Yield the walk over the input, and the requantisation of what it makes."""
    if not strips:
        return
    whole = Walk(0, 0, tiling.slices, strips)
    for first in range(0, tiling.slices, tiling.chunk):
        count = min(tiling.chunk, tiling.slices - first)
        if not tiling.resident:
            yield Input(first, count)
        walk = replace(whole.between(first, first + count), from_slice=0)
        final = first + count == tiling.slices
        together = max(0, count - deferred) if final and fresh else count
        if together:
            yield from walk.between(0, together).lots()
        if together < count:
            yield from walk.between(together, count).only("first factor").lots()
        if final:
            yield from fresh
        if together < count:
            yield from walk.between(together, count).only("direct").lots()


def _walk_intermediates(
    layers: Sequence[Sizes],
    runs: Sequence[Run],
    bundles: Sequence[Bundle],
    started: set[tuple[int, int]],
    config: EngineConfig,
) -> Iterator[Walk]:
    """Yield walks over the second factors; layers whose intermediates share slices share one.

    A layer's second factored term has a walk behind that of its first, because it adds to the same
    accumulators.
    """
    walks: dict[tuple[int, int, int], list[Strip]] = {}
    for run in runs:
        for nth, (t, term) in enumerate(layers[run.layer].factored):
            of = (run.layer, t)
            mine = tuple(p for b in bundles for p in b.pieces if (p.layer, p.term) == of)
            if not mine:
                continue
            low, high = mine[0].slices(config)[0], mine[-1].slices(config)[1]
            fresh = of not in started
            strip = Strip(
                Matrix(*of, "second factor", mine),
                run.first,
                run.tile,
                run.tiles,
                term.second,
                clear=fresh and t == 0,
                shift=fresh and term.shift > 0,
            )
            walks.setdefault((nth, low, high), []).append(strip)
            started.add(of)
    for (_, low, high), strips in sorted(walks.items(), key=lambda item: item[0][0]):
        yield from Walk(low, 0, high - low, tuple(strips)).lots()


@dataclass(frozen=True)
class Stair:
    """Tiles that are finished together, by walks of their own over the last ``slices``."""

    tiles: int
    slices: int


@dataclass(frozen=True)
class Tail:
    """A batch's end: walks that follow each other without anything between, and a fetch.

    Their slices count from the first walk's first to the last walk's last.
    """

    before: tuple[PlanStep, ...]
    walks: tuple[Walk, ...]
    fetch: Fetch

    @classmethod
    def of(cls, steps: Sequence[PlanStep]) -> "Tail":
        """Return the end of a batch's steps."""
        *rest, fetch = steps
        assert isinstance(fetch, Fetch)
        walks: list[Walk] = []
        while rest and isinstance(walk := rest[-1], Walk):
            walks.insert(0, walk)
            rest.pop()
        return cls(tuple(rest), tuple(walks), fetch)

    @property
    def slices(self) -> int:
        """Slices of all walks."""
        return sum(w.slices for w in self.walks)

    def tapered(self, stairs: Sequence[Stair]) -> tuple[PlanStep, ...]:
        """Let the tiles be finished little by little, each lot fetched behind the next.

        All tiles are walked together only as far as the first stair leaves it; then the stair's
        tiles to the end, which are fetched; and so on with what remains. Every plane word is sent
        once, whatever the stairs.

        Parameters
        ----------
        stairs : sequence of Stair
            The fetch's tiles, from the first on; ``slices`` do not grow.
        """
        steps = list(self.before)
        low, end, done = self.fetch.tile, self.fetch.tile + self.fetch.tiles, 0
        for stair in stairs:
            upto = max(done, self.slices - stair.slices)
            steps += self._part(low, end, done, upto)
            steps += self._part(low, low + stair.tiles, upto, self.slices)
            steps.append(self.fetch.within(low, low + stair.tiles))
            low, done = low + stair.tiles, upto
        return tuple(steps)

    def _part(self, low: int, high: int, start: int, stop: int) -> Iterator[Walk]:
        """Yield what the walks do to tiles ``low`` to ``high`` in slices ``start`` to ``stop``."""
        for walk in self.walks:
            a, b = max(start, 0), min(stop, walk.slices)
            if a < b:
                yield from walk.within(low, high).between(a, b).lots()
            start, stop = start - walk.slices, stop - walk.slices


def _joined(strips: Sequence[Strip]) -> tuple[Segment, ...]:
    joined: list[Segment] = []
    for s in strips:
        segment = Segment(
            tile=s.tile,
            tiles=s.tiles,
            planes=s.planes,
            clear=s.clear,
            shift=s.shift,
            scaled=bool(s.group),
        )
        last = joined[-1] if joined else None
        if (
            last
            and replace(segment, tile=last.tile, tiles=last.tiles) == last
            and last.end == s.tile
        ):
            joined[-1] = replace(last, tiles=last.tiles + s.tiles)
        else:
            joined.append(segment)
    return tuple(joined)
