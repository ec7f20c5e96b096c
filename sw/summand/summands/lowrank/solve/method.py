"""From a task to a low-rank summand, before, after or in turn with those before it."""

from dataclasses import dataclass, replace
from functools import partial

import torch

from summand.summands.errors import SolveError
from summand.summands.lowrank.choice import LowRankChoice
from summand.summands.lowrank.options import ORDERS
from summand.summands.lowrank.solve.alone import solve_alone
from summand.summands.lowrank.solve.problem import LowRankProblem, LowRankSolution, LowRankSolver
from summand.summands.lowrank.term import LowRank
from summand.summands.solving import Method, Others, Part, Sum, Task

__all__ = ["LowRankMethod"]

_ROUNDS = 3


@dataclass(frozen=True)
class LowRankMethod(Method):
    """Finds a low-rank summand as chosen.

    Its order says when. ``"after"``: it takes what the summands before it leave. ``"before"``: it
    is found first and they take what it leaves; as it is large then, it goes without the shift
    where that loses less. ``"alternating"``: one after the other several times, each on what the
    other leaves, as in LQ-LoRA (arXiv 2311.12023); the sum of least error under the inputs' moments
    is kept, the first of which is that of ``"after"``.

    Parameters
    ----------
    choice : LowRankChoice
        What to find.
    solver : LowRankSolver
        What finds it.
    """

    choice: LowRankChoice
    solver: LowRankSolver

    @property
    def needs_moments(self) -> bool:
        """Whatever the solver: the unit of one that is alone is found with them."""
        return True

    def solve(self, task: Task) -> Part:
        """Return factors, and the requantisation between them."""
        return self._solve(task, self.choice.acc_shift)

    def complete(self, task: Task, others: Others | None) -> Sum:
        """Return the summand behind the others, in the order that was chosen."""
        order = self.choice.order
        if order not in ORDERS:
            raise SolveError(f"order must be {', '.join(ORDERS)}, not {order!r}")
        if others is None or order == "after":
            return super().complete(task, others)
        if order == "before":
            return self._before(task, others)
        return self._alternating(task, others)

    def _before(self, task: Task, others: Others) -> Sum:
        first = self.solve(task).matrix()
        before = others(task.weight - first)
        fitted = replace(task, weight=first, unit=before.unit)
        shifts = sorted({0, self.choice.acc_shift})
        sums = [before.plus(self._solve(fitted, shift)) for shift in shifts]
        return min(sums, key=partial(_loss, task))

    def _alternating(self, task: Task, others: Others) -> Sum:
        best = last = super().complete(task, others)
        least = _loss(task, best)
        for _ in range(_ROUNDS - 1):
            before = others(task.weight - last.parts[-1].matrix())
            left = replace(task, weight=task.weight - before.matrix(), unit=before.unit)
            last = before.plus(self.solve(left))
            if (loss := _loss(task, last)) < least:
                best, least = last, loss
        return best

    def _solve(self, task: Task, acc_shift: int) -> Part:
        inputs = task.inputs
        assert inputs.moments is not None
        problem = LowRankProblem(
            target=task.weight,
            unit=torch.ones(len(task.weight)),
            rank=self.choice.rank,
            bits=self.choice.bits,
            moments=inputs.moments,
            xq=inputs.xq,
            s_x=inputs.s_x,
            act_bits=inputs.act_bits,
            limit=task.room,
            lift=inputs.lift,
        )
        if task.unit is None:
            found, unit = solve_alone(problem, self.solver)
            acc_shift = 0
        else:
            unit = task.unit * 2.0**-acc_shift
            found = self.solver.solve(replace(problem, unit=unit))
        return Part(self._summand(found, acc_shift), unit, partial(found.matrix, unit))

    def _summand(self, found: LowRankSolution, acc_shift: int) -> LowRank:
        return LowRank(
            a=found.a.contiguous().numpy(),
            a_bits=self.choice.bits,
            b=found.b.contiguous().numpy(),
            b_bits=self.choice.bits,
            mult=found.mult.numpy().astype("uint16"),
            shift=found.shift.numpy().astype("uint8"),
            acc_shift=acc_shift,
        )


def _loss(task: Task, found: Sum) -> float:
    """Return the mean square error of the outputs on the calibration text."""
    lost = task.weight - found.matrix()
    assert task.inputs.moments is not None
    return float(((lost @ task.inputs.moments) * lost).sum())
