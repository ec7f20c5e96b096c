"""Chooses what saves most within a bound of loss."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["Candidate", "choose"]

_STEPS = 200

#: Share of the bound below which losses are all alike: prices need not be so high to tell them.
_LEAST = 1e-9


class Candidate(NamedTuple):
    """A rank, the stream bits a token that it saves, and what it is estimated to lose."""

    rank: int
    saved: float
    loss: float


def choose(candidates: Mapping[str, Sequence[Candidate]], loss: float) -> dict[str, Candidate]:
    """Return one candidate a group, or none, that save most and lose no more than ``loss``.

    By a price of loss that all groups share; the price is the lowest that keeps the bound, so the
    choice is the best of those on the convex hull.
    """

    def at(price: float) -> dict[str, Candidate]:
        best = {}
        for name, mine in candidates.items():
            pick = max(mine, key=lambda c: c.saved - price * c.loss, default=None)
            if pick is not None and pick.saved > price * pick.loss:
                best[name] = pick
        return best

    def total(chosen: Mapping[str, Candidate]) -> float:
        return sum(c.loss for c in chosen.values())

    if total(chosen := at(0.0)) <= loss:
        return chosen
    every = [c for mine in candidates.values() for c in mine]
    lossy = (c.saved / max(c.loss, _LEAST * loss) for c in every if c.loss > 0)
    low, high = 0.0, max(lossy, default=0.0) * 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if total(at(middle)) <= loss:
            high = middle
        else:
            low = middle
    return at(high)
