"""Choose one candidate for each layer under a total budget: a multiple-choice knapsack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from summand.compress.errors import CompressError

__all__ = ["Candidate", "allocate", "allocate_loss"]

_T = TypeVar("_T")

#: How far from the least an allocation may be, relative: far less than estimates are off.
_GAP = 1e-3

#: The solver keeps a budget to a millionth or so only; it is asked for this much less if need be.
_MARGIN = 1e-5

#: Seconds after which the best allocation found so far is taken.
_TIME_LIMIT = 120.0


@dataclass(frozen=True)
class Candidate(Generic[_T]):
    """A choice that a layer could get, with its cost.

    Parameters
    ----------
    choice : anything
        What.
    bits : int
        What it streams.
    loss : float
        What it costs at the end of the model; not negative. Losses of different layers add up.
    """

    choice: _T
    bits: int
    loss: float


def allocate(
    candidates: Mapping[str, Sequence[Candidate[_T]]], budget_bits: int
) -> dict[str, Candidate[_T]]:
    """Return a candidate for every layer, of least total loss within a total of streamed bits.

    An integer program, solved by HiGHS to a thousandth of the least that a budget smaller by a
    hundred-thousandth admits. Where that one admits nothing, each layer gets its smallest.

    Raises
    ------
    CompressError
        If the budget is below what the smallest candidates take; the text says what that is.
    """
    least = sum(min(c.bits for c in each) for each in candidates.values())
    if budget_bits < least:
        raise CompressError(
            f"{budget_bits} streamed bits are too few: the smallest candidates take {least}"
        )
    return _solve(candidates, "loss", "bits", budget_bits)


def allocate_loss(
    candidates: Mapping[str, Sequence[Candidate[_T]]], budget_loss: float
) -> dict[str, Candidate[_T]]:
    """Return a candidate for every layer, of fewest streamed bits within a total of loss.

    Solved as ``allocate`` is; each layer gets what loses least where nothing else is within the
    smaller budget.

    Raises
    ------
    CompressError
        If the budget is below what the best candidates lose; the text says what that is.
    """
    least = sum(min(c.loss for c in each) for each in candidates.values())
    if not budget_loss >= least:
        raise CompressError(
            f"a loss of {budget_loss:.3g} cannot be met: the best candidates lose {least:.3g}"
        )
    return _solve(candidates, "bits", "loss", budget_loss)


def _solve(
    candidates: Mapping[str, Sequence[Candidate[_T]]], least: str, limited: str, budget: float
) -> dict[str, Candidate[_T]]:
    """Minimise the sum of one attribute while that of another stays within a budget."""
    rows = [
        (name, c)
        for name, each in candidates.items()
        for c in undominated(each)
        if getattr(c, limited) <= budget
    ]
    cost = np.array([getattr(c, least) for _, c in rows], float)
    use = np.array([getattr(c, limited) for _, c in rows], float)
    places = {name: i for i, name in enumerate(candidates)}
    layer = [places[name] for name, _ in rows]
    for share in (1.0, 1 - _MARGIN / 10, 1 - _MARGIN):
        chosen = _milp(cost, use, layer, budget * share)
        if chosen is not None and use[chosen].sum() <= budget:
            return {rows[i][0]: rows[i][1] for i in chosen}
    return {name: min(each, key=lambda c: getattr(c, limited)) for name, each in candidates.items()}


def _milp(
    cost: npt.NDArray[np.float64],
    use: npt.NDArray[np.float64],
    layer: Sequence[int],
    budget: float,
) -> npt.NDArray[np.intp] | None:
    """Return the indices of one candidate for each layer, in the layers' order."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_matrix

    if not len(cost):
        return np.empty(0, np.intp)
    one_each = csr_matrix((np.ones(len(cost)), (layer, range(len(cost)))))
    # In numbers about 1, which tolerances are made for.
    scale, unit = cost.max() or 1.0, budget / (max(layer) + 1) or 1.0
    found = milp(
        cost / scale,
        integrality=np.ones(len(cost)),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(one_each, 1, 1),
            LinearConstraint(use[None] / unit, -np.inf, budget / unit),
        ],
        options={"mip_rel_gap": _GAP, "time_limit": _TIME_LIMIT},
    )
    if found.x is None:
        return None
    return np.flatnonzero(found.x > 0.5)


def undominated(candidates: Sequence[Candidate[_T]]) -> list[Candidate[_T]]:
    """Return the candidates that no other beats in both bits and loss, fewest bits first."""
    kept: list[Candidate[_T]] = []
    for c in sorted(candidates, key=lambda c: (c.bits, c.loss)):
        if not kept or c.loss < kept[-1].loss:
            kept.append(c)
    return kept
