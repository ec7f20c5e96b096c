"""Fetches of outputs of which only the greatest counts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.isa.packets import data_packet_bytes
from summand.isa.results import Extremes
from summand.schedule.steps import Fetch, PlanStep
from summand.schedule.tiling import Run

__all__ = ["SignedTiles", "fetch_extremes"]


@dataclass(frozen=True)
class SignedTiles:
    """The tiles of a layer, whose outputs ascend by their scales, by the scales' signs.

    Parameters
    ----------
    negative : int
        So many tiles from the first on have negative scales alone: there the least accumulator is
        the greatest output.
    first, stop : int
        In tiles ``first`` to ``stop`` there is none below 0.
    """

    negative: int
    first: int
    stop: int

    @classmethod
    def of(cls, scale: npt.NDArray[np.float32], config: EngineConfig) -> Self:
        """Return those of scales, ``[N]`` in any order; a tile that is not full has no sign."""
        below = int(np.count_nonzero(scale < 0))
        return cls(below // config.cols, -(-below // config.cols), len(scale) // config.cols)

    def parts(self, run: Run) -> Iterator[tuple[Run, Extremes]]:
        """Yield a run's tiles by what may be sent of them, in order."""
        edges = (
            (0, self.negative, Extremes.LEAST),
            (self.negative, self.first, Extremes.NONE),
            (self.first, max(self.first, self.stop), Extremes.GREATEST),
            (max(self.first, self.stop), run.first + run.tiles, Extremes.NONE),
        )
        offset = run.tile - run.first
        for low, high, extremes in edges:
            if part := run.within(low + offset, high + offset):
                yield part, extremes


def fetch_extremes(
    steps: Sequence[PlanStep], layers: Sequence[SignedTiles], config: EngineConfig
) -> tuple[PlanStep, ...]:
    """Return a batch's steps with fetches of no more than shows each layer's greatest output.

    Of each bin of tiles of one sign its two extremes are fetched, where these are fewer bytes than
    all of it; other tiles whole. What computes the outputs stays.

    Parameters
    ----------
    steps : sequence of PlanStep
        A plan.
    layers : sequence of SignedTiles
        The layers' that it is for.
    config : EngineConfig
        An engine with bins.
    """
    out: list[PlanStep] = []
    for step in steps:
        if isinstance(step, Fetch):
            out += _split(step, layers, config)
        else:
            out.append(step)
    return tuple(out)


def _split(fetch: Fetch, layers: Sequence[SignedTiles], config: EngineConfig) -> Iterator[Fetch]:
    """Yield fetches of the same tiles in their order: whole ones beside each other are one."""
    whole: list[Run] = []
    for run in fetch.runs:
        for part, extremes in layers[run.layer].parts(run):
            binned = Fetch((part,), 0, extremes)
            rest: Run | None = part
            if extremes:
                size = part.tiles - part.tiles % config.bin_tiles
                low, end = part.tile, part.tile + part.tiles
                binned, rest = binned.within(low, low + size), part.within(low + size, end)
            if extremes and binned.runs and _saves(binned, fetch.limbs, config):
                if whole:
                    yield Fetch(tuple(whole), fetch.limbs)
                yield binned
                whole = [rest] if rest else []
            else:
                whole.append(part)
    if whole:
        yield Fetch(tuple(whole), fetch.limbs)


def _saves(binned: Fetch, limbs: int, config: EngineConfig) -> bool:
    few, every = (
        data_packet_bytes(config, rows=1, tiles=binned.tiles, limbs=n, extremes=extremes)
        for n, extremes in ((0, binned.extremes), (limbs, Extremes.NONE))
    )
    return few < every
