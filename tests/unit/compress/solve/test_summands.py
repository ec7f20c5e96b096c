import dataclasses

import numpy as np
import pytest
import torch

from summand.compress import CompressError
from summand.compress.job.layer import methods_of
from summand.compress.solve.summands import solve_summands
from summand.compress.twin.integer import quantise_tokens
from summand.recipe.choice import Choice
from summand.recipe.options import Options
from summand.summands.base import Summand
from summand.summands.dense import Dense, DenseChoice
from summand.summands.errors import SolveError
from summand.summands.lowrank import LowRank, LowRankChoice
from summand.summands.lowrank.options import ORDERS
from summand.summands.outliers import Outliers
from summand.summands.solving import Inputs, Method, Part


def layer(seed=0, *, n=48, k=40, falling=False):
    """Return a weight and its inputs."""
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(n, k, generator=g) * 0.05
    if falling:
        u, _, v = torch.linalg.svd(weight, full_matrices=False)
        weight = (u * 0.7 ** torch.arange(min(n, k))) @ v
    x = torch.randn(400, k, generator=g) * torch.exp(2 * torch.rand(k, generator=g))
    x = x @ torch.linalg.qr(torch.randn(k, k, generator=g))[0]
    xq, s_x = quantise_tokens(x, 8)
    moments = x.T @ x / len(x)
    return weight, Inputs(energy=moments.diagonal(), moments=moments, xq=xq, s_x=s_x, act_bits=8)


def solve(weight, inputs, **more):
    """Solve as options say; by default with dense and low-rank summands."""
    options = dataclasses.replace(Options(bits=3, rank=6, rank_bits=6), **more)
    chosen = Choice.of(options, head=False)
    methods = methods_of(chosen)
    return solve_summands(
        weight, inputs, tuple(zip(chosen.summands, methods, strict=True)), acc_bits=28
    )


def loss(weight, inputs, found):
    lost = weight - found.matrix()
    return float(((lost @ inputs.moments) * lost).sum())


@pytest.mark.parametrize("order", ORDERS)
def test_a_low_rank_summand_lowers_the_error(order):
    case = layer()
    assert loss(*case, solve(*case, rank_order=order)) < loss(*case, solve(*case, rank=0))


@pytest.mark.parametrize("seed", range(4))
def test_alternating_is_never_worse_than_after(seed):
    case = layer(seed)
    after = loss(*case, solve(*case, bits=2))
    assert loss(*case, solve(*case, bits=2, rank_order="alternating")) <= after


def test_alternating_pays():
    losses = dict.fromkeys(ORDERS, 0.0)
    for seed in range(6):
        case = layer(seed)
        for order in ORDERS:
            found = solve(*case, bits=2, rank=8, solver="rtn", rank_order=order)
            losses[order] += loss(*case, found)
    assert losses["alternating"] < 0.97 * losses["after"]


@pytest.mark.parametrize("order", ORDERS)
def test_the_unit_is_the_shifted_scale(order):
    found = solve(*layer(), rank_order=order)
    dense, low_rank = found.summands
    assert isinstance(dense, Dense)
    assert isinstance(low_rank, LowRank)
    assert low_rank.acc_shift == (0 if order == "before" else 4)
    assert torch.equal(found.unit, found.parts[0].unit * 2.0**-low_rank.acc_shift)


def test_dense_alone_is_not_shifted():
    found = solve(*layer(), rank=0)
    (dense,) = found.summands
    assert dense.acc_shift == 0
    assert torch.equal(found.unit, found.parts[0].unit)


@pytest.mark.parametrize("solver", ["whitened", "iterative"])
def test_low_rank_alone_is_near_the_best_there_is(solver):
    weight, inputs = layer(falling=True)
    assert inputs.moments is not None
    found = solve(weight, inputs, bits=0, rank=10, rank_bits=8, rank_solver=solver)
    (low_rank,) = found.summands
    assert isinstance(low_rank, LowRank)
    size = float(((weight @ inputs.moments) * weight).sum())
    lower = torch.linalg.cholesky(inputs.moments.double())
    values = torch.linalg.svdvals(lower.T @ weight.T.double())
    best = float(values[10:].square().sum())
    assert loss(weight, inputs, found) < best + 0.002 * size


