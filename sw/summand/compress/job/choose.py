"""Choose what every layer gets, under a budget of streamed bits or of KL divergence."""

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import nn

from summand.compress.allocate.allocation import Candidate, allocate, allocate_loss
from summand.compress.allocate.candidates import Space, choice_bits
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.errors import CompressError
from summand.compress.job.budget import Allocation, BitBudget
from summand.compress.job.layer import check_fits
from summand.compress.job.trials import try_out
from summand.compress.network.survey import Batch, Survey, linear_of
from summand.compress.workers.parallel import Workers
from summand.recipe.choice import Choice

__all__ = ["check_target", "choose"]


def choose(
    module: nn.Module,
    batches: Sequence[Batch],
    found: Survey,
    space: Space,
    target: BitBudget,
    *,
    heads: Collection[str] = (),
    walk: ModelWalk | None = None,
    workers: Workers | None = None,
    costs: Mapping[str, torch.Tensor] | None = None,
    count: Callable[[Mapping[str, Choice]], int] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Allocation:
    """Allocate bits, groups and ranks to all layers.

    Parameters
    ----------
    batches : sequence of batches
        Text to calibrate on; sensitivity takes some of them only
        (:func:`~summand.compress.job.trials.sampled`).
    space : Space
        What layers may get.
    heads : collection of str, optional
        Layers of the output head.
    walk : ModelWalk, optional
        How to calibrate; what is in its store is not collected again.
    workers : Workers, optional
        Who tries out what layers may get, a group of layers as a job; threads by default.
    costs : mapping of str to float32 tensor, shape ``[N]``, optional
        Sensitivity of each layer's outputs, if it is known already.
    count : callable, optional
        Returns all bits that choices stream. A target of bits is met by this count; by default by
        the sum over layers, each on its own.

    Raises
    ------
    CompressError
        If the target cannot be met; the text names the nearest that can. What the smallest choices
        come to is known before anything is calibrated.
    """
    check_target(module, found, space, target, heads, count)
    candidates = try_out(
        module,
        batches,
        found,
        (space,),
        sensitivity=target.sensitivity,
        engine=target.engine,
        heads=heads,
        walk=walk,
        workers=workers,
        costs=costs,
        progress=progress,
    )
    weights = sum(linear_of(module, name).weight.numel() for name in found.layers)
    return Allocation(_within(candidates, target, weights, count), weights)


def check_target(
    module: nn.Module,
    found: Survey,
    space: Space,
    target: BitBudget,
    heads: Collection[str],
    count: Callable[[Mapping[str, Choice]], int] | None,
) -> None:
    """Refuse ranks above a layer's, what cannot be streamed, and bits that are too few for all.

    Raises
    ------
    CompressError
        Likewise.
    """
    smallest: dict[str, Choice] = {}
    known: dict[tuple[int, int, bool], Choice] = {}
    weights = total = 0
    for name in found.layers:
        linear = linear_of(module, name)
        n, k = linear.weight.shape
        size = k, n, name in heads
        if size not in known:
            known[size] = space.smallest(k, n, head=name in heads, engine=target.engine)
        choice = smallest[name] = known[size]
        check_fits(name, linear, choice)
        weights += k * n
        total += choice_bits(choice, k, n, target.engine)
    if count is not None:
        total = count(smallest)
    if target.bits is not None and total > int(target.bits * weights):
        raise _too_few(target.bits, total, weights)


def _too_few(bits: float, total: int, weights: int) -> CompressError:
    return CompressError(
        f"{bits:g} bits a weight cannot be met: what the layers may get takes "
        f"{_up(total / weights):.3f} at least; raise the target, or fix fewer options"
    )


def _within(
    candidates: Mapping[str, Sequence[Candidate[Choice]]],
    target: BitBudget,
    weights: int,
    count: Callable[[Mapping[str, Choice]], int] | None,
) -> dict[str, Candidate[Choice]]:
    """Allocate, or raise an error in the budget's own unit."""
    if target.bits is not None:
        return _within_bits(candidates, target.bits, weights, count)
    assert target.kl is not None
    least = sum(min(c.loss for c in each) for each in candidates.values())
    if target.kl < least:
        raise CompressError(
            f"a KL divergence of {target.kl:g} cannot be met: the best that the layers may get is "
            f"estimated to cost {_up(least):.3f}; raise the target, or fix fewer options"
        )
    return allocate_loss(candidates, target.kl)


def _within_bits(
    candidates: Mapping[str, Sequence[Candidate[Choice]]],
    bits: float,
    weights: int,
    count: Callable[[Mapping[str, Choice]], int] | None,
) -> dict[str, Candidate[Choice]]:
    limit = int(bits * weights)
    least = sum(min(c.bits for c in each) for each in candidates.values())
    budget = max(limit, least)
    while True:
        found = allocate(candidates, budget)
        total = count({n: c.choice for n, c in found.items()}) if count else budget
        if total <= limit:
            return found
        if budget == least:
            raise _too_few(bits, total, weights)
        # What comes on top, padding above all, is about in proportion.
        budget = max(least, min(budget - 1, budget * limit // total))


def _up(value: float) -> float:
    """Round up to three digits, so that a budget of the value that is printed can be met."""
    return -(-value * 1000 // 1) / 1000
