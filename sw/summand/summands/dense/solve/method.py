"""From a task to a dense summand."""

from dataclasses import dataclass

from summand.summands.dense.choice import DenseChoice
from summand.summands.dense.solve.problem import DenseProblem, DenseSolution, DenseSolver
from summand.summands.dense.term import Dense
from summand.summands.errors import SolveError
from summand.summands.solving import Method, Part, Task

__all__ = ["DenseMethod"]


@dataclass(frozen=True)
class DenseMethod(Method):
    """Finds a dense summand as chosen.

    Parameters
    ----------
    choice : DenseChoice
        What to find.
    solver : DenseSolver
        What finds it.
    """

    choice: DenseChoice
    solver: DenseSolver

    @property
    def needs_moments(self) -> bool:
        """Whether the solver uses moments."""
        return self.solver.needs_moments

    def solve(self, task: Task) -> Part:
        """Return integers and scales, within the task's limit."""
        if task.unit is not None:
            raise SolveError("a dense summand must be the first, because it chooses the unit")
        found = self.solver.solve(
            DenseProblem(
                weight=task.weight,
                grid=self.choice.grid,
                energy=task.inputs.energy,
                moments=task.inputs.moments if self.needs_moments else None,
                limit=task.limit,
                group=self.choice.group,
                scale_bits=self.choice.scale_bits,
                lift=task.inputs.lift,
                pattern=self.choice.pattern,
                score=self.choice.score,
            )
        )
        return Part(self._summand(found), found.scale, found.matrix)

    def _summand(self, found: DenseSolution) -> Dense:
        scales = found.scales
        return Dense(
            self.choice.grid.stored(found.weights).T.contiguous().numpy(),
            self.choice.bits,
            scales=None if scales is None else scales.T.contiguous().numpy(),
            scale_bits=self.choice.scale_bits,
            group=self.choice.group,
            half_step=self.choice.half_step,
            pattern=self.choice.pattern,
        )