def test_alone_a_matrix_of_zeros_adds_nothing():
    weight, inputs = layer()
    found = solve(torch.zeros_like(weight), inputs, bits=0)
    assert bool(torch.isfinite(found.unit).all())
    assert not found.matrix().any()


def test_an_output_without_weights_is_possible():
    weight, inputs = layer()
    weight[3] = 0
    found = solve(weight, inputs, bits=0, rank_bits=8)
    assert bool(torch.isfinite(found.matrix()).all())
    assert float(found.matrix()[3].abs().max()) < 1e-3 * float(weight.abs().max())


def test_nothing_at_all_is_refused():
    with pytest.raises(CompressError, match="needs a dense or a low-rank summand"):
        solve_summands(*layer(), (), acc_bits=28)


def test_an_unknown_order_is_refused():
    choice = LowRankChoice(rank=6, bits=6, order="both")
    given = Choice(summands=(choice,), act_bits=8, acc_bits=28)
    with pytest.raises(SolveError, match="after, before, alternating, not 'both'"):
        solve_summands(
            *layer(), tuple(zip(given.summands, methods_of(given), strict=True)), acc_bits=28
        )


def test_a_dense_summand_comes_first():
    both = (LowRankChoice(rank=6, bits=6), DenseChoice(bits=3))
    given = Choice(summands=both, act_bits=8, acc_bits=28)
    with pytest.raises(SolveError, match="a dense summand must be the first"):
        solve_summands(*layer(), tuple(zip(both, methods_of(given), strict=True)), acc_bits=28)


class Noted(Method):
    """Takes a share of what is left, and notes what it is given."""

    def __init__(self, share):
        self.share, self.tasks = share, []

    @property
    def needs_moments(self):
        return False

    def solve(self, task):
        self.tasks.append(task)
        unit = torch.ones(len(task.weight)) if task.unit is None else task.unit / 2
        return Part(
            Dense(torch.zeros(40, 48, dtype=torch.int8).numpy(), 1),
            unit,
            lambda: task.weight * self.share,
        )


def test_any_number_of_summands_each_take_what_is_left():
    weight, inputs = layer()
    methods = [Noted(0.5), Noted(0.25), Noted(1.0)]
    choices = (
        DenseChoice(bits=3),
        LowRankChoice(rank=4, bits=3, acc_shift=4),
        LowRankChoice(rank=2, bits=5, acc_shift=1),
    )
    found = solve_summands(weight, inputs, tuple(zip(choices, methods, strict=True)), acc_bits=20)
    given = [method.tasks[0] for method in methods]
    assert [len(method.tasks) for method in methods] == [1, 1, 1]
    assert [float((task.weight / weight).mean()) for task in given] == pytest.approx(
        [1, 0.5, 0.375]
    )
    assert [task.unit is None for task in given] == [True, False, False]
    torch.testing.assert_close(found.matrix(), weight)
    assert float(found.unit[0]) == 0.25
    room = (2**19 - 1) // 128
    assert {task.room for task in given} == {room}
    assert [task.limit for task in given] == [((room - 32 >> 1) - 16) >> 4, 16, 32]
    assert all(isinstance(summand, Summand) for summand in found.summands)


def test_outliers_beside_borders_leave_room_for_each_other():
    """What borders multiply counts in what outliers hold back."""
    weight, inputs = layer()
    lift = torch.repeat_interleave(torch.tensor([1, 16]), torch.tensor([8, 32]))
    inputs = dataclasses.replace(inputs, xq=inputs.xq * lift, lift=lift)
    for acc_bits in (22, 24):
        chosen = Choice.of(Options(bits=4, outliers="2:4", outlier_bits=6), head=False)
        pairs = tuple(zip(chosen.summands, methods_of(chosen), strict=True))
        found = solve_summands(weight, inputs, pairs, acc_bits=acc_bits)
        dense, outliers = found.summands
        assert isinstance(dense, Dense)
        assert isinstance(outliers, Outliers)
        most = sum(abs(s.weights.astype(int)).T @ lift.numpy() for s in (dense, outliers))
        assert np.max(most) * 128 < 1 << (acc_bits - 1)
