"""From a task to outliers, and a dense summand for what is not among them."""

from dataclasses import dataclass, replace

import torch

from summand.summands.dense.solve.descent import descend
from summand.summands.dense.solve.problem import DenseProblem, DenseSolution
from summand.summands.errors import SolveError
from summand.summands.grid import Grid
from summand.summands.inverse import Inverse
from summand.summands.outliers.choice import OutliersChoice
from summand.summands.outliers.term import Outliers
from summand.summands.pruning import best_of_blocks, saliency
from summand.summands.solving import Method, Others, Part, Sum, Task

__all__ = ["OutliersMethod"]

#: Added to the diagonal of moments, as a share of its mean: as much as for the dense summand.
_DAMPING = 0.1

#: How often the summands before outliers are found again.
_ROUNDS = 1


@dataclass(frozen=True)
class OutliersMethod(Method):
    """Finds outliers as chosen, in the way of SDQ (arXiv 2406.13868).

    The weights of highest score in each block are taken out before anything is rounded, and the
    summands before them are found for the rest, so that no scale is spread for the outliers' sake.
    Outliers are rounded to the unit that comes of it, and the summands before them are found once
    more for what that leaves, so that they make up for its rounding as for their own. At last each
    outlier is set to what suits all others under the inputs' moments, where these are known.

    Parameters
    ----------
    choice : OutliersChoice
        What to find.
    """

    choice: OutliersChoice

    @property
    def needs_moments(self) -> bool:
        """Whether the score is one that needs them."""
        return self.choice.score == "sparsegpt"

    def solve(self, task: Task) -> Part:
        """Return outliers of what the summands before them leave."""
        inverse = _inverse(task)
        return self._fit(task, task.weight, self._chosen(task, inverse), inverse)

    def complete(self, task: Task, others: Others | None) -> Sum:
        """Return outliers of the whole weight behind summands for the rest of it."""
        if others is None:
            raise SolveError("outliers take the unit of a summand before them: give bits")
        inverse = _inverse(task)
        chosen = self._chosen(task, inverse)
        held = task.weight * chosen
        before = others(task.weight - held)
        for _ in range(_ROUNDS):
            left = replace(task, weight=task.weight - before.matrix(), unit=before.unit)
            held = self._fit(left, held, chosen, inverse).matrix()
            before = others(task.weight - held)
        left = replace(task, weight=task.weight - before.matrix(), unit=before.unit)
        return before.plus(self._fit(left, held, chosen, inverse))

    def _chosen(self, task: Task, inverse: Inverse | None) -> torch.Tensor:
        """Return where outliers are, bool ``[N, K]``."""
        diagonal = None if inverse is None else inverse.diagonal()
        scores = saliency(self.choice.score, task.weight, task.inputs.energy, diagonal)
        return best_of_blocks(scores, self.choice.pattern)

    def _fit(
        self, task: Task, start: torch.Tensor, chosen: torch.Tensor, inverse: Inverse | None
    ) -> Part:
        """Round ``start`` ``[N, K]`` in the chosen places, then fit it to the task's weight."""
        if task.unit is None:
            raise SolveError("outliers take the unit of a summand before them: give bits")
        grid = Grid(self.choice.bits)
        q = grid.nearest_(start / task.unit[:, None]).mul_(chosen)
        found = DenseSolution(q.to(torch.int16), task.unit, kept=chosen)
        if inverse is not None:
            problem = DenseProblem(
                weight=task.weight,
                grid=grid,
                energy=task.inputs.energy,
                moments=None,
                limit=task.limit,
            )
            found = descend(problem, found, inverse.damped)
        return Part(self._summand(found), task.unit, found.matrix)

    def _summand(self, found: DenseSolution) -> Outliers:
        weights = Grid(self.choice.bits).stored(found.weights).T.contiguous()
        return Outliers(weights.numpy(), self.choice.bits, self.choice.pattern)


def _inverse(task: Task) -> Inverse | None:
    if task.inputs.moments is None:
        return None
    order = torch.arange(task.weight.shape[1])
    return Inverse(task.inputs.moments, order, _DAMPING)
