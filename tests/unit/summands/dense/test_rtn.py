import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import summand.summands.scaling as scaling
from summand.summands.dense.solve import RoundToNearest
from summand.summands.dense.solve.problem import DenseProblem
from summand.summands.errors import SolveError
from summand.summands.grid import Grid


def levels(bits, half_step=False):
    """Return the weights that there are, in ascending order."""
    integers = range(-(1 << (bits - 1)), 1 << (bits - 1))
    return [2 * q + 1 for q in integers] if half_step else list(integers)


def problem(seed, *, n=12, k=40, bits=4, half_step=False, limit=1 << 24, spread=1.0):
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(n, k, generator=g) * torch.exp(spread * torch.randn(n, 1, generator=g))
    energy = torch.rand(k, generator=g) + 0.01
    return DenseProblem(
        weight=weight, grid=Grid(bits, half_step), energy=energy, moments=None, limit=limit
    )


def error(given, solution):
    return (given.weight - solution.matrix()).square() @ given.energy


@settings(deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 8),
    st.booleans(),
    st.integers(1, 20),
    st.integers(1, 50),
)
def test_integers_fit_and_are_the_nearest(seed, bits, half_step, n, k):
    given_ = problem(seed, n=n, k=k, bits=bits, half_step=half_step)
    solution = RoundToNearest().solve(given_)
    allowed = levels(bits, half_step)
    assert solution.scale.dtype == torch.float32
    assert set(solution.weights.flatten().tolist()) <= set(allowed)
    step = allowed[1] - allowed[0]
    for by in (-step, step):  # no neighbour is better
        other = (solution.weights + by).clamp(allowed[0], allowed[-1]) * solution.scale[:, None]
        gain = (given_.weight - solution.matrix()).abs() - (given_.weight - other).abs()
        assert float(gain.max()) <= 1e-5 * float(given_.weight.abs().max())


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(2, 8))
def test_searching_is_no_worse_than_the_largest_weight(seed, bits):
    given_ = problem(seed, bits=bits)
    high = levels(bits)[-1]
    scale = given_.weight.abs().amax(dim=1, keepdim=True) / high
    plain = (given_.weight - (given_.weight / scale).round() * scale).square() @ given_.energy
    found = error(given_, RoundToNearest().solve(given_))
    assert bool((found <= plain * (1 + 1e-4)).all())


@pytest.mark.parametrize("half_step", [False, True])
def test_more_bits_lose_less(half_step):
    losses = [
        float(error(p, RoundToNearest().solve(p)).sum())
        for p in (problem(1, k=200, bits=bits, half_step=half_step) for bits in range(1, 9))
    ]
    assert all(b < a for a, b in zip(losses, losses[1:], strict=False))


@pytest.mark.parametrize(
    ("bits", "whole", "half"),
    [(1, 0.5951, 0.3634), (2, 0.1494, 0.1188), (3, 0.0406, 0.0374), (4, 0.0119, 0.0115)],
)
def test_normal_weights_lose_what_theory_says(bits, whole, half):
    """Square errors of the best uniform steps for a normal distribution of variance 1."""
    weight = torch.randn(4, 100_000, generator=torch.Generator().manual_seed(3))
    for half_step, expected in ((False, whole), (True, half)):
        given_ = DenseProblem(
            weight=weight,
            grid=Grid(bits, half_step),
            energy=torch.full((100_000,), 1e-5),
            moments=None,
            limit=1 << 40,
        )
        found = error(given_, RoundToNearest().solve(given_))
        torch.testing.assert_close(found, torch.full((4,), expected), rtol=0.03, atol=0)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("half_step", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_weights_on_a_grid_are_kept(bits, half_step, sign):
    """The scale takes either sign, so that two's complement's extra value is used."""
    q = torch.tensor([levels(bits, half_step)]).repeat(3, 1)
    weight = q * torch.tensor([[0.25], [1.0], [3.0]]) * sign
    given_ = DenseProblem(
        weight=weight,
        grid=Grid(bits, half_step),
        energy=torch.ones(q.shape[1]),
        moments=None,
        limit=1 << 24,
    )
    solution = RoundToNearest().solve(given_)
    torch.testing.assert_close(solution.matrix(), weight)


@pytest.mark.parametrize("half_step", [False, True])
def test_rows_of_zero_stay_zero(half_step):
    """No half-step weight is 0, but the smallest scale makes all of them as good as 0."""
    given_ = problem(1, half_step=half_step)
    given_.weight[3] = 0
    solution = RoundToNearest().solve(given_)
    assert float(solution.matrix()[3].abs().max()) < 1e-27
    assert bool(torch.isfinite(solution.scale).all())
    assert bool((solution.scale != 0).all())


def test_loud_inputs_count_more():
    quiet = problem(5, n=30, bits=3)
    energy = quiet.energy.clone()
    energy[0] = 1e6
    loud = dataclasses.replace(quiet, energy=energy)

    def first(p):
        return float((p.weight - RoundToNearest().solve(p).matrix())[:, 0].square().sum())

    assert first(loud) < first(quiet) / 4


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 8), st.integers(0, 300), st.booleans())
def test_magnitudes_stay_within_the_limit(seed, bits, limit, half_step):
    if half_step:
        limit += 40  # no weight is less than 1
    solution = RoundToNearest().solve(problem(seed, bits=bits, limit=limit, half_step=half_step))
    assert int(solution.weights.abs().sum(dim=1, dtype=torch.int64).max()) <= limit


def test_a_generous_limit_changes_nothing():
    free, bound = problem(2), problem(2, limit=12 * 40 * 8)
    assert torch.equal(RoundToNearest().solve(free).weights, RoundToNearest().solve(bound).weights)


def test_no_room_at_all_is_refused():
    with pytest.raises(SolveError, match="raise acc_bits"):
        RoundToNearest().solve(problem(1, limit=-1))


def test_pieces_do_not_matter(monkeypatch):
    whole = RoundToNearest().solve(problem(3, n=33))
    monkeypatch.setattr(scaling, "_CHUNK", 100)
    pieces = RoundToNearest().solve(problem(3, n=33))
    assert torch.equal(whole.weights, pieces.weights)
