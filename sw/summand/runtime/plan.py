"""The commands of a batch in order, before weights and activations are put in."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from summand.isa import EngineConfig
from summand.isa.commands import Command, Gemm, Load, Requantise, Store
from summand.isa.segments import MAX_SEGMENTS, Segment
from summand.runtime.tiling import Bundle, Piece, Run, Sizes, Tiling

__all__ = [
    "Fetch",
    "Input",
    "Matrix",
    "PlanStep",
    "Stair",
    "Strip",
    "Tail",
    "Walk",
    "commands",
    "plan",
]


@dataclass(frozen=True)
class Matrix:
    """A matrix that is streamed: a layer's dense weights, or a factor for some of its ranks."""

    layer: int
    kind: Literal["dense", "first factor", "second factor"]
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

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segment table: neighbours of the same kind are one segment.

        Their plane words are in tile order slice by slice, as they are side by side.
        """
        return _joined(self.strips)

    @property
    def group(self) -> int:
        """Slices after which scales are sent anew, so that no strip's ever change within; or 0."""
        groups = [s.group for s in self.strips if s.group]
        return math.gcd(self.first, *groups) if groups else 0

    @property
    def words(self) -> int:
        """Plane words of one slice."""
        return sum(s.tiles * s.planes for s in self.strips)

    def within(self, low: int, high: int) -> "Walk":
        """Return the part of the walk in accumulator tiles ``low`` to ``high``."""
        parts = (s.within(low, high) for s in self.strips)
        return replace(self, strips=tuple(s for s in parts if s))

    def only(self, *kinds: str) -> "Walk":
        """Return the part of the walk over matrices of these kinds."""
        return replace(self, strips=tuple(s for s in self.strips if s.matrix.kind in kinds))

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
            if len(_joined([*lot, strip])) > MAX_SEGMENTS:
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


PlanStep = Input | Walk | Bundle | Fetch


def commands(steps: Sequence[PlanStep], rows: int) -> Iterator[Command]:
    """Yield the steps as commands for a batch of ``rows`` tokens."""
    for step in steps:
        match step:
            case Input():
                yield Load(0, step.slices, rows)
            case Walk():
                yield Gemm(step.from_slice, step.slices, step.segments, step.group)
            case Bundle():
                yield Requantise(step.tile, step.tiles, rows, step.to_slice)
            case Fetch():
                yield Store(step.tile, step.tiles, rows)


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
    over the intermediates; then fetch the pass.

    Parameters
    ----------
    deferred : int
        How many of a walk's last slices the first factors walk before the dense summands, so that
        requantisation goes on behind these.
    """
    steps: list[PlanStep] = []
    if tiling.resident:
        steps.append(Input(0, tiling.slices))
    for p, runs in enumerate(passes):
        here = {run.layer for run in runs}
        started: set[int] = set()  # layers whose low-rank summand has begun to add
        for r, bundles in enumerate(tiling.rounds):
            fresh = bundles
            if len(tiling.rounds) == 1:  # made once, in the first pass, for all of them
                fresh = bundles if p == 0 else ()
            else:
                fresh = tuple(b for b in bundles if any(q.layer in here for q in b.pieces))
            strips = _dense(layers, runs if r == 0 else (), config)
            factors = _first_factors(layers, fresh)
            steps += _walk_input(tiling, (*strips, *factors), fresh, deferred=deferred)
            steps += _walk_intermediates(layers, runs, bundles, started, config)
        steps.append(Fetch(tuple(runs)))
    return tuple(steps)


def _dense(layers: Sequence[Sizes], runs: Sequence[Run], config: EngineConfig) -> tuple[Strip, ...]:
    return tuple(
        Strip(
            Matrix(r.layer, "dense"),
            r.first,
            r.tile,
            r.tiles,
            layers[r.layer].bits,
            clear=True,
            group=layers[r.layer].group // config.depth,
        )
        for r in runs
        if layers[r.layer].bits
    )


def _first_factors(layers: Sequence[Sizes], bundles: Sequence[Bundle]) -> tuple[Strip, ...]:
    return tuple(
        Strip(
            Matrix(piece.layer, "first factor", (piece,)),
            0,
            piece.tile,
            piece.tiles,
            layers[piece.layer].a_bits,
            clear=True,
        )
        for bundle in bundles
        for piece in bundle.pieces
    )


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
            yield from walk.between(together, count).only("dense").lots()


def _walk_intermediates(
    layers: Sequence[Sizes],
    runs: Sequence[Run],
    bundles: Sequence[Bundle],
    started: set[int],
    config: EngineConfig,
) -> Iterator[Walk]:
    """Yield walks over the second factors; layers whose intermediates share slices share one."""
    walks: dict[tuple[int, int], list[Strip]] = {}
    for run in runs:
        layer = layers[run.layer]
        mine = tuple(p for b in bundles for p in b.pieces if p.layer == run.layer)
        if not mine:
            continue
        low, high = mine[0].slices(config)[0], mine[-1].slices(config)[1]
        fresh = run.layer not in started
        strip = Strip(
            Matrix(run.layer, "second factor", mine),
            run.first,
            run.tile,
            run.tiles,
            layer.b_bits,
            clear=fresh and not layer.bits,
            shift=fresh and layer.shifts,
        )
        walks.setdefault((low, high), []).append(strip)
        started.add(run.layer)
    for (low, high), strips in walks.items():
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
