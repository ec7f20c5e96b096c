"""Input features in groups whose scales are powers of two apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from summand.isa.limits import BORDER_SHIFT, BORDERS, Limits
from summand.summands.errors import LayerError
from summand.summands.integers import quantise

__all__ = ["ChannelGroups", "check_borders"]

#: Borders between groups, what accumulators are shifted by at one, and at all of them together.
_BORDERS, _SHIFT, _SHIFTS = BORDERS.high, Limits(1, BORDER_SHIFT.high), 15


def check_borders(borders: Sequence[Sequence[int]], features: int) -> None:
    """Raise :class:`LayerError` for borders that an input of ``features`` cannot have."""
    before = 0
    if len(borders) > _BORDERS:
        raise LayerError(f"borders must be {_BORDERS} at most, not {len(borders)}")
    for border in borders:
        if len(border) != 2:
            raise LayerError(f"a border must be a feature and a shift, not {list(border)!r}")
        first, shift = border
        if not before < first < features:
            raise LayerError(
                f"borders must ascend from 1 to {features - 1}, not {first} after {before}"
            )
        if shift not in _SHIFT:
            raise LayerError(f"a border's shift must be {_SHIFT}, not {shift}")
        before = first
    if (total := sum(shift for _, shift in borders)) > _SHIFTS:
        raise LayerError(f"the shifts of borders must add up to {_SHIFTS} at most, not {total}")


@dataclass(frozen=True, eq=False)
class ChannelGroups:
    """An order of input features, and the borders of groups in it, as in Tender (arXiv 2406.12930).

    The features of a group share a scale, which is ``2**shift`` times that of the next group. So a
    sum over all of them needs no product: accumulators are shifted left where a finer group begins.

    Parameters
    ----------
    order : int32 array, shape ``[K]``
        Feature ``k`` of the grouped input is feature ``order[k]`` of the input; each comes once.
    borders : tuple of pairs
        First feature of a finer group, and the shift there; at least one.
    centre : float32 array, shape ``[K]``, optional
        Subtracted from the input's features, in the input's order; finite.

    Raises
    ------
    LayerError
        If a field is out of its range.
    """

    order: npt.NDArray[np.int32]
    borders: tuple[tuple[int, int], ...]
    centre: npt.NDArray[np.float32] | None = None

    def __post_init__(self):
        order, k = self.order, self.order.size
        if order.dtype != np.int32 or order.ndim != 1:
            raise LayerError(
                f"order must be int32 of one dimension, not {order.dtype} of shape {order.shape}"
            )
        if not np.array_equal(np.sort(order), np.arange(k)):
            raise LayerError(f"order must hold each of 0 to {k - 1} once")
        if not self.borders:
            raise LayerError("borders must hold one at least")
        check_borders(self.borders, k)
        c = self.centre
        if c is None:
            return
        if c.dtype != np.float32 or c.shape != (k,):
            raise LayerError(
                f"centre must be float32 of shape ({k},), not {c.dtype} of shape {c.shape}"
            )
        if not np.isfinite(c).all():
            raise LayerError("centre must be finite")

    @property
    def features(self) -> int:
        """K."""
        return self.order.size

    @property
    def shifts(self) -> int:
        """How far the first group's sums are shifted in the end."""
        return sum(shift for _, shift in self.borders)

    @cached_property
    def levels(self) -> npt.NDArray[np.int64]:
        """How much finer each feature's scale is than the first group's, as an exponent of 2."""
        steps = np.zeros(self.features, np.int64)
        for first, shift in self.borders:
            steps[first] = shift
        return np.cumsum(steps)

    @cached_property
    def lift(self) -> npt.NDArray[np.int64]:
        """What borders multiply each feature's products by in the end, ``[K]``."""
        return np.left_shift(np.int64(1), self.shifts - self.levels)

    def raised(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return grouped tokens ``[M, K]`` as one scale suits them: times ``2**levels``."""
        with np.errstate(over="ignore"):  # what is not finite is refused by quantisation
            return x * np.ldexp(np.float32(1), self.levels)

    def quantise(
        self, x: npt.NDArray[np.float32], act_bits: int
    ) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
        """Turn grouped tokens ``[M, K]`` into integers, as :func:`.quantise` does.

        The scales ``[M, 1]`` are those of the last group, which are the accumulators'.
        """
        xq, s_x = quantise(self.raised(np.asarray(x, np.float32)), act_bits)
        return xq, np.ldexp(s_x, -self.shifts)

    @cached_property
    def places(self) -> npt.NDArray[np.int64]:
        """The inverse of the order: where each of the input's features is, ``[K]``."""
        return np.argsort(self.order)

    def same_as(self, other: "ChannelGroups") -> bool:
        """Whether two inputs are grouped alike, to the last bit."""
        if self.borders != other.borders or not np.array_equal(self.order, other.order):
            return False
        if self.centre is None or other.centre is None:
            return self.centre is other.centre
        return np.array_equal(self.centre, other.centre)
