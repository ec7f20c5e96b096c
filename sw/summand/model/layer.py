"""A compressed linear layer: integers, scales, and the exact sum that they stand for."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.isa import limits
from summand.model.errors import LayerError
from summand.model.transform import Transform

__all__ = ["Dense", "Layer", "LowRank", "act_limit", "quantise", "requantise"]

#: Smallest activation scale: a row of zeros has a scale too, and dividing by it is exact.
_TINY = np.float32(np.finfo(np.float32).tiny)


def act_limit(act_bits: int) -> int:
    """Return the largest magnitude the host sends: activations are symmetric."""
    return (1 << (act_bits - 1)) - 1


def quantise(
    x: npt.NDArray[np.float32], act_bits: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Turn tokens into integers, each with a scale of its own.

    Rounds halves to even. Every step is one correctly rounded float32 operation, so that any
    implementation of IEEE 754 gives the same integers.

    Parameters
    ----------
    x : float32 array, shape ``[M, K]``
        Finite.
    act_bits : int
        4 to 10.

    Returns
    -------
    xq : int16 array, shape ``[M, K]``
        Within plus or minus :func:`act_limit`.
    s_x : float32 array, shape ``[M, 1]``
        ``xq * s_x`` is nearly ``x``.

    Raises
    ------
    LayerError
        If an activation is not finite.
    """
    x = np.asarray(x, np.float32)
    limit = np.float32(act_limit(act_bits))
    absmax = np.max(np.abs(x), axis=1, keepdims=True, initial=0)
    if not np.isfinite(absmax).all():
        raise LayerError("activations must be finite; the layers before this one overflowed")
    s_x = np.maximum(absmax / limit, _TINY)
    return np.clip(np.rint(x / s_x), -limit, limit).astype(np.int16), s_x


def requantise(
    acc: npt.NDArray[np.integer],
    mult: npt.NDArray[np.integer],
    shift: npt.NDArray[np.integer],
    act_bits: int,
) -> npt.NDArray[np.int64]:
    """Scale accumulators ``[M, R]`` by ``mult / 2**shift`` of each column to ``act_bits``.

    Rounds halves towards plus infinity, then saturates; exact for 32-bit accumulators.
    """
    half = np.left_shift(np.int64(1), shift.astype(np.int64) - 1)
    scaled = (acc.astype(np.int64) * mult.astype(np.int64) + half) >> shift.astype(np.int64)
    return np.clip(scaled, -act_limit(act_bits) - 1, act_limit(act_bits))


def _check_matrix(what: str, value: object, bits: int, bits_name: str) -> None:
    if not isinstance(value, np.ndarray) or value.dtype != np.int8 or value.ndim != 2:
        got = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else value
        raise LayerError(f"{what} must be a two-dimensional int8 array, not {got!r}")
    if not isinstance(bits, int) or isinstance(bits, bool) or bits not in limits.PLANES:
        raise LayerError(f"{bits_name} must be {limits.PLANES}, not {bits!r}")
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if value.size and (value.min() < low or value.max() > high):
        raise LayerError(
            f"{what} must be {low} to {high} to fit {bits_name} {bits}, "
            f"not {value.min()} to {value.max()}"
        )


