"""The summands of one layer together."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from summand.compress.errors import CompressError
from summand.summands.choosing import SummandChoice
from summand.summands.solving import Inputs, Method, Sum, Task

__all__ = ["solve_summands"]


def solve_summands(
    weight: torch.Tensor,
    inputs: Inputs,
    chosen: Sequence[tuple[SummandChoice, Method]],
    *,
    acc_bits: int,
) -> Sum:
    """Find a layer's summands, each on what those before it leave.

    A summand's method may have an order of its own; see :meth:`Method.complete`.

    Parameters
    ----------
    weight : float32 tensor, shape ``[N, K]``
        What they stand for together.
    inputs : Inputs
        What it is multiplied by.
    chosen : sequence of pairs
        What is chosen and what finds it, in the order in which summands are added.
    acc_bits : int
        Of accumulators.

    Raises
    ------
    CompressError
        If nothing is chosen.
    SolveError
        If a summand cannot be found as chosen.
    """
    if not chosen:
        raise CompressError("a layer needs a dense or a low-rank summand: bits or a rank")
    room = ((1 << (acc_bits - 1)) - 1) >> (inputs.act_bits - 1)
    whole = Task(weight=weight, inputs=inputs, room=room, limit=room)
    limits = _limits(room, [choice for choice, _ in chosen], _lift(inputs, weight.shape[1]))
    tasks = [replace(whole, limit=limit) for limit in limits]

    def first(count: int, weight: torch.Tensor) -> Sum:
        """Find the first summands for a weight."""
        task = replace(tasks[count - 1], weight=weight)
        others = None if count == 1 else lambda left: first(count - 1, left)
        return chosen[count - 1][1].complete(task, others)

    return first(len(chosen), weight)


def _lift(inputs: Inputs, in_features: int) -> npt.NDArray[np.int64]:
    return np.ones(in_features, np.int64) if inputs.lift is None else inputs.lift.numpy()


def _limits(room: int, chosen: Sequence[SummandChoice], lift: npt.NDArray[np.int64]) -> list[int]:
    """Return what each summand may add: what it reserved, and for the first all that is left.

    In units of the accumulator when it is added; what comes behind it shifts the accumulator.
    """
    left = room
    for choice in reversed(chosen[1:]):
        left = (left - choice.reserved(lift)) >> choice.entry().acc_shift
    return [left, *(choice.reserved(lift) for choice in chosen[1:])]
