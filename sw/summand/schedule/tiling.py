"""Cuts layers to the memories of an engine."""

from collections.abc import Sequence
from dataclasses import dataclass

from summand.isa import EngineConfig
from summand.isa.commands import Requantise
from summand.schedule.terms import Sizes

__all__ = ["Bundle", "Piece", "Run", "Tiling", "even"]


@dataclass(frozen=True)
class Run:
    """Output tiles of one layer that are computed together.

    ``first`` counts the layer's tiles, ``tile`` the accumulators'.
    """

    layer: int
    first: int
    tiles: int
    tile: int

    def within(self, low: int, high: int) -> "Run | None":
        """Return the part in accumulator tiles ``low`` to ``high``, if there is one."""
        start, stop = max(self.tile, low), min(self.tile + self.tiles, high)
        if start >= stop:
            return None
        return Run(self.layer, self.first + start - self.tile, stop - start, start)


@dataclass(frozen=True)
class Piece:
    """Ranks ``start`` to ``stop`` of a layer's factored term, which is its ``term``-th.

    Its accumulators are ``tiles`` from ``tile`` on; its intermediate begins with activation ``at``
    of the engine's memory.
    """

    layer: int
    term: int
    start: int
    stop: int
    tile: int
    tiles: int
    at: int

    def slices(self, config: EngineConfig) -> tuple[int, int]:
        """Return the first slice that holds a part of the intermediate, and the one after."""
        end = self.at + self.tiles * config.cols
        return self.at // config.depth, -(-end // config.depth)


@dataclass(frozen=True)
class Bundle:
    """Pieces that go through one REQUANTISE: side by side, to the start of ``to_slice`` on."""

    pieces: tuple[Piece, ...]
    to_slice: int

    @property
    def tile(self) -> int:
        """The first accumulator tile."""
        return self.pieces[0].tile

    @property
    def tiles(self) -> int:
        """The number of tiles."""
        return sum(p.tiles for p in self.pieces)

    def command(self, rows: int, tag: int = 0) -> Requantise:
        """Return its REQUANTISE."""
        return Requantise(self.tile, self.tiles, rows, self.to_slice)