@dataclass(frozen=True, eq=False)
class Dense:
    """The dense summand.

    Parameters
    ----------
    weights : int8 array, shape ``[K, N]``
        Two's complement of ``bits``.
    bits : int
        1 to 8: the bit-planes that are streamed.
    scales : uint8 array, shape ``[ceil(K / group), N]``, optional
        What each group of input features is multiplied by, 0 to ``2**scale_bits - 1``.
    scale_bits : int
        1 to 8 with scales, else 0.
    group : int
        Input features that share scales, the last group's perhaps fewer; 0 without scales.
    """

    weights: npt.NDArray[np.int8]
    bits: int
    scales: npt.NDArray[np.uint8] | None = None
    scale_bits: int = 0
    group: int = 0

    def __post_init__(self):
        _check_matrix("dense weights", self.weights, self.bits, "bits")
        if self.scales is None:
            if self.scale_bits or self.group:
                raise LayerError(
                    f"scale_bits and group must be 0 without scales, "
                    f"not {self.scale_bits} and {self.group}"
                )
            return
        k, n = self.weights.shape
        if self.scale_bits not in limits.SCALE_BITS:
            raise LayerError(
                f"scale_bits must be {limits.SCALE_BITS} with scales, not {self.scale_bits}"
            )
        if self.group < 1:
            raise LayerError(f"group must be at least 1 with scales, not {self.group}")
        shape = (-(-k // self.group), n)
        if self.scales.dtype != np.uint8 or self.scales.shape != shape:
            raise LayerError(
                f"scales must be uint8 of shape {shape}, "
                f"not {self.scales.dtype} of shape {self.scales.shape}"
            )
        if self.scales.max() >> self.scale_bits:
            raise LayerError(
                f"scales must be at most {(1 << self.scale_bits) - 1} to fit scale_bits "
                f"{self.scale_bits}, not {self.scales.max()}"
            )

    @property
    def streamed_bits(self) -> int:
        """Bits of weights and scales, without padding."""
        scales = 0 if self.scales is None else self.scales.size * self.scale_bits
        return self.weights.size * self.bits + scales

    def integers(self) -> npt.NDArray[np.int16]:
        """Return weights times scales, ``[K, N]``."""
        wide = self.weights.astype(np.int16)
        if self.scales is None:
            return wide
        return wide * np.repeat(self.scales.astype(np.int16), self.group, axis=0)[: len(wide)]


@dataclass(frozen=True, eq=False)
class LowRank:
    """The low-rank summand: two factors and the requantisation between them.

    Parameters
    ----------
    a : int8 array, shape ``[K, R]``
        First factor, two's complement of ``a_bits``.
    a_bits : int
        1 to 8.
    b : int8 array, shape ``[R, N]``
        Second factor, two's complement of ``b_bits``. Its unit is the layer's accumulator.
    b_bits : int
        1 to 8.
    mult : uint16 array, shape ``[R]``
        Multiplier of the intermediate.
    shift : uint8 array, shape ``[R]``
        Its right shift, 1 to 47.
    """

    a: npt.NDArray[np.int8]
    a_bits: int
    b: npt.NDArray[np.int8]
    b_bits: int
    mult: npt.NDArray[np.uint16]
    shift: npt.NDArray[np.uint8]

    def __post_init__(self):
        _check_matrix("low-rank factor a", self.a, self.a_bits, "a_bits")
        _check_matrix("low-rank factor b", self.b, self.b_bits, "b_bits")
        rank = self.a.shape[1]
        if rank < 1 or self.b.shape[0] != rank:
            raise LayerError(
                f"low-rank factors must share a rank of at least 1, "
                f"not a {self.a.shape} and b {self.b.shape}"
            )
        for name, dtype in (("mult", np.uint16), ("shift", np.uint8)):
            value = getattr(self, name)
            if value.dtype != dtype or value.shape != (rank,):
                raise LayerError(
                    f"{name} must be {np.dtype(dtype)} of shape ({rank},), "
                    f"not {value.dtype} of shape {value.shape}"
                )
        low, high = limits.SHIFT
        if self.shift.min() < low or self.shift.max() > high:
            raise LayerError(
                f"shift must be {low} to {high}, not {self.shift.min()} to {self.shift.max()}"
            )

    @property
    def rank(self) -> int:
        """Columns of ``a``."""
        return self.a.shape[1]


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer ``y = x W (+ bias)`` as a sum of integer products.

    For tokens ``xq`` with scales ``s_x`` (:meth:`quantise`)::

        acc = xq @ (dense * its group scales)
        t   = requantise(xq @ a)
        acc = (acc << acc_shift) + t @ b
        y   = acc * s_x * scale (+ bias)

    The low-rank lines are there only with a low-rank summand.

    Parameters
    ----------
    name : str
        Path of the module in its model.
    in_features, out_features : int
        K and N.
    act_bits : int
        Bits of an activation, 4 to 10.
    dense : Dense, optional
        At least one of the two summands is there.
    low_rank : LowRank, optional
        The other.
    acc_shift : int
        0, or the ``shift`` of the engine; 0 unless both summands are there.
    scale : float32 array, shape ``[N]``
        The accumulator's unit of each output feature. Finite; may be negative.
    bias : float32 array, shape ``[N]``, optional
        Added on the host.
    transform : Transform, optional
        What the host does to inputs before they become integers.

    Raises
    ------
    LayerError
        If the parts do not fit each other.
    """

    name: str
    in_features: int
    out_features: int
    act_bits: int
    dense: Dense | None
    low_rank: LowRank | None
    acc_shift: int
    scale: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32] | None = None
    transform: Transform | None = None

    def __post_init__(self):
        k, n = self.in_features, self.out_features
        if k < 1 or n < 1:
            self._refuse(f"in_features and out_features must be at least 1, not {k} and {n}")
        if self.act_bits not in limits.ACT_BITS:
            self._refuse(f"act_bits must be {limits.ACT_BITS}, not {self.act_bits}")
        if self.dense is None and self.low_rank is None:
            self._refuse("a layer needs a dense or a low-rank summand")
        if self.dense is not None and self.dense.weights.shape != (k, n):
            self._refuse(f"dense weights must be of shape {(k, n)}, not {self.dense.weights.shape}")
        if self.low_rank is not None:
            shape = (self.low_rank.a.shape[0], self.low_rank.b.shape[1])
            if shape != (k, n):
                self._refuse(f"low-rank factors must make a {(k, n)} matrix, not {shape}")
        if self.acc_shift not in limits.ACC_SHIFT:
            self._refuse(f"acc_shift must be {limits.ACC_SHIFT}, not {self.acc_shift}")
        if self.acc_shift and (self.dense is None or self.low_rank is None):
            self._refuse(
                f"acc_shift must be 0 without both summands, not {self.acc_shift}: "
                f"the shift happens between them"
            )
        if self.transform is not None and self.transform.features != k:
            self._refuse(f"transform must be of {k} features, not {self.transform.features}")
        for what, value in (("scale", self.scale), ("bias", self.bias)):
            if value is None:
                continue
            if value.dtype != np.float32 or value.shape != (n,):
                self._refuse(
                    f"{what} must be float32 of shape ({n},), "
                    f"not {value.dtype} of shape {value.shape}"
                )
            if not np.isfinite(value).all():
                self._refuse(f"{what} must be finite")

    def _refuse(self, why: str) -> None:
        raise LayerError(f"layer {self.name!r}: {why}")

    @property
    def bits(self) -> int:
        """Bits of all summands' weights, without padding."""
        total = 0
        if self.dense is not None:
            total += self.dense.streamed_bits
        if self.low_rank is not None:
            total += self.low_rank.a.size * self.low_rank.a_bits
            total += self.low_rank.b.size * self.low_rank.b_bits
        return total

    @property
    def acc_bits(self) -> int:
        """Least accumulator width that no activations whatever can overflow.

        Bounds every partial sum in any order by the sum of magnitudes, activations at
        ``-2**(act_bits - 1)``, from the weights as they are.
        """
        worst = 1 << (self.act_bits - 1)
        bounds = []
        final = np.zeros(self.out_features, np.int64)
        if self.dense is not None:
            final = _magnitudes(self.dense.integers()) * worst << self.acc_shift
        if self.low_rank is not None:
            bounds.append(int(_magnitudes(self.low_rank.a).max()) * worst)
            final = final + _magnitudes(self.low_rank.b) * worst
        bounds.append(int(final.max()))
        return max(bounds).bit_length() + 1

    def quantise(
        self, x: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
        """Transform tokens ``[M, K]`` and turn them into integers, as :func:`quantise` does.

        Raises :class:`LayerError` if an activation is not finite.
        """
        if self.transform is not None:
            x = self.transform.apply(x)
        try:
            return quantise(x, self.act_bits)
        except LayerError as e:
            raise LayerError(f"layer {self.name!r}: {e}") from None

    def accumulate(self, xq: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the accumulators of integer tokens: the layer's meaning, without overflow.

        Takes ``[M, K]`` within ``act_bits`` two's complement, returns ``[M, N]``.
        """
        x = np.asarray(xq, np.int64)
        if x.ndim != 2 or x.shape[1] != self.in_features:
            self._refuse(
                f"activations must be of shape (tokens, {self.in_features}), not {x.shape}"
            )
        acc = np.zeros((len(x), self.out_features), np.int64)
        if self.dense is not None:
            acc = (x @ self.dense.integers().astype(np.int64)) << self.acc_shift
        if self.low_rank is not None:
            lr = self.low_rank
            t = requantise(x @ lr.a.astype(np.int64), lr.mult, lr.shift, self.act_bits)
            acc = acc + t @ lr.b.astype(np.int64)
        return acc

    def scaled(
        self, acc: npt.NDArray[np.integer], s_x: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Return ``acc * s_x * scale (+ bias)``, multiplied in that order in float32."""
        y = acc.astype(np.float32) * s_x * self.scale
        return y if self.bias is None else y + self.bias

    def forward(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return ``y`` of float tokens: transform, quantise, accumulate, scale."""
        xq, s_x = self.quantise(x)
        return self.scaled(self.accumulate(xq), s_x)

    def matrix(self) -> npt.NDArray[np.float64]:
        """Return the float ``[K, N]`` matrix that the summands stand for, rounding of T aside.

        It multiplies transformed tokens.
        """
        acc = np.zeros((self.in_features, self.out_features))
        if self.dense is not None:
            acc += np.ldexp(self.dense.integers().astype(np.float64), self.acc_shift)
        if self.low_rank is not None:
            lr = self.low_rank
            factor = np.ldexp(lr.mult.astype(np.float64), -lr.shift.astype(np.int64))
            acc += (lr.a * factor) @ lr.b.astype(np.float64)
        return acc * self.scale


def _magnitudes(matrix: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Sum magnitudes over the first axis, some rows at a time."""
    total = np.zeros(matrix.shape[1], np.int64)
    for start in range(0, len(matrix), 256):
        rows = matrix[start : start + 256].astype(np.int32)
        total += np.abs(rows).sum(axis=0, dtype=np.int64)
    return total
