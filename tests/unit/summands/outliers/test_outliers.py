"""Outliers: found, kept, refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from summand.isa.patterns import SparsePattern
from summand.recipe.choice import Choice
from summand.recipe.options import Options
from summand.summands.dense import DenseChoice
from summand.summands.dense.solve import Gptq, RoundToNearest
from summand.summands.dense.solve.method import DenseMethod
from summand.summands.errors import LayerError, SolveError
from summand.summands.outliers import Outliers, OutliersChoice, OutliersEntry
from summand.summands.outliers.solve.method import OutliersMethod
from summand.summands.patterns import SCORES
from summand.summands.solving import Inputs, Sum, Task

PATTERN = SparsePattern(kept=1, block=8)


def task(seed: int, *, moments: bool = True, n: int = 20, k: int = 64) -> Task:
    """Return the task of a weight with some that are much larger than the rest."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(400, 9, generator=g) @ torch.randn(9, k, generator=g)
    x = x + 0.5 * torch.randn(400, k, generator=g)
    weight = torch.randn(n, k, generator=g)
    weight[torch.rand(n, k, generator=g) < 0.03] *= 8
    squares = x.T @ x / len(x)
    inputs = Inputs(
        energy=squares.diagonal().clone(),
        moments=squares if moments else None,
        xq=x.round(),
        s_x=torch.ones(len(x), 1),
        act_bits=8,
    )
    return Task(weight=weight, inputs=inputs, room=1 << 24, limit=1 << 24)


def loss(given: Task, found: Sum, squares: torch.Tensor) -> float:
    lost = given.weight - found.matrix()
    return float(((lost @ squares) * lost).sum())


def both(given: Task, score: str, *, bits: int = 3, pattern: SparsePattern | None = None) -> Sum:
    """Return a dense summand and outliers beside it."""
    solver = RoundToNearest() if given.inputs.moments is None else Gptq()
    dense = DenseMethod(DenseChoice(bits=bits, pattern=pattern), solver)
    method = OutliersMethod(OutliersChoice(bits=8, pattern=PATTERN, score=score))
    return method.complete(given, lambda left: dense.complete(replace(given, weight=left), None))


@pytest.mark.parametrize("score", SCORES)
def test_outliers_spare_the_dense_summands_scale(score):
    given = task(1)
    assert given.inputs.moments is not None
    alone = DenseMethod(DenseChoice(bits=3), Gptq()).complete(given, None)
    found = both(given, score)
    dense, outliers = found.summands
    assert isinstance(outliers, Outliers)
    assert outliers.pattern == PATTERN
    assert found.unit.abs().mean() < 0.7 * alone.unit.abs().mean()
    squares = given.inputs.moments
    assert loss(given, found, squares) < 0.4 * loss(given, alone, squares)
    total = torch.from_numpy(dense.matrix() + outliers.matrix()).float().T * found.unit[:, None]
    assert torch.allclose(found.matrix(), total, rtol=1e-5, atol=1e-6)


def test_a_dense_summand_with_a_pattern_keeps_its_own_beside_them():
    dense, outliers = both(task(2), "sparsegpt", pattern=SparsePattern(kept=6, block=8)).summands
    for summand, kept in ((dense, 6), (outliers, 1)):
        matrix = summand.matrix().reshape(-1, 8, 20)
        assert np.count_nonzero(matrix, axis=1).max() <= kept


@pytest.mark.parametrize("score", ["magnitude", "wanda"])
def test_without_moments_outliers_are_rounded(score):
    given = task(3, moments=False)
    assert not OutliersMethod(OutliersChoice(bits=8, pattern=PATTERN, score=score)).needs_moments
    alone = DenseMethod(DenseChoice(bits=3), RoundToNearest()).complete(given, None)
    squares = torch.diag(given.inputs.energy)
    assert loss(given, both(given, score), squares) < 0.7 * loss(given, alone, squares)


def test_outliers_take_the_unit_of_a_summand_before_them():
    method = OutliersMethod(OutliersChoice(bits=8, pattern=PATTERN))
    with pytest.raises(SolveError, match="take the unit of a summand before them"):
        method.complete(task(4), None)
    with pytest.raises(SolveError, match="take the unit of a summand before them"):
        method.solve(task(4))
    unit = torch.full((20,), 0.01)
    part = method.solve(replace(task(4), unit=unit))
    assert torch.equal(part.unit, unit)


def test_what_they_reserve_is_what_they_can_reach():
    choice = OutliersChoice(bits=5, pattern=SparsePattern(kept=3, block=16))
    assert choice.reserved(np.ones(64, np.int64)) == 4 * 3 * 16
    lift = np.r_[np.ones(30), np.full(34, 8)].astype(
        np.int64
    )  # two places of 8 in the second block
    assert choice.reserved(lift) == (3 + (8 + 8 + 1) + 2 * 3 * 8) * 16


def test_a_layers_choice():
    options = Options(bits=3, outliers="1:8", outlier_bits=5, rank=4)
    layer = Choice.of(options, head=False)
    assert layer.label == "dense 3 bits + outliers 1:8, 5 bits + rank 4, 4 bits"
    assert Choice.of(options, head=True).label == "dense 8 bits"
    choice = layer.summands[1]
    with pytest.raises(SolveError, match="outliers 1:8 needs a multiple of 8 .* not 12"):
        choice.check(12, 4)
    choice.check(16, 4)


def test_outliers_that_cannot_be_are_refused():
    weights = np.zeros((8, 2), np.int8)
    with pytest.raises(LayerError, match="outliers must have acc_shift 0, not 4"):
        Outliers(weights, 8, PATTERN, 4)
    weights[:2] = 1
    with pytest.raises(LayerError, match="outliers of pattern 1:8 must have 1 weights other"):
        Outliers(weights, 8, PATTERN)
    with pytest.raises(LayerError, match="outliers must be -2 to 1"):
        Outliers(weights * 2, 2, PATTERN)
    with pytest.raises(LayerError, match="outliers must have kept and block, not 0"):
        OutliersEntry(bits=8, kept=0, block=0)
    with pytest.raises(LayerError, match="acc_shift must be 0 to 0, not 4"):
        OutliersEntry(bits=8, kept=1, block=8, acc_shift=4)
