"""From a module and some text to compressed layers."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.calibrate.walk import LoadedPart, ModelWalk
from summand.compress.errors import CompressError, is_out_of_memory
from summand.compress.importers import Keeper
from summand.compress.network.survey import Batch, Survey, linear_of
from summand.compress.solve.balance import choose_transform, transformed, transformed_weight
from summand.compress.solve.lowrank import is_singular
from summand.compress.solve.named import DENSE_SOLVERS, LOW_RANK_SOLVERS
from summand.compress.solve.solvers import (
    DenseProblem,
    DenseSolution,
    DenseSolver,
    LowRankProblem,
    LowRankSolution,
    LowRankSolver,
)
from summand.compress.solve.summands import Summands, solve_summands
from summand.compress.twin.error import output_error
from summand.compress.twin.integer import quantise_tokens
from summand.compress.workers.parallel import Workers
from summand.model import Layer, Transform
from summand.recipe.choice import Choice
from summand.summands.base import Summand
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank

__all__ = [
    "check_rank",
    "check_weights",
    "compress_layer",
    "compress_layers",
    "fit_layer",
]


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
    """Compress a weight ``[N, K]``; it and ``statistics`` are behind ``transform``.

    Raises as :func:`compress_layer` does.
    """
    n, k = weight.shape
    worst = 1 << (choice.act_bits - 1)
    room = ((1 << (choice.acc_bits - 1)) - 1) // worst
    # What the low-rank summand may add at most, before anything is known about it.
    reserved = choice.rank << (choice.rank_bits - 1)
    try:
        dense = low_rank = None
        if choice.bits:
            dense = DenseProblem(
                weight=weight,
                bits=choice.bits,
                energy=statistics.energy,
                moments=statistics.moments if dense_solver.needs_moments else None,
                limit=(room - reserved) >> choice.acc_shift,
                group=choice.group,
                scale_bits=choice.scale_bits,
            )
        if choice.rank:
            assert statistics.moments is not None
            xq, s_x = quantise_tokens(statistics.sample, choice.act_bits)
            low_rank = LowRankProblem(
                target=weight,
                unit=torch.ones(n),
                rank=choice.rank,
                bits=choice.rank_bits,
                moments=statistics.moments,
                xq=xq,
                s_x=s_x,
                act_bits=choice.act_bits,
                limit=room,
            )
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


def compress_layers(
    module: nn.Module,
    batches: Sequence[Batch],
    found: Survey,
    choices: Mapping[str, Choice],
    *,
    dense_solver: DenseSolver | None = None,
    low_rank_solver: LowRankSolver | None = None,
    keeper: Keeper | None = None,
    walk: ModelWalk | None = None,
    workers: Workers | None = None,
    finished: Collection[str] = (),
    progress: Callable[[str, int, int], None] | None = None,
    notice: Callable[[str], None] | None = None,
) -> Iterator[tuple[Layer, float]]:
    """Compress every layer of a survey, one after another.

    Parameters
    ----------
    module : nn.Module
        Left as it is.
    batches : sequence of batches
        What it is called with to calibrate.
    found : Survey
        From :func:`~summand.compress.network.survey.survey`.
    choices : mapping
        What each layer of the survey gets; from
        :func:`~summand.recipe.choice.choices_of`.
    dense_solver, low_rank_solver : optional
        Take the place of the solvers that the choices name.
    keeper : Keeper, optional
        Takes over as they are what layers it can, from a quantised checkpoint. Their inputs, which
        other layers may share, are not transformed.
    walk : ModelWalk, optional
        How to go through the module; the whole of it at once by default.
    workers : Workers, optional
        Who compresses the layers, each as a job of its own; threads by default.
    finished : collection of str
        Layers to leave out.
    progress : callable, optional
        Called with what is being done, how much of it is done, and how much there is.
    notice : callable, optional
        Called with a sentence if inputs do not go in every direction on the text, so that damping
        decides what happens there.

    Yields
    ------
    Layer, float
        In the walk's order, which is the survey's without stages, each with its relative output
        error on calibration tokens.
    """
    walk = walk or ModelWalk()
    solvers = {name: dense_solver or DENSE_SOLVERS[choices[name].solver]() for name in found.layers}
    linears = {name: linear_of(module, name) for name in found.layers}
    for name, linear in linears.items():
        if walk.weights is None:
            check_weights(name, linear)
        check_rank(name, linear, choices[name])
    total = sum(linear.weight.numel() for linear in linears.values())
    done = sum(linears[name].weight.numel() for name in finished)
    kept = keeper.kinds if keeper else {}
    singular: list[str] = []

    def jobs(part: LoadedPart) -> Iterator[_Job]:
        for group in part.groups:
            seen = part.statistics[group[0]]
            if notice and seen.moments is not None and is_singular(seen.moments):
                singular.append(group[0])
            transform = None
            if not any(name in kept for name in group):
                transform = choose_transform(
                    [linears[name].weight.detach() for name in group],
                    seen.energy,
                    balance=choices[group[0]].balance,
                    rotate=choices[group[0]].rotate,
                    seed=0,
                )
            for name in group:
                if name in finished:
                    continue
                taken = None
                if keeper is not None and name in kept:
                    taken = keeper.take(module, name, seen.sample)
                yield _Job(
                    name=name,
                    linear=linears[name],
                    statistics=seen,
                    choice=choices[name],
                    dense_solver=solvers[name],
                    low_rank_solver=low_rank_solver or LOW_RANK_SOLVERS[choices[name].rank_solver],
                    transform=transform,
                    taken=taken,
                )

    parts = walk.parts(
        module,
        batches,
        [group for group in found.groups if not all(name in finished for name in group)],
        moments=[
            group[0]
            for group in found.groups
            if any(choices[name].rank or solvers[name].needs_moments for name in group)
        ],
        progress=None if progress is None else lambda i, n: progress("calibrating", i, n),
    )
    with workers or Workers() as working:
        for part in parts:
            if walk.weights is not None:
                for name in (name for group in part.groups for name in group):
                    check_weights(name, linears[name])
            for layer, error in working.map(_compress, jobs(part)):
                yield layer, error
                done += layer.in_features * layer.out_features
                if progress:
                    progress("compressing", done, total)
            del part  # before the next is collected
    if notice and singular:
        notice(
            f"the inputs of {len(singular)} of {len(found.groups)} groups of layers, the first of "
            f"them {singular[0]!r}, do not go in every direction on the calibration text; their "
            f"moments were damped; more text does better"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Job:
    """All that compressing a layer needs, wherever it is done."""

    name: str
    linear: nn.Linear
    statistics: InputStatistics
    choice: Choice
    dense_solver: DenseSolver
    low_rank_solver: LowRankSolver
    transform: Transform | None
    taken: Layer | None


def _compress(job: _Job) -> tuple[Layer, float]:
    """Compress a layer, unless it was taken over as it is, and measure its error."""
    try:
        layer = job.taken or compress_layer(
            job.name,
            job.linear,
            job.statistics,
            job.choice,
            dense_solver=job.dense_solver,
            low_rank_solver=job.low_rank_solver,
            transform=job.transform,
        )
        return layer, output_error(job.linear, layer, job.statistics.sample[:256])
    except (MemoryError, RuntimeError) as e:
        if not is_out_of_memory(e):
            raise
        n, k = job.linear.weight.shape
        raise CompressError(
            f"out of memory at layer {job.name!r}, which is {n} x {k}; use fewer workers, or a "
            f"machine with more memory"
        ) from None


def check_rank(name: str, linear: nn.Linear, choice: Choice) -> None:
    """Refuse a rank above the matrix's, naming the layer."""
    n, k = linear.weight.shape
    if choice.rank > min(n, k):
        raise CompressError(
            f"rank must be at most {min(n, k)}, not {choice.rank}: layer {name!r} is {n} x {k}"
        )