@dataclass(frozen=True)
class Tiling:
    """The contents of each memory over time.

    Parameters
    ----------
    slices : int
        K-slices of the input.
    chunk : int
        K-slices loaded at a time, to slice 0 on.
    counts : tuple of int
        Output tiles of each layer.
    capacity : int
        Output tiles that the accumulators hold at a time, from tile 0 on.
    rounds : tuple of tuples of Bundle
        Ranks held at a time; one empty round where there is no factored term. With one round
        the intermediates live through all passes, with several each pass makes them again.
    """

    slices: int
    chunk: int
    counts: tuple[int, ...]
    capacity: int
    rounds: tuple[tuple[Bundle, ...], ...]

    @property
    def resident(self) -> bool:
        """Whether one LOAD serves all passes."""
        return self.chunk >= self.slices

    @property
    def total(self) -> int:
        """Output tiles of all layers."""
        return sum(self.counts)

    @property
    def ranks(self) -> bool:
        """Whether any layer has a factored term."""
        return any(self.rounds)

    @property
    def half(self) -> int:
        """Tiles that a pass may have if another is to lie beside it."""
        return max(1, self.capacity // 2)

    @classmethod
    def of(cls, layers: Sequence[Sizes], config: EngineConfig) -> "Tiling":
        """Cut ``layers``, which share an input, to ``config``'s memories.

        Half of each memory at most goes to intermediates, so that every layer fits in
        some way. Needs a slice of input beside the intermediate of one tile.
        """
        slices = -(-layers[0].in_features // config.depth)
        rounds = _rounds(layers, config, slices)
        pieces = [p for bundles in rounds for bundle in bundles for p in bundle.pieces]
        spare = min((p.slices(config)[0] for p in pieces), default=config.act_depth)
        capacity = min((p.tile for p in pieces), default=config.acc_depth)
        counts = tuple(-(-layer.out_features // config.cols) for layer in layers)
        return cls(slices, min(slices, spare), counts, capacity, rounds)

    def even(self) -> tuple[int, ...]:
        """Return sizes of as few passes as half of the accumulators allows, about equal."""
        return even(self.total, self.half)

    def passes(self, sizes: Sequence[int], phase: int = 0) -> tuple[tuple[Run, ...], ...]:
        """Cut the outputs into passes of ``sizes`` tiles, each contiguous in the accumulators.

        Passes that fit together and begin with phase 0 lie side by side; others take turns in the
        two halves, beginning with the lower one in phase 0 and the upper one in phase 1.
        """
        runs: list[list[Run]] = [[] for _ in sizes]
        beside = not phase and sum(sizes) <= self.capacity
        ends, bases = [], []
        for i, size in enumerate(sizes):
            start = ends[-1] if ends else 0
            ends.append(start + size)
            upper = self.half if (phase + i) % 2 and size <= self.capacity - self.half else 0
            bases.append(start if beside else upper)
        start = 0
        for layer, count in enumerate(self.counts):
            for i, size in enumerate(sizes):
                low = ends[i] - size
                a, b = max(start, low), min(start + count, ends[i])
                if a < b:
                    runs[i].append(Run(layer, a - start, b - a, bases[i] + a - low))
            start += count
        return tuple(map(tuple, runs))


def even(total: int, most: int) -> tuple[int, ...]:
    """Cut a total into as few parts as ``most`` allows, about equal."""
    parts = -(-total // most)
    least, more = divmod(total, parts)
    return (least + 1,) * more + (least,) * (parts - more)


class _Packer:
    """Places pieces of a round side by side, in whole slices or within one."""

    def __init__(self, config: EngineConfig, slice_budget: int):
        self._config = config
        self._budget = slice_budget
        self.bundles: list[list[tuple[int, int, int, int, int, int]]] = []
        # of each piece: layer, term, first rank, the rank after the last, tiles, place
        self._at = 0  # activations
        self._room = 0  # features that the last bundle's REQUANTISE can still take
        self.tiles = 0

    @property
    def slices(self) -> int:
        return -(-self._at // self._config.depth)

    def add(self, layer: int, term: int, start: int, stop: int) -> bool:
        """Place ranks ``start`` to ``stop`` of a layer's term; returns whether there was room."""
        config = self._config
        tiles = -(-(stop - start) // config.cols)
        size, depth = tiles * config.cols, config.depth
        fits = (self._at % depth + size - 1) // depth == (size - 1) // depth
        if not fits or size > self._room:
            at, fresh = -(-self._at // depth) * depth, True
        else:
            at, fresh = self._at, False
        if self.tiles + tiles > config.acc_depth // 2 or at + size > self._budget * depth:
            return False
        if fresh:
            self.bundles.append([])
            self._room = config.requant_depth
        self.bundles[-1].append((layer, term, start, stop, tiles, at))
        self._room -= size
        self._at = at + size
        self.tiles += tiles
        return True

    def placed(self) -> tuple[Bundle, ...]:
        """Return the bundles, put at the ends of the memories."""
        config = self._config
        tile, first = config.acc_depth - self.tiles, config.act_depth - self.slices
        bundles = []
        for entries in self.bundles:
            pieces = []
            for layer, term, start, stop, tiles, at in entries:
                place = first * config.depth + at
                pieces.append(Piece(layer, term, start, stop, tile, tiles, place))
                tile += tiles
            bundles.append(Bundle(tuple(pieces), pieces[0].at // config.depth))
        return tuple(bundles)


def _rounds(
    layers: Sequence[Sizes], config: EngineConfig, slices: int
) -> tuple[tuple[Bundle, ...], ...]:
    least = -(-config.cols // config.depth)  # slices that one tile's intermediate takes
    slice_budget = max(config.act_depth - slices, config.act_depth // 2, least)
    # A piece that is followed by another of its layer fills whole slices, where it can.
    grain = max(config.cols, config.depth)
    step = min(config.requant_depth, config.acc_depth // 2 * config.cols)
    step = min(step, max(config.cols, slice_budget * config.depth // grain * grain))
    if step > grain:
        step -= step % grain
    packers = [_Packer(config, slice_budget)]
    for i, layer in enumerate(layers):
        for t, term in layer.factored:
            for start in range(0, term.rank, step):
                stop = min(term.rank, start + step)
                if not packers[-1].add(i, t, start, stop):
                    packers.append(_Packer(config, slice_budget))
                    packers[-1].add(i, t, start, stop)
    return tuple(p.placed() for p in packers)
