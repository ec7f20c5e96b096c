"""A weight matrix as others quantised it: integers, and scales and offsets of groups."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from summand.compress.importers.errors import NotHeldError
from summand.isa.patterns import SparsePattern
from summand.summands.sparse import is_sparse

__all__ = ["Checkpoint", "QuantisedWeight", "bits_of"]


@dataclass(frozen=True, eq=False)
class QuantisedWeight:
    """Stands for ``codes * scale of the group (+ offset of the group)``.

    Parameters
    ----------
    codes : int16 array, shape ``[K, N]``
        Integers, zero points subtracted.
    scales : float32 array, shape ``[G, N]``
        May be negative; finite.
    groups : integer array, shape ``[K]``
        The group of each input feature.
    offsets : float32 array, shape ``[G, N]``, optional
        Added to every weight of a group.
    kind : str
        For reports.
    pattern : SparsePattern, optional
        How many integers of each block of input features are other than 0 at most.
    """

    codes: npt.NDArray[np.int16]
    scales: npt.NDArray[np.float32]
    groups: npt.NDArray[np.integer]
    kind: str
    offsets: npt.NDArray[np.float32] | None = None
    pattern: SparsePattern | None = None

    def __post_init__(self):
        k, n = self.codes.shape
        count = len(self.scales)
        if self.groups.shape != (k,) or not 0 <= self.groups.min() <= self.groups.max() < count:
            raise NotHeldError(f"{k} input features must be in groups 0 to {count - 1}")
        for what, value in (("scales", self.scales), ("offsets", self.offsets)):
            if value is None:
                continue
            if value.shape != (count, n):
                raise NotHeldError(f"{what} must be of shape {(count, n)}, not {value.shape}")
            if not np.isfinite(value).all():
                raise NotHeldError(f"{what} are not finite; the checkpoint is damaged")

    @property
    def group(self) -> int:
        """Features that share a scale, where they are neighbours; else 0."""
        size = int(np.searchsorted(self.groups, 1)) if len(self.scales) > 1 else len(self.groups)
        runs = np.arange(len(self.groups)) // max(size, 1)
        return size if np.array_equal(self.groups, runs) else 0

    def numbered(self) -> "QuantisedWeight":
        """Return the same with groups numbered in the order of their first features.

        An activation order may number groups that are of neighbouring features in another way, and
        have scales of groups that no feature is in.
        """
        used, first, groups = np.unique(self.groups, return_index=True, return_inverse=True)
        order = first.argsort()
        offsets = None if self.offsets is None else self.offsets[used[order]]
        return replace(
            self, scales=self.scales[used[order]], groups=order.argsort()[groups], offsets=offsets
        )

    def unsigned(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float64]]:
        """Return integers, and scales none of which is negative: the integers take their signs.

        Integers of groups with a scale of zero are zero.
        """
        scales = self.scales.astype(np.float64)
        return self.codes * np.sign(scales).astype(np.int16)[self.groups], np.abs(scales)

    def check(self) -> None:
        """Raise :class:`NotHeldError` where a dense summand with group scales cannot hold it."""
        if not self.group:
            raise NotHeldError("activation order: its groups are not of neighbouring features")
        if (bits := bits_of(self.unsigned()[0])) > 8:
            raise NotHeldError(f"its integers less their zero points need {bits} bits, 8 is most")
        if self.pattern is not None and not is_sparse(self.codes, self.pattern):
            raise NotHeldError(f"its integers are not as sparse as {self.pattern}")

    def matrix(self) -> npt.NDArray[np.float32]:
        """Return the float32 ``[K, N]`` matrix it stands for."""
        matrix = self.codes * self.scales[self.groups]
        return matrix if self.offsets is None else matrix + self.offsets[self.groups]

    def rows(self, order: npt.NDArray[np.integer]) -> "QuantisedWeight":
        """Return all input features in this order, groups numbered anew."""
        ordered = QuantisedWeight(
            self.codes[order], self.scales, self.groups[order], self.kind, self.offsets
        )
        return ordered.numbered()

    def columns(self, order: npt.NDArray[np.integer]) -> "QuantisedWeight":
        """Return these output features, in this order."""
        offsets = None if self.offsets is None else self.offsets[:, order]
        return replace(
            self, codes=self.codes[:, order], scales=self.scales[:, order], offsets=offsets
        )


def bits_of(codes: npt.NDArray[np.int16]) -> int:
    """Return the least width of two's complement that holds integers."""
    return max(int(codes.max()), ~int(codes.min()), 0).bit_length() + 1


class Checkpoint(Protocol):
    """A file or folder with quantised layers, which are read one by one."""

    @property
    def format(self) -> str:
        """For reports."""
        ...

    def holds(self, name: str) -> bool:
        """Whether the module of this path is quantised."""
        ...

    def weight(self, name: str) -> QuantisedWeight:
        """Read a layer; raises :class:`NotHeldError` where its kind cannot be read."""
        ...
