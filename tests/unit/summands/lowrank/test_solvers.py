import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.compress.twin.integer import quantise_tokens
from summand.summands.errors import SolveError
from summand.summands.integers import requantise
from summand.summands.lowrank.solve import Iterative, PlainSvd, WhitenedSvd
from summand.summands.lowrank.solve.intermediate import requantisation
from summand.summands.lowrank.solve.iterative import _Leader
from summand.summands.lowrank.solve.problem import LowRankProblem
from summand.summands.lowrank.solve.ranks import Ranks, svd_basis

SOLVERS = (
    PlainSvd(),
    WhitenedSvd(),
    Iterative(),
    Iterative(whitened=False),
)


@given(st.floats(2**-30, 2**14))
def test_requantisation_is_near_and_in_range(ratio):
    mult, shift = requantisation(ratio)
    assert 0 < mult <= 65535
    assert 1 <= shift <= 47
    assert abs(mult / 2**shift - ratio) <= ratio * 2**-15


@pytest.mark.parametrize("ratio", [0.0, 1e-30, 2.0**-47])
def test_tiny_ratios_are_in_range_too(ratio):
    mult, shift = requantisation(ratio)
    assert 0 <= mult <= 65535
    assert 1 <= shift <= 47


def test_huge_ratios_saturate():
    assert requantisation(1e9) == (65535, 1)


def problem(seed, *, n=40, k=32, rank=4, bits=8, act_bits=8, limit=1 << 24, decay=0.6, loud=3.0):
    """A target with a falling spectrum, and inputs with some large features."""
    g = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(n, n, generator=g))[0]
    right = torch.linalg.qr(torch.randn(k, k, generator=g))[0]
    size = min(n, k)
    target = (left[:, :size] * decay ** torch.arange(size)) @ right[:size] * 0.01
    x = torch.randn(300, k, generator=g) * torch.exp(loud * torch.rand(k, generator=g))
    xq, s_x = quantise_tokens(x, act_bits)
    return LowRankProblem(
        target=target,
        unit=torch.full((n,), 4e-5) * (1 + torch.rand(n, generator=g)),
        rank=rank,
        bits=bits,
        moments=x.T @ x / len(x),
        xq=xq,
        s_x=s_x,
        act_bits=act_bits,
        limit=limit,
    )


def output(given_, solution):
    """The integers' contribution to the output for the sampled tokens."""
    acc = (given_.xq.double() @ solution.a.double()).numpy().astype(np.int64)
    t = requantise(acc, solution.mult.numpy(), solution.shift.numpy(), given_.act_bits)
    t = torch.from_numpy(t).double()
    return (t @ solution.b.double()) * given_.s_x * given_.unit


def loss(given_, solution):
    want = (given_.xq * given_.s_x).double() @ given_.target.T.double()
    return float((want - output(given_, solution)).norm() / want.norm())


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(SOLVERS),
    st.integers(0, 10**6),
    st.sampled_from([(40, 32), (20, 32), (5, 3), (1, 7)]),
    st.integers(1, 8),
    st.integers(4, 10),
)
def test_factors_fit(solver, seed, shape, bits, act_bits):
    n, k = shape
    rank = min(4, n, k)
    given_ = problem(seed, n=n, k=k, rank=rank, bits=bits, act_bits=act_bits)
    solution = solver.solve(given_)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    for factor, size in ((solution.a, (k, rank)), (solution.b, (rank, n))):
        assert factor.dtype == torch.int8
        assert factor.shape == size
        assert low <= int(factor.min())
        assert int(factor.max()) <= high
    assert int(solution.mult.min()) >= 0
    assert int(solution.mult.max()) <= 65535
    assert int(solution.shift.min()) >= 1
    assert int(solution.shift.max()) <= 47


def test_quantised_factors_are_near_the_best_there_are():
    given_ = problem(1, rank=6)
    x = (given_.xq * given_.s_x).double()
    best = x @ given_.target.T.double()
    u, s, v = torch.linalg.svd(best, full_matrices=False)
    limit = float((best - (u[:, :6] * s[:6]) @ v[:6]).norm() / best.norm())
    found = loss(given_, WhitenedSvd().solve(given_))
    assert found < limit + 0.03
    assert found < 0.15


def test_more_rank_and_more_bits_lose_less():
    losses = [loss(p, WhitenedSvd().solve(p)) for p in (problem(2, rank=r) for r in (1, 2, 4, 8))]
    assert losses == sorted(losses, reverse=True)
    losses = [loss(p, WhitenedSvd().solve(p)) for p in (problem(2, bits=b) for b in (2, 3, 5, 8))]
    assert losses == sorted(losses, reverse=True)


def test_whitening_pays():
    given_ = problem(3, rank=3, decay=0.95, loud=6.0)
    plain = LowRankProblem(**{**vars(given_), "moments": torch.eye(32)})
    assert loss(given_, WhitenedSvd().solve(given_)) < 0.8 * loss(
        given_, WhitenedSvd().solve(plain)
    )


