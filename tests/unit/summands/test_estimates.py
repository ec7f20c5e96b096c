"""Estimates of sparse choices are near what solving them loses."""

from dataclasses import replace

import pytest
import torch

from summand.isa.patterns import SparsePattern
from summand.summands.dense import DenseChoice
from summand.summands.dense.estimate import DenseEstimator
from summand.summands.dense.solve import Gptq
from summand.summands.dense.solve.method import DenseMethod
from summand.summands.estimating import Trial
from summand.summands.lowrank import LowRankChoice
from summand.summands.lowrank.estimate import LowRankEstimator
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
        weights=(weight,),
        rows=weight,
        costs=torch.ones(48, 1),
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
    task = Task(weight=given.rows, inputs=inputs, room=1 << 30, limit=1 << 30)
    method = DenseMethod(dense, Gptq())

    def others(left: torch.Tensor) -> Sum:
        return method.complete(replace(task, weight=left), None)

    found = OutliersMethod(outliers).complete(task, others) if outliers else others(task.weight)
    errors = output_errors(given.rows - found.matrix(), given.energy, given.moments)
    return float(errors @ given.costs)


def estimated(
    given: Trial, dense: DenseChoice, more: OutliersChoice | LowRankChoice | None = None
) -> torch.Tensor:
    """Return the estimated losses of the trial's layers."""
    found = DenseEstimator(given).add(dense, None)
    if isinstance(more, OutliersChoice):
        found = OutliersEstimator(given).add(more, found)
    if isinstance(more, LowRankChoice):
        found = LowRankEstimator(given).add(more, found)
    return found.loss


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_a_pattern_loses_as_much_as_is_said_at_every_width(bits):
    given = trial()
    choice = DenseChoice(bits=bits, pattern=HALF)
    loss = float(estimated(given, choice))
    assert loss == pytest.approx(solved(given, choice), rel=0.4)
    assert loss > float(estimated(given, replace(choice, pattern=None)))


def test_groups_of_a_pattern_are_told_apart():
    given = trial()
    estimator = DenseEstimator(given)
    choice = DenseChoice(bits=3, pattern=HALF, group=16, scale_bits=6)
    first = float(estimator.add(choice, None).loss)
    other = float(estimator.add(replace(choice, group=32), None).loss)
    assert first != other
    assert other == pytest.approx(solved(given, replace(choice, group=32)), rel=0.3)


@pytest.mark.parametrize("first", [0, 16])
def test_one_scale_an_output_is_estimated_beside_groups(first):
    """Which of them is tried out depends on what is asked for first."""
    given = trial()
    choices = {
        0: DenseChoice(bits=3, half_step=True),
        16: DenseChoice(bits=3, group=16, scale_bits=4, half_step=True),
    }
    estimator = DenseEstimator(given)
    estimator.add(choices[first], None)
    losses = {group: float(estimator.add(c, None).loss) for group, c in choices.items()}
    assert losses[0] > losses[16]
    for group, choice in choices.items():
        true = solved(given, choice)
        assert true / 2 < losses[group] < true * 2


def test_outliers_gain_about_as_much_as_is_said():
    given, dense = trial(), DenseChoice(bits=3)
    outliers = OutliersChoice(bits=8, pattern=EIGHTH)
    share = float(estimated(given, dense, outliers) / estimated(given, dense))
    true = solved(given, dense, outliers) / solved(given, dense)
    assert share < 0.6
    assert true / 2 < share < true * 2


@pytest.mark.parametrize(
    "choice", [DenseChoice(bits=3), DenseChoice(bits=7, group=16, scale_bits=6)]
)
def test_layers_that_are_tried_together_are_estimated_each(choice):
    whole = trial()
    rows = whole.rows
    costs = torch.block_diag(torch.ones(16, 1), torch.ones(32, 1))
    together = replace(whole, weights=(rows[:16], rows[16:]), costs=costs)
    each = [
        replace(whole, weights=(part,), rows=part, costs=torch.ones(len(part), 1))
        for part in (rows[:16], rows[16:])
    ]
    for more in (None, OutliersChoice(bits=8, pattern=EIGHTH), LowRankChoice(rank=4, bits=4)):
        found = [estimated(given, choice, more) for given in (together, *each)]
        torch.testing.assert_close(found[0], torch.cat(found[1:]), rtol=1e-5, atol=0)
