from dataclasses import replace

import pytest
import torch

from summand.compress import CompressError, Gptq, Iterative, RoundToNearest, WhitenedSvd
from summand.compress.solve.lowrank import output_loss, solve_alone
from summand.compress.solve.solvers import DenseProblem, LowRankProblem
from summand.compress.solve.summands import solve_summands
from summand.compress.twin.integer import quantise_tokens
from summand.recipe.options import ORDERS


def problems(seed=0, *, n=48, k=40, rank=6, bits=3, rank_bits=6, falling=False):
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(n, k, generator=g) * 0.05
    if falling:
        u, _, v = torch.linalg.svd(weight, full_matrices=False)
        weight = (u * 0.7 ** torch.arange(min(n, k))) @ v
    x = torch.randn(400, k, generator=g) * torch.exp(2 * torch.rand(k, generator=g))
    x = x @ torch.linalg.qr(torch.randn(k, k, generator=g))[0]
    xq, s_x = quantise_tokens(x, 8)
    moments = x.T @ x / len(x)
    dense = DenseProblem(
        weight=weight, bits=bits, energy=moments.diagonal(), moments=moments, limit=1 << 20
    )
    low_rank = LowRankProblem(
        target=weight,
        unit=torch.ones(n),
        rank=rank,
        bits=rank_bits,
        moments=moments,
        xq=xq,
        s_x=s_x,
        act_bits=8,
        limit=1 << 20,
    )
    return dense, low_rank


def solve(dense, low_rank, order="after", dense_solver=None, low_rank_solver=None):
    return solve_summands(
        dense,
        low_rank,
        dense_solver=dense_solver or Gptq(),
        low_rank_solver=low_rank_solver or WhitenedSvd(),
        acc_shift=4,
        order=order,
    )


def loss(low_rank, found):
    lost = low_rank.target - found.matrix()
    return float(((lost @ low_rank.moments) * lost).sum())


@pytest.mark.parametrize("order", ORDERS)
def test_a_low_rank_summand_lowers_the_error(order):
    dense, low_rank = problems()
    assert loss(low_rank, solve(dense, low_rank, order)) < loss(low_rank, solve(dense, None))


@pytest.mark.parametrize("seed", range(4))
def test_alternating_is_never_worse_than_after(seed):
    dense, low_rank = problems(seed, bits=2)
    after = loss(low_rank, solve(dense, low_rank))
    assert loss(low_rank, solve(dense, low_rank, "alternating")) <= after


def test_alternating_pays():
    losses = dict.fromkeys(ORDERS, 0.0)
    for seed in range(6):
        dense, low_rank = problems(seed, bits=2, rank=8)
        for order in ORDERS:
            losses[order] += loss(low_rank, solve(dense, low_rank, order, RoundToNearest()))
    assert losses["alternating"] < 0.97 * losses["after"]


@pytest.mark.parametrize("order", ORDERS)
def test_the_unit_is_the_shifted_scale(order):
    dense, low_rank = problems()
    found = solve(dense, low_rank, order)
    assert found.dense is not None
    assert found.acc_shift == (0 if order == "before" else 4)
    assert torch.equal(found.unit, found.dense.scale * 2.0**-found.acc_shift)


def test_dense_alone_is_not_shifted():
    found = solve(problems()[0], None)
    assert found.low_rank is None
    assert found.dense is not None
    assert torch.equal(found.unit, found.dense.scale)


@pytest.mark.parametrize("solver", [WhitenedSvd(), Iterative()])
def test_low_rank_alone_is_near_the_best_there_is(solver):
    _, low_rank = problems(rank=10, rank_bits=8, falling=True)
    found = solve(None, low_rank, low_rank_solver=solver)
    assert found.dense is None
    size = float(((low_rank.target @ low_rank.moments) * low_rank.target).sum())
    lower = torch.linalg.cholesky(low_rank.moments.double())
    values = torch.linalg.svdvals(lower.T @ low_rank.target.T.double())
    best = float(values[10:].square().sum())
    assert loss(low_rank, found) < best + 0.002 * size


def test_alone_more_bits_lose_less():
    losses = []
    for bits in (2, 3, 4, 6, 8):
        _, low_rank = problems(rank=20, rank_bits=bits, falling=True)
        solution, unit = solve_alone(low_rank, Iterative())
        losses.append(output_loss(replace(low_rank, unit=unit), solution))
    assert losses == sorted(losses, reverse=True)


def test_alone_a_matrix_of_zeros_adds_nothing():
    _, low_rank = problems()
    low_rank = replace(low_rank, target=torch.zeros_like(low_rank.target))
    found = solve(None, low_rank)
    assert bool(torch.isfinite(found.unit).all())
    assert not found.matrix().any()


def test_an_output_without_weights_is_possible():
    _, low_rank = problems(rank_bits=8)
    low_rank.target[3] = 0
    found = solve(None, low_rank)
    assert bool(torch.isfinite(found.matrix()).all())
    assert float(found.matrix()[3].abs().max()) < 1e-3 * float(low_rank.target.abs().max())


def test_nothing_at_all_is_refused():
    with pytest.raises(CompressError, match="needs a dense or a low-rank summand"):
        solve(None, None)


def test_an_unknown_order_is_refused():
    with pytest.raises(CompressError, match="after, before, alternating, not 'both'"):
        solve(*problems(), order="both")
