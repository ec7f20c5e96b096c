"""GPTQ against a naive version of itself, and against rounding to nearest."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.summands.dense.solve import Gptq, RoundToNearest
from summand.summands.dense.solve.descent import descend, refine, refit
from summand.summands.dense.solve.grouping import Scales
from summand.summands.dense.solve.problem import DenseProblem, DenseSolution
from summand.summands.errors import SolveError
from summand.summands.grid import Grid

FIXED = settings(deadline=None, derandomize=True, max_examples=25)


def problem(
    seed, *, n=12, k=80, bits=4, half_step=False, group=0, scale_bits=6, limit=1 << 24
) -> DenseProblem:
    """Return a problem whose inputs are correlated, as those of real layers are."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(400, 9, generator=g) @ torch.randn(9, k, generator=g)
    x = (x + 0.3 * torch.randn(400, k, generator=g)) * torch.exp(torch.randn(k, generator=g))
    moments = x.T @ x / len(x)
    return DenseProblem(
        weight=torch.randn(n, k, generator=g) * torch.exp(torch.randn(n, 1, generator=g)),
        grid=Grid(bits, half_step),
        energy=moments.diagonal().clone(),
        moments=moments,
        limit=limit,
        group=group,
        scale_bits=scale_bits if group else 0,
    )


def loss(given: DenseProblem, solution: DenseSolution) -> float:
    assert given.moments is not None
    lost = given.weight - solution.matrix()
    return float(((lost @ given.moments) * lost).sum())


def naive(given: DenseProblem, steps: torch.Tensor, damping: float) -> torch.Tensor:
    """One weight after another, with a new inverse for the remaining ones each time."""
    assert given.moments is not None
    low, high = -(1 << (given.grid.bits - 1)), (1 << (given.grid.bits - 1)) - 1
    k = given.weight.shape[1]
    h = given.moments.double()
    h = h + torch.eye(k) * damping * h.diagonal().mean()
    w, q = given.weight.double().clone(), torch.zeros(given.weight.shape)
    left = given.energy.argsort(descending=True, stable=True).tolist()
    while left:
        i, *rest = left
        inverse = torch.linalg.inv(h[left][:, left])
        q[:, i] = (w[:, i] / steps[:, i]).round().clamp(low, high)
        lost = (w[:, i] - q[:, i] * steps[:, i]) / inverse[0, 0]
        w[:, rest] -= lost[:, None] * inverse[0, 1:]
        left = rest
    return q.to(torch.int16)


@pytest.mark.parametrize("group", [0, 16])
@pytest.mark.parametrize("block", [7, 64])
def test_integers_are_those_of_the_naive_version(group, block):
    given = problem(1, n=6, k=40, group=group)
    steps = Scales.search(given, steps=18, refinements=2).steps(40).expand(-1, 40)
    want = naive(given, steps, 0.1)
    got = Gptq(block=block, rounds=0).solve(given)
    # Float32 against float64: a weight may fall on the other side of a half.
    assert (got.weights != want).float().mean() < 0.02


@FIXED
@given(
    st.integers(0, 10**6),
    st.sampled_from([2, 3, 4, 8]),
    st.booleans(),
    st.sampled_from([0, 16, 24]),
    st.sampled_from([1, 4, 8]),
)
def test_solutions_are_in_range_and_better_than_rounding(seed, bits, half_step, group, scale_bits):
    given = problem(seed, bits=bits, half_step=half_step, group=group, scale_bits=scale_bits)
    got = Gptq().solve(given)
    integers = range(-(1 << (bits - 1)), 1 << (bits - 1))
    allowed = {2 * q + 1 for q in integers} if half_step else set(integers)
    assert set(got.weights.flatten().tolist()) <= allowed
    if group:
        assert got.scales is not None
        assert got.scales.shape == (12, -(-80 // group))
        assert int(got.scales.min()) >= 1
        assert int(got.scales.max()) < 1 << scale_bits
    assert loss(given, got) < loss(given, RoundToNearest().solve(given))


def test_group_scales_are_better_than_one_an_output_and_more_bits_than_fewer():
    losses = [
        loss(given, Gptq().solve(given))
        for given in (
            problem(3, n=40),
            problem(3, n=40, group=16, scale_bits=1),
            problem(3, n=40, group=16, scale_bits=6),
        )
    ]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("group", [0, 20])
def test_refitted_scales_are_better_and_near_the_best(group):
    given = problem(4, n=5, group=group, scale_bits=8)
    assert given.moments is not None
    found = Gptq(rounds=0).solve(given)
    best = refit(given, found, given.moments)
    assert loss(given, best) < loss(given, found)
    assert torch.equal(best.weights, found.weights)
    for by in (0.99, 1.01):
        other = dataclasses.replace(best, scale=best.scale * by)
        assert loss(given, other) > loss(given, best)


def test_descent_leaves_no_single_integer_to_improve():
    given = problem(9, n=3, k=20, group=5)
    assert given.moments is not None
    found = Gptq(rounds=0).solve(given)
    for _ in range(20):
        found = descend(given, found, given.moments)
    least = loss(given, found)
    for row in range(3):
        for i in range(20):
            for by in (-1, 1):
                other = found.weights.clone()
                moved = int(other[row, i]) + by
                if -8 <= moved <= 7:
                    other[row, i] = moved
                    worse = dataclasses.replace(found, weights=other)
                    assert loss(given, worse) >= least * (1 - 1e-5)


def test_refining_never_makes_an_output_worse():
    given = problem(10, bits=3, group=16, limit=4000)
    assert given.moments is not None
    start = Gptq(rounds=0).solve(given)
    done = refine(given, start, given.moments, rounds=3)
    assert int(done.integers().abs().sum(dim=1).max()) <= 4000
    before, after = (
        ((lost @ given.moments) * lost).sum(dim=1)
        for lost in (given.weight - start.matrix(), given.weight - done.matrix())
    )
    assert (after <= before * (1 + 1e-5)).all()
    assert after.sum() < 0.97 * before.sum()


def test_outputs_are_cut_up_to_bound_memory(monkeypatch):
    given = problem(8, n=11, group=16)
    whole = Gptq().solve(given)
    monkeypatch.setattr("summand.summands.dense.solve.gptq._OUTPUTS", 4)
    part = Gptq().solve(given)
    assert part.weights.shape == whole.weights.shape
    assert (part.weights == whole.weights).float().mean() > 0.99


@pytest.mark.parametrize("group", [0, 16])
def test_accumulators_cannot_overflow(group):
    free = Gptq().solve(problem(5, bits=8, group=group))
    limit = int(free.integers().abs().sum(dim=1).max()) // 3
    tight = Gptq().solve(problem(5, bits=8, group=group, limit=limit))
    assert int(tight.integers().abs().sum(dim=1).max()) <= limit


def test_a_limit_that_no_scale_can_keep_is_refused():
    with pytest.raises(SolveError, match="raise acc_bits"):
        Gptq().solve(problem(6, group=16, limit=-1))


def test_inputs_that_never_vary_are_damped():
    given = problem(7)
    assert given.moments is not None
    given.moments[:, 10:20] = 0
    given.moments[10:20] = 0
    assert torch.isfinite(Gptq().solve(given).matrix()).all()


def test_results_do_not_depend_on_how_a_layer_is_cut():
    """Outputs are independent of each other: a solver may be given any of them."""
    given = problem(8, n=10, group=16)
    whole = Gptq().solve(given)
    part = Gptq().solve(dataclasses.replace(given, weight=given.weight[3:7].clone()))
    same = (part.weights == whole.weights[3:7]).float().mean()
    assert same > 0.99
