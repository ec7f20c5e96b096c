"""How layers are cut to the memories of an engine."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from summand.isa import EngineConfig
from summand.model import Layer
from summand.runtime.errors import CompileError

__all__ = ["Piece", "Run", "Tiling"]


@dataclass(frozen=True)
class Run:
    """Output tiles of one layer that are computed together.

    ``first`` counts the layer's tiles, ``tile`` the accumulators'.
    """

    layer: int
    first: int
    tiles: int
    tile: int


@dataclass(frozen=True)
class Piece:
    """Ranks ``start`` to ``stop`` of a layer's low-rank summand: one REQUANTISE.

    Its accumulators are ``tiles`` from ``tile`` on, its intermediate ``slices`` from
    ``to_slice`` on.
    """

    layer: int
    start: int
    stop: int
    tile: int
    tiles: int
    to_slice: int
    slices: int


@dataclass(frozen=True)
class Tiling:
    """What is in which memory, when.

    Parameters
    ----------
    slices : int
        K-slices of the input.
    chunk : int
        K-slices loaded at a time, to slice 0 on.
    passes : tuple of tuples of Run
        Output tiles computed at a time, contiguous in the accumulators. Where there are several,
        they take turns in two halves of the memory, so that one drains while the next is computed.
    rounds : tuple of tuples of Piece
        Ranks held at a time; one empty round where there is no low-rank summand. With one round
        the intermediates live through all passes, with several each pass makes them again.
    """

    slices: int
    chunk: int
    passes: tuple[tuple[Run, ...], ...]
    rounds: tuple[tuple[Piece, ...], ...]

    @property
    def resident(self) -> bool:
        """Whether one LOAD serves all passes."""
        return self.chunk >= self.slices

    @classmethod
    def of(cls, layers: Sequence[Layer], config: EngineConfig) -> "Tiling":
        """Cut ``layers``, which share an input, to ``config``'s memories.

        Half of each memory at most goes to low-rank intermediates, so that every layer fits in
        some way.
        """
        slices = -(-layers[0].in_features // config.depth)
        rounds = _rounds(layers, config, slices)
        spare = config.act_depth - max(
            _extent(r, "to_slice", "slices", config.act_depth) for r in rounds
        )
        ranks = max(_extent(r, "tile", "tiles", config.acc_depth) for r in rounds)
        capacity = config.acc_depth - ranks
        later = config.acc_depth if len(rounds) == 1 else capacity
        return cls(slices, min(slices, spare), _passes(layers, config, capacity, later), rounds)


def _extent(pieces: Sequence[Piece], start: str, count: str, top: int) -> int:
    """Return how much below ``top`` the pieces take."""
    return top - min((getattr(p, start) for p in pieces), default=top)


def _rounds(
    layers: Sequence[Layer], config: EngineConfig, slices: int
) -> tuple[tuple[Piece, ...], ...]:
    tile_budget = config.acc_depth // 2
    least = -(-config.cols // config.depth)  # slices that one tile's intermediate takes
    slice_budget = max(config.act_depth - slices, config.act_depth // 2, least)
    # A REQUANTISE starts at a slice: one that is followed by another fills whole slices, or,
    # where it cannot reach to a slice's end, has a slice of its own.
    grain = max(config.cols, config.depth)
    step = min(config.requant_depth, tile_budget * config.cols)
    step = min(step, max(config.cols, slice_budget * config.depth // grain * grain))
    if step > grain:
        step -= step % grain
    cut: list[list[tuple[int, int, int, int, int]]] = [[]]
    tiles = held = 0
    for i, layer in enumerate(layers):
        rank = layer.low_rank.rank if layer.low_rank else 0
        if rank and least >= config.act_depth:
            raise CompileError(
                f"layer {layer.name!r}: its low-rank summand needs act_depth of at least "
                f"{least + 1}, one slice of input and {least} for {config.cols} intermediates, "
                f"not {config.act_depth}; raise act_depth or depth, or lower cols"
            )
        for start in range(0, rank, step):
            stop = min(rank, start + step)
            t = -(-(stop - start) // config.cols)
            s = -(-t * config.cols // config.depth)
            if tiles + t > tile_budget or held + s > slice_budget:
                cut.append([])
                tiles = held = 0
            cut[-1].append((i, start, stop, t, s))
            tiles, held = tiles + t, held + s
    return tuple(_place(pieces, config) for pieces in cut)


def _place(
    pieces: Sequence[tuple[int, int, int, int, int]], config: EngineConfig
) -> tuple[Piece, ...]:
    """Put a round's pieces at the ends of the memories."""
    tile = config.acc_depth - sum(p[3] for p in pieces)
    to_slice = config.act_depth - sum(p[4] for p in pieces)
    placed = []
    for layer, start, stop, tiles, slices in pieces:
        placed.append(Piece(layer, start, stop, tile, tiles, to_slice, slices))
        tile, to_slice = tile + tiles, to_slice + slices
    return tuple(placed)


def _passes(
    layers: Sequence[Layer], config: EngineConfig, capacity: int, later: int
) -> tuple[tuple[Run, ...], ...]:
    counts = [-(-layer.out_features // config.cols) for layer in layers]
    if sum(counts) <= capacity or capacity < 2:
        windows = itertools.chain([(0, capacity)], itertools.repeat((0, later)))
    else:
        low = (0, capacity // 2)
        first_high = (low[1], capacity - low[1])
        high = (low[1], later - low[1])
        windows = itertools.chain([low, first_high], itertools.cycle([low, high]))
    passes: list[tuple[Run, ...]] = []
    runs: list[Run] = []
    base, limit = next(windows)
    used = 0
    for i, total in enumerate(counts):
        first = 0
        while first < total:
            if used == limit:
                passes.append(tuple(runs))
                base, limit = next(windows)
                runs, used = [], 0
            tiles = min(total - first, limit - used)
            runs.append(Run(i, first, tiles, base + used))
            first, used = first + tiles, used + tiles
    return (*passes, tuple(runs))
