"""A compressed linear layer: summands, scales, and the exact sum that they stand for."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from summand.isa import limits
from summand.model.channels import ChannelGroups
from summand.model.transform import Transform
from summand.schedule.fit import Needs
from summand.schedule.terms import Direct, Sizes
from summand.schedule.traffic import layer_traffic
from summand.summands.base import Entry, Summand, sizes_of
from summand.summands.errors import LayerError
from summand.summands.integers import quantise
from summand.summands.registry import entry_of

__all__ = ["Layer"]


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer ``y = x W (+ bias)`` as a sum of integer products.

    For tokens ``xq`` with scales ``s_x`` (:meth:`quantise`)::

        acc = 0
        for summand in summands:
            acc = (acc << summand.acc_shift) + summand.accumulate(xq * lift)
        y = acc * s_x * scale (+ bias)

    ``lift`` is 1 but where the transform has groups (:class:`.ChannelGroups`).

    Parameters
    ----------
    name : str
        Path of the module in its model.
    in_features, out_features : int
        K and N.
    act_bits : int
        Bits of an activation, 4 to 10.
    summands : tuple of Summand
        At least one. The first has no ``acc_shift``; those that multiply the input directly come
        before those of two factors.
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
    summands: tuple[Summand, ...]
    scale: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32] | None = None
    transform: Transform | None = None

    def __post_init__(self):
        k, n = self.in_features, self.out_features
        if k < 1 or n < 1:
            self._refuse(f"in_features and out_features must be at least 1, not {k} and {n}")
        if self.act_bits not in limits.ACT_BITS:
            self._refuse(f"act_bits must be {limits.ACT_BITS}, not {self.act_bits}")
        if not self.summands:
            self._refuse("a layer needs one summand at least")
        for i, summand in enumerate(self.summands):
            self._check_summand(i, summand)
        direct = [isinstance(entry.term(), Direct) for entry in self.entries]
        if direct != sorted(direct, reverse=True):
            self._refuse("summands that multiply the input directly must come before the others")
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

    def _check_summand(self, index: int, summand: Summand) -> None:
        shape = (self.in_features, self.out_features)
        where = f"summand {index}, {type(summand).__name__},"
        if summand.shape != shape:
            self._refuse(f"{where} must be of shape {shape}, not {summand.shape}")
        if summand.acc_shift not in limits.ACC_SHIFT:
            allowed = limits.ACC_SHIFT
            self._refuse(f"{where} must have acc_shift {allowed}, not {summand.acc_shift}")
        if summand.acc_shift and not index:
            self._refuse(
                f"{where} must have acc_shift 0, not {summand.acc_shift}: "
                f"there is no sum before it to shift"
            )

    def _refuse(self, why: str) -> None:
        raise LayerError(f"layer {self.name!r}: {why}")

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The summands' sizes."""
        return tuple(map(entry_of, self.summands))

    @cached_property
    def sizes(self) -> Sizes:
        """All that commands depend on."""
        k, n = self.in_features, self.out_features
        return sizes_of(k, n, self.entries, self.borders, self.acc_bits)

    @property
    def groups(self) -> ChannelGroups | None:
        """Those of its input's channels, if there are any."""
        return None if self.transform is None else self.transform.groups

    @property
    def borders(self) -> tuple[tuple[int, int], ...]:
        """Those between groups of its input's channels."""
        return () if self.groups is None else self.groups.borders

    @property
    def needs(self) -> Needs:
        """Its demands on an engine."""
        return Needs(sizes=self.sizes, act_bits=self.act_bits, acc_bits=self.acc_bits)

    @property
    def bits(self) -> int:
        """Bits of all summands' integers, without padding."""
        return layer_traffic(self.sizes).integers

    @cached_property
    def acc_bits(self) -> int:
        """Least accumulator width that no activations whatever can overflow.

        Bounds every partial sum in any order by the sum of magnitudes, activations at
        ``-2**(act_bits - 1)``, from the weights as they are.
        """
        worst = 0
        lift = None if self.groups is None else self.groups.lift
        total = np.zeros(self.out_features, np.int64)
        for summand in self.summands:
            bounds = summand.bounds(self.act_bits, lift)
            total = (total << summand.acc_shift) + bounds.outputs
            worst = max(worst, bounds.inside)
        return max(worst, int(total.max())).bit_length() + 1

    def plus(self, summand: Summand) -> "Layer":
        """Return the layer with another summand behind its own, whose integers stay.

        Where the summand shifts the accumulator, its unit becomes finer by as much. Where the
        transform takes a centre away, the bias makes up for what the summand would make of it.

        Raises
        ------
        LayerError
            If the summand does not fit the layer, or a finer unit is below float32's range.
        """
        scale = np.ldexp(self.scale, -summand.acc_shift)
        if not np.array_equal(np.ldexp(scale, summand.acc_shift), self.scale):
            self._refuse(
                f"its scale is too small to be divided by 2^{summand.acc_shift}; "
                f"give a summand with acc_shift 0"
            )
        added = replace(self, summands=(*self.summands, summand), scale=scale)
        return added.with_centre(summand.matrix() * scale)

    def with_centre(self, matrix: npt.NDArray[np.floating]) -> "Layer":
        """Return the layer with a bias that makes up for the centre of its input's channels.

        Parameters
        ----------
        matrix : float array, shape ``[K, N]``
            What multiplies the input behind the transform.
        """
        centre = None if self.transform is None else self.transform.centre
        if centre is None:
            return self
        bias = centre @ matrix.astype(np.float64)
        if self.bias is not None:
            bias = bias + self.bias
        return replace(self, bias=bias.astype(np.float32))

    def quantise(
        self, x: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
        """Transform tokens ``[M, K]`` and turn them into integers, as :func:`quantise` does.

        The scales are those of accumulators: where channels have groups, of the last one.

        Raises :class:`LayerError` if an activation is not finite.
        """
        if self.transform is not None:
            x = self.transform.apply(x)
        try:
            if self.groups is None:
                return quantise(x, self.act_bits)
            return self.groups.quantise(x, self.act_bits)
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
        if self.groups is not None:
            x = x * self.groups.lift
        acc = np.zeros((len(x), self.out_features), np.int64)
        for summand in self.summands:
            acc = (acc << summand.acc_shift) + summand.accumulate(x, self.act_bits)
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
        for summand in self.summands:
            acc = np.ldexp(acc, summand.acc_shift) + summand.matrix()
        return acc * self.scale
