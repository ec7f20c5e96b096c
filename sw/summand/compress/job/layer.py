"""One layer: from its weight and statistics to its summands."""

import torch
from torch import nn

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.errors import CompressError
from summand.compress.solve.balance import transformed, transformed_weight
from summand.compress.solve.solvers import (
    DenseProblem,
    DenseSolution,
    DenseSolver,
    LowRankProblem,
    LowRankSolution,
    LowRankSolver,
)
from summand.compress.solve.summands import Summands, solve_summands
from summand.compress.twin.integer import quantise_tokens
from summand.model import Layer, Transform
from summand.recipe.choice import Choice
from summand.summands.base import Summand
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank

__all__ = [
    "check_rank",
    "check_weights",
    "compress_layer",
    "fit_layer",
]


def check_rank(name: str, linear: nn.Linear, choice: Choice) -> None:
    """Refuse a rank above the matrix's, naming the layer."""
    n, k = linear.weight.shape
    if choice.rank > min(n, k):
        raise CompressError(
            f"rank must be at most {min(n, k)}, not {choice.rank}: layer {name!r} is {n} x {k}"
        )


def check_weights(name: str, linear: nn.Linear) -> None:
    """Refuse numbers that are not finite, naming the layer."""
    for what, p in linear.named_parameters(recurse=False):
        if bad := p.numel() - int(torch.isfinite(p).sum()):
            raise CompressError(
                f"layer {name!r}: {bad} of {p.numel()} numbers of its {what} are not finite; "
                f"the checkpoint is damaged, or was saved from a run that diverged"
            )


def compress_layer(
    name: str,
    linear: nn.Linear,
    statistics: InputStatistics,
    choice: Choice,
    *,
    dense_solver: DenseSolver,
    low_rank_solver: LowRankSolver,
    transform: Transform | None = None,
) -> Layer:
    """Compress one layer; depends on nothing else.

    ``statistics`` are of the layer's input as the model has it, before ``transform``.

    Raises
    ------
    CompressError
        If its rank is above the matrix's, or no scale keeps its accumulators from overflowing.
    """
    check_rank(name, linear, choice)
    return fit_layer(
        name,
        transformed_weight(linear.weight.detach().to("cpu", torch.float32), transform),
        linear.bias,
        transformed(statistics, transform),
        choice,
        dense_solver=dense_solver,
        low_rank_solver=low_rank_solver,
        transform=transform,
    )


def fit_layer(
    name: str,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    statistics: InputStatistics,
    choice: Choice,
    *,
    dense_solver: DenseSolver,
    low_rank_solver: LowRankSolver,
    transform: Transform | None,
) -> Layer:
    """Compress a weight ``[N, K]``; ``transform`` has been applied to it and to ``statistics``.

    Raises as :func:`compress_layer` does.
    """
    try:
        dense, low_rank = _problems(weight, statistics, choice, moments=dense_solver.needs_moments)
        solved = solve_summands(
            dense,
            low_rank,
            dense_solver=dense_solver,
            low_rank_solver=low_rank_solver,
            acc_shift=choice.acc_shift,
            order=choice.rank_order,
        )
    except CompressError as e:
        raise CompressError(f"layer {name!r}: {e}") from None
    n, k = weight.shape
    layer = Layer(
        name=name,
        in_features=k,
        out_features=n,
        act_bits=choice.act_bits,
        summands=_summands(solved, choice),
        scale=solved.unit.numpy(),
        bias=None if bias is None else bias.detach().to("cpu", torch.float32).numpy(),
        transform=transform,
    )
    if layer.acc_bits > choice.acc_bits:
        raise CompressError(
            f"layer {name!r} needs accumulators of {layer.acc_bits} bits, more than the "
            f"{choice.acc_bits} there are; raise acc_bits, or lower acc_shift or act_bits"
        )
    return layer


def _problems(
    weight: torch.Tensor, statistics: InputStatistics, choice: Choice, *, moments: bool
) -> tuple[DenseProblem | None, LowRankProblem | None]:
    """Return what the solvers are given; ``moments`` says whether the dense one needs them."""
    worst = 1 << (choice.act_bits - 1)
    room = ((1 << (choice.acc_bits - 1)) - 1) // worst
    # What the low-rank summand may add at most, before anything is known about it.
    reserved = choice.rank << (choice.rank_bits - 1)
    dense = low_rank = None
    if choice.bits:
        dense = DenseProblem(
            weight=weight,
            bits=choice.bits,
            energy=statistics.energy,
            moments=statistics.moments if moments else None,
            limit=(room - reserved) >> choice.acc_shift,
            group=choice.group,
            scale_bits=choice.scale_bits,
        )
    if choice.rank:
        assert statistics.moments is not None
        xq, s_x = quantise_tokens(statistics.sample, choice.act_bits)
        low_rank = LowRankProblem(
            target=weight,
            unit=torch.ones(len(weight)),
            rank=choice.rank,
            bits=choice.rank_bits,
            moments=statistics.moments,
            xq=xq,
            s_x=s_x,
            act_bits=choice.act_bits,
            limit=room,
        )
    return dense, low_rank


def _summands(solved: Summands, choice: Choice) -> tuple[Summand, ...]:
    found: list[Summand] = []
    if solved.dense is not None:
        found.append(_dense(solved.dense, choice))
    if solved.low_rank is not None:
        found.append(_low_rank(solved.low_rank, choice.rank_bits, solved.acc_shift))
    return tuple(found)


def _dense(solution: DenseSolution, choice: Choice) -> Dense:
    scales = solution.scales
    return Dense(
        solution.weights.T.contiguous().numpy(),
        choice.bits,
        scales=None if scales is None else scales.T.contiguous().numpy(),
        scale_bits=choice.scale_bits,
        group=choice.group,
    )


def _low_rank(solution: LowRankSolution, bits: int, acc_shift: int) -> LowRank:
    return LowRank(
        a=solution.a.contiguous().numpy(),
        a_bits=bits,
        b=solution.b.contiguous().numpy(),
        b_bits=bits,
        mult=solution.mult.numpy().astype("uint16"),
        shift=solution.shift.numpy().astype("uint8"),
        acc_shift=acc_shift,
    )
