"""The host's transform of a layer's input before the input becomes integers."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from summand.model.channels import ChannelGroups
from summand.summands.errors import LayerError

__all__ = ["Transform", "same_transform"]

#: Largest odd part of a number of features that the DCT mixes; its matrix is square in that.
_MIXED = 255

_SEEDS = 1 << 32

_Float = TypeVar("_Float", bound=np.floating)


@dataclass(frozen=True, eq=False)
class Transform:
    """A balance of channels, and a rotation or an order of groups.

    ``x' = rotate(x * balance)``, or ``x' = ((x - centre) * balance)[order]``.

    A rotation spreads the values of a few large channels over all of them, so that one scale a
    token suits every channel, as in QuaRot (arXiv 2404.00456). Random signs come first, then a
    Hadamard matrix over the largest power of two that divides the features, then an orthonormal
    DCT-II over the odd rest, if that is at most 255. Groups instead give large channels scales of
    their own (:class:`.ChannelGroups`). Weights take the inverse (:meth:`weights`), so that the
    layer's output is the same, less what the centre adds (:attr:`centre`).

    Every step is one correctly rounded float32 operation, in a fixed order: any implementation of
    IEEE 754 gives the same numbers.

    Parameters
    ----------
    features : int
        K.
    balance : float32 array, shape ``[K]``, optional
        What each channel is multiplied by; finite and positive.
    rotation : int, optional
        Seed of the signs, 0 to ``2**32 - 1``; without it there is no rotation.
    groups : ChannelGroups, optional
        Of the channels; not together with a rotation.

    Raises
    ------
    LayerError
        If a field is out of its range.
    """

    features: int
    balance: npt.NDArray[np.float32] | None = None
    rotation: int | None = None
    groups: ChannelGroups | None = None

    def __post_init__(self):
        if self.features < 1:
            raise LayerError(f"features must be at least 1, not {self.features}")
        if self.groups is not None:
            if self.groups.features != self.features:
                raise LayerError(
                    f"groups must be of {self.features} features, not {self.groups.features}"
                )
            if self.rotation is not None:
                raise LayerError("rotation must be left out where channels have groups")
        if self.rotation is not None and not 0 <= self.rotation < _SEEDS:
            raise LayerError(f"rotation must be 0 to {_SEEDS - 1}, not {self.rotation}")
        c = self.balance
        if c is None:
            return
        if c.dtype != np.float32 or c.shape != (self.features,):
            raise LayerError(
                f"balance must be float32 of shape ({self.features},), "
                f"not {c.dtype} of shape {c.shape}"
            )
        if not (np.isfinite(c).all() and (c > 0).all()):
            raise LayerError("balance must be finite and positive")

    @property
    def _power(self) -> int:
        """Largest power of two that divides the features."""
        return self.features & -self.features

    @cached_property
    def _front(self) -> npt.NDArray[np.float32]:
        """Balance, signs and the Hadamard matrix's norm, rounded once."""
        front = np.ones(self.features)
        if self.balance is not None:
            front *= self.balance
        if self.rotation is not None:
            front *= _signs(self.rotation, self.features) / math.sqrt(self._power)
        return front.astype(np.float32)

    @property
    def centre(self) -> npt.NDArray[np.float64] | None:
        """What is taken away from transformed tokens, ``[K]``; None where nothing is."""
        if self.groups is None or self.groups.centre is None:
            return None
        return (self.groups.centre * self._front.astype(np.float64))[self.groups.order]

    def apply(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return tokens ``[M, K]`` transformed, in float32."""
        # Numbers that are not finite stay so; quantisation refuses them.
        with np.errstate(invalid="ignore", over="ignore"):
            y = np.asarray(x, np.float32)
            if self.groups is not None and self.groups.centre is not None:
                y = y - self.groups.centre
            return self._turned(y * self._front)

    def _turned(self, x: npt.NDArray[_Float]) -> npt.NDArray[_Float]:
        """Rotate rows ``[M, K]``, or put them in order."""
        if self.groups is not None:
            return np.take(x, self.groups.order, axis=1)
        return x if self.rotation is None else self._rotate(x)

    def transposed(self, gradient: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the gradient ``[M, K]`` by plain tokens, given that by transformed ones."""
        y = gradient
        if self.groups is not None:
            y = np.take(y, self.groups.places, axis=1)
        elif self.rotation is not None:
            y = self._rotate(y, transposed=True)
        return y * self._front

    def weights(self, weight: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return the weights ``[N, K]`` for transformed inputs, given those for plain ones."""
        y = self._turned(weight.astype(np.float64) / self._front)
        return y if self.rotation is None else y / self._power

    def moments(self, moments: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return second moments ``[K, K]`` of transformed inputs, given those of plain ones.

        Before a centre is taken away, which a layer's bias makes up for.
        """
        half = self._turned(moments.astype(np.float64) * self._front).T * self._front
        return self._turned(half)

    def _rotate(self, x: npt.NDArray[_Float], *, transposed: bool = False) -> npt.NDArray[_Float]:
        """Multiply rows by the Hadamard matrix, entries 1 and -1, then by the DCT.

        The Hadamard matrix is symmetric; ``transposed`` takes the DCT's inverse.
        """
        power, rest = self._power, self.features // self._power
        shape = (len(x), rest, power)
        x = x.reshape(shape)
        # Pease's form: each stage pairs the first half with the second and interleaves the sums
        # with the differences. After as many stages as bits the order is the natural one.
        for _ in range(power.bit_length() - 1):
            y = np.empty(shape, x.dtype)
            first, second = x[..., : power // 2], x[..., power // 2 :]
            np.add(first, second, out=y[..., 0::2])
            np.subtract(first, second, out=y[..., 1::2])
            x = y
        if 1 < rest <= _MIXED:
            mix = _dct(rest).astype(x.dtype)
            mix = mix.T if transposed else mix
            y: npt.NDArray[Any] = mix[:, :1] * x[:, :1]
            for j in range(1, rest):
                y += mix[:, j : j + 1] * x[:, j : j + 1]
            x = y
        return x.reshape(len(x), self.features)


def same_transform(a: Transform | None, b: Transform | None) -> bool:
    """Return whether two inputs are transformed alike, to the last bit."""
    if a is None or b is None:
        return a is b
    if (a.features, a.rotation) != (b.features, b.rotation):
        return False
    if (a.groups is None) != (b.groups is None):
        return False
    if a.groups is not None and b.groups is not None and not a.groups.same_as(b.groups):
        return False
    if a.balance is None or b.balance is None:
        return a.balance is b.balance
    return bool(np.array_equal(a.balance, b.balance))


def _signs(seed: int, count: int) -> npt.NDArray[np.float64]:
    """Return 1 and -1 by SplitMix64, number ``i`` from ``(seed << 32) + i``."""
    z = np.arange(count, dtype=np.uint64) + np.uint64(seed << 32)
    z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.where((z ^ (z >> np.uint64(31))) >> np.uint64(63), -1.0, 1.0)


@lru_cache(maxsize=16)
def _dct(size: int) -> npt.NDArray[np.float64]:
    """Return the orthonormal DCT-II matrix, rounded to float32."""
    i = np.arange(size)
    matrix = np.cos(np.pi * (i + 0.5) * i[:, None] / size) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.astype(np.float32).astype(np.float64)