def mean_loss(solver, seeds=range(6), **more):
    problems = [problem(seed, **more) for seed in seeds]
    return sum(loss(p, solver.solve(p)) for p in problems) / len(problems)


def test_later_ranks_make_up_for_earlier_ones():
    kind = {"bits": 6, "rank": 8, "decay": 0.8}
    alone = mean_loss(WhitenedSvd(feedback=False), **kind)
    assert mean_loss(WhitenedSvd(), **kind) < alone


@pytest.mark.parametrize("decay", [0.8, 0.97])
@pytest.mark.parametrize("bits", [2, 3, 4, 6])
def test_iterating_beats_one_shot(bits, decay):
    kind = {"bits": bits, "rank": 8, "decay": decay}
    assert mean_loss(Iterative(), **kind) < mean_loss(WhitenedSvd(feedback=False), **kind)


@pytest.mark.parametrize("bits", [3, 4, 6])
def test_iterating_beats_one_shot_on_the_matrix_too(bits):
    """Without weighting, on a spectrum that falls, so that the ranks make up the matrix."""
    kind = {"bits": bits, "rank": 8, "decay": 0.6}
    assert mean_loss(Iterative(whitened=False), **kind) < mean_loss(PlainSvd(), **kind)


@settings(deadline=None, max_examples=20)
@given(
    st.sampled_from(SOLVERS),
    st.integers(0, 10**6),
    st.sampled_from([(40, 32), (20, 32), (6, 9)]),
    st.integers(1, 8),
)
def test_ranks_are_nested(solver, seed, shape, bits):
    n, k = shape
    most = solver.solve(problem(seed, n=n, k=k, rank=6, bits=bits))
    for rank in (1, 3, 6):
        fewer = solver.solve(problem(seed, n=n, k=k, rank=rank, bits=bits))
        first = most.first(rank)
        for name in ("a", "b", "mult", "shift"):
            assert torch.equal(getattr(fewer, name), getattr(first, name))


@pytest.mark.parametrize("rank", [0, 7])
def test_a_solution_has_no_more_ranks_than_it_has(rank):
    with pytest.raises(ValueError, match="1 to 6"):
        PlainSvd().solve(problem(0, rank=6)).first(rank)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_rank_above_the_matrix_is_refused(solver):
    with pytest.raises(SolveError, match="1 to 5, not 6"):
        solver.solve(problem(0, n=5, k=9, rank=6))


@pytest.mark.parametrize("solver", SOLVERS)
def test_full_rank_is_possible(solver):
    assert solver.solve(problem(0, n=5, k=9, rank=5)).a.shape == (9, 5)


def test_what_is_left_is_searched_well():
    """The direction found removes nearly as much error as the best one."""
    g = torch.Generator().manual_seed(3)
    target = torch.randn(40, 60, generator=g, dtype=torch.float64)
    ranks, leader = Ranks(target, 12), _Leader(svd_basis(target))
    for _ in range(12):
        u = leader(ranks)
        taken = float(ranks.transposed_times(u[:, None]).norm())
        left = target - ranks.factors[0] @ ranks.factors[1]
        assert taken > 0.97 * float(torch.linalg.matrix_norm(left, 2))
        u = u + 0.3 * torch.randn(40, generator=g, dtype=torch.float64) / 40**0.5
        b = ranks.transposed_times(u[:, None])[:, 0] / u.square().sum()
        ranks.add(u, b * (1 + 0.3 * torch.randn(60, generator=g, dtype=torch.float64)))


def test_moments_that_are_not_finite_are_refused():
    broken = LowRankProblem(**{**vars(problem(0)), "moments": torch.full((32, 32), torch.nan)})
    with pytest.raises(SolveError, match="calibrate on more text"):
        WhitenedSvd().solve(broken)


def test_singular_moments_are_damped():
    given_ = problem(4)
    given_.xq[:, 5:] = 0
    x = given_.xq * given_.s_x
    singular = LowRankProblem(**{**vars(given_), "moments": x.T @ x / len(x)})
    assert loss(singular, WhitenedSvd().solve(singular)) < 0.2


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("what", ["target", "moments", "xq"])
def test_nothing_to_do_adds_nothing(what, solver):
    given_ = problem(5)
    empty = LowRankProblem(**{**vars(given_), what: torch.zeros_like(getattr(given_, what))})
    solution = solver.solve(empty)
    if what != "moments":
        assert float(output(empty, solution).abs().max()) == 0


def test_magnitudes_stay_within_the_limit():
    solution = WhitenedSvd().solve(problem(6, limit=700))
    assert int(solution.a.to(torch.int16).abs().sum(dim=0, dtype=torch.int64).max()) <= 700


def test_no_room_is_refused():
    with pytest.raises(SolveError, match="raise acc_bits"):
        WhitenedSvd().solve(problem(6, limit=-1))
