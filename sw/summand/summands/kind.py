"""A kind of summand: its room, as the rest of the product sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from summand.summands.base import Entry, Factors, Operand, Summand
from summand.summands.choosing import SummandChoice, SummandSpace

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from summand.summands.estimating import Estimator, Trial
    from summand.summands.solving import Method
    from summand.summands.twins import Twin

__all__ = ["Kind"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of summand: all that the rest of the product asks of it.

    Parameters
    ----------
    name : str
        In manifests; stays what it is once models are written.
    summand : type of Summand
        Its meaning.
    entry : type of Entry
        Its sizes and its form on disk.
    operands : callable
        Returns what of a summand is streamed: an :class:`Operand` where its term is direct,
        :class:`Factors` where it is factored.
    twin : callable
        Returns the torch module that computes a summand's integers, for a width of activations and
        what borders multiply each feature's products by, ``[K]`` or None. Imports torch when it is
        called, not before, as all that follow do.
    choice : type of SummandChoice
        What a layer gets of the kind, made from options.
    method : callable
        Returns what finds a summand as chosen; with a solver in the place of the one that the
        choice names, if one is given.
    space : type of SummandSpace
        What layers may get, for allocation.
    estimator : callable
        Returns what estimates choices on a layer.
    """

    name: str
    summand: type[Summand]
    entry: type[Entry]
    operands: Callable[[Any], Operand | Factors]
    twin: Callable[[Any, int, "npt.NDArray[np.int64] | None"], "Twin"]
    choice: type[SummandChoice]
    method: Callable[[Any, Any], "Method"]
    space: type[SummandSpace]
    estimator: Callable[["Trial"], "Estimator"]
