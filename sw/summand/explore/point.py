"""An engine with an allocation, and the points that a search keeps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from summand.isa import EngineConfig
from summand.synth.estimate import Resources

__all__ = ["Found", "Point"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Point:
    """An engine and an allocation, as predicted.

    Parameters
    ----------
    engine : EngineConfig
        The engine.
    picks : mapping of str to int
        Which of its shape's choices each layer gets.
    loss : float
        Nats a token, estimated.
    bits : int
        Streamed for a pass over all weights, padding counted.
    resources : Resources
        By the model.
    decode_cycles, prefill_cycles : float
        Of a pass that writes, and of reading the prompts, estimated.
    decode_s, prefill_s, total_s : float
        Seconds with memory and link; of a pass, of the prompts and of the whole workload.
    """

    engine: EngineConfig
    picks: Mapping[str, int]
    loss: float
    bits: int
    resources: Resources
    decode_cycles: float
    prefill_cycles: float
    decode_s: float
    prefill_s: float
    total_s: float

    def same(self, other: "Point") -> bool:
        """Whether it is the same engine with the same allocation."""
        return self.engine == other.engine and self.picks == other.picks


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """The result of a search.

    Parameters
    ----------
    front : tuple of Point
        Those that no other beats in both time and loss, the quickest first.
    small : tuple of Point
        At the loss of the chosen one or less, those that no other beats in both time and look-up
        tables, the smallest first.
    features : mapping of str to Point
        For each set of an engine's features of weights, and for each of results, the quickest
        within all limits.
    own : Point or None
        The quickest within all limits on the engine of the board's file; None where it computes
        nothing of what layers may get.
    chosen : Point
        The smallest of those that are within a hundredth of the quickest within all limits.
    trace : mapping of str to array, shape ``[engines]``
        Every engine's fields, resources, and least time within the limit of loss, infinite where
        its features admit nothing so good.
    points : int
        Engines with an allocation that were evaluated.
    seconds : float
        For that.
    """

    front: tuple[Point, ...]
    small: tuple[Point, ...]
    features: Mapping[str, Point]
    own: Point | None
    chosen: Point
    trace: Mapping[str, npt.NDArray[Any]]
    points: int
    seconds: float
