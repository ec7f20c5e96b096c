"""Estimates of sparse choices are near what solving them loses."""

from dataclasses import replace

import pytest
import torch

from summand.isa.patterns import SparsePattern
from summand.summands.dense import DenseChoice
from summand.summands.dense.estimate import DenseEstimator
from summand.summands.dense.solve import Gptq
from summand.summands.dense.solve.method import DenseMethod
from summand.summands.estimating import Estimate, Trial
from summand.summands.outliers import OutliersChoice
from summand.summands.outliers.estimate import OutliersEstimator
from summand.summands.outliers.solve.method import OutliersMethod
from summand.summands.solving import Inputs, Sum, Task, output_errors

HALF, EIGHTH = SparsePattern(kept=2, block=4), SparsePattern(kept=1, block=8)


def trial() -> Trial:
    g = torch.Generator().manual_seed(7)
    x = torch.randn(600, 64, generator=g) @ torch.randn(64, 64, generator=g)
    weight = torch.randn(48, 64, generator=g)
    weight[torch.rand(48, 64, generator=g) < 0.03] *= 8
    moments = x.T @ x / len(x)
    return Trial(
        weight=weight,
        rows=weight,
        costs=torch.ones(48),
        energy=moments.diagonal().clone(),
        moments=moments,
    )


def solved(given: Trial, dense: DenseChoice, outliers: OutliersChoice | None = None) -> float:
    """Return what the choices lose when they are solved."""
    inputs = Inputs(
        energy=given.energy,
        moments=given.moments,
        xq=torch.zeros(1, 64),
        s_x=torch.ones(1, 1),
        act_bits=8,
    )
    task = Task(weight=given.weight, inputs=inputs, room=1 << 30, limit=1 << 30)
    method = DenseMethod(dense, Gptq())

    def others(left: torch.Tensor) -> Sum:
        return method.complete(replace(task, weight=left), None)

    found = OutliersMethod(outliers).complete(task, others) if outliers else others(task.weight)
    errors = output_errors(given.weight - found.matrix(), given.energy, given.moments)
    return float(errors @ given.costs)


def estimated(given: Trial, dense: DenseChoice, outliers: OutliersChoice | None = None) -> Estimate:
    found = DenseEstimator(given).add(dense, None)
    return OutliersEstimator(given).add(outliers, found) if outliers else found


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_a_pattern_loses_as_much_as_is_said_at_every_width(bits):
    given = trial()
    choice = DenseChoice(bits=bits, pattern=HALF)
    loss = estimated(given, choice).loss
    assert loss == pytest.approx(solved(given, choice), rel=0.4)
    assert loss > estimated(given, replace(choice, pattern=None)).loss


def test_groups_of_a_pattern_are_told_apart():
    given = trial()
    estimator = DenseEstimator(given)
    choice = DenseChoice(bits=3, pattern=HALF, group=16, scale_bits=6)
    first = estimator.add(choice, None).loss
    other = estimator.add(replace(choice, group=32), None).loss
    assert first != other
    assert other == pytest.approx(solved(given, replace(choice, group=32)), rel=0.3)


def test_outliers_gain_about_as_much_as_is_said():
    given, dense = trial(), DenseChoice(bits=3)
    outliers = OutliersChoice(bits=8, pattern=EIGHTH)
    share = estimated(given, dense, outliers).loss / estimated(given, dense).loss
    true = solved(given, dense, outliers) / solved(given, dense)
    assert share < 0.6
    assert true / 2 < share < true * 2
