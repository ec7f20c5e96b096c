"""A layer as others quantised it becomes a layer of ours: exactly, or with a known error."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from summand.compress.importers.errors import NotHeldError
from summand.compress.importers.weight import QuantisedWeight, bits_of
from summand.compress.twin.integer import quantise_tokens
from summand.model import Layer, Transform
from summand.summands.base import Summand
from summand.summands.dense import Dense
from summand.summands.integers import requantise
from summand.summands.lowrank import LowRank
from summand.summands.lowrank.solve.intermediate import requantisation

__all__ = ["Fidelity", "hold", "two_level"]

#: Bits of the second factor that holds offsets: as many as there are.
_OFFSET_BITS = 8

#: Inputs that requantisations and units are tried on, at most.
_SAMPLE = 256

#: Requantisations that are tried, a quarter of an octave apart, and what they multiply by.
_REQUANTISATIONS = [requantisation(math.pow(2, octave / 4)) for octave in range(-56, 25)]
_RATIOS = np.array([math.ldexp(mult, -shift) for mult, shift in _REQUANTISATIONS])

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fidelity:
    """How far a layer is off from the checkpoint that it was taken from.

    Parameters
    ----------
    kind : str
        What the checkpoint calls the layer's weights.
    scale_error : float
        Relative error of the scales: the norm of the differences over the norm.
    matrix_error : float
        Relative error of the weights, offsets included.
    """

    kind: str
    scale_error: float
    matrix_error: float

    @classmethod
    def of(cls, layer: Layer, weight: QuantisedWeight) -> "Fidelity":
        """Compare what a layer stands for with what its source stands for."""
        if layer.groups is not None:
            weight = weight.rows(layer.groups.order)
        dense = layer.summands[0]
        assert isinstance(dense, Dense)
        scales = np.ones((1, 1)) if dense.scales is None else dense.scales.astype(float)
        return cls(
            weight.kind,
            _relative(scales * layer.scale, np.abs(weight.scales)),
            _relative(layer.matrix(), weight.matrix()),
        )


def hold(
    name: str,
    weight: QuantisedWeight,
    *,
    bias: npt.NDArray[np.float32] | None,
    sample: torch.Tensor,
    act_bits: int,
    scale_bits: int,
    acc_bits: int,
    transform: Transform | None = None,
) -> Layer:
    """Take a quantised layer over.

    Integers are kept; they get as many bits as they need. A float scale of each output times an
    integer of ``scale_bits`` of each group stands for the checkpoint's float scales. Offsets of
    groups become a low-rank summand, whose first factor says with one bit which group an input
    feature is in.

    Parameters
    ----------
    name : str
        Path of the module.
    weight : QuantisedWeight
        As the checkpoint has it.
    bias : float32 array, shape ``[N]``, optional
        Added on the host.
    sample : float32 tensor, shape ``[S, K]``
        Inputs of the layer, to which the requantisation of a low-rank summand is fitted.
    act_bits, scale_bits, acc_bits : int
        The engine's.
    transform : Transform, optional
        Of the layer's input: groups of channels, in an order that leaves those of weights whole.

    Raises
    ------
    NotHeldError
        If no dense summand holds the integers, groups are not of neighbouring features, or
        accumulators are too narrow; or if weights have offsets and channels groups.
    """
    if transform is not None and transform.groups is not None:
        if weight.offsets is not None:
            raise NotHeldError("it has offsets, which go with no groups of channels")
        weight = weight.rows(transform.groups.order)
    weight.check()
    k, n = weight.codes.shape
    codes, scales = weight.unsigned()
    dense = Dense(codes.astype(np.int8), bits_of(codes), pattern=weight.pattern)
    sums = _Sums.of(weight, codes)
    grouped = len(scales) > 1
    fit = None
    if weight.offsets is not None:
        fit = _Offsets(weight.offsets.astype(np.float64), weight.groups, sums, sample, act_bits)

    def layer_of(tops: range) -> Layer:
        lost = sums.lost
        if fit is not None:
            lost = fit.lost(fit.low_rank(_largest(scales) / tops[-1]))
        unit, integers = two_level(scales, tops, lost)
        summands: list[Summand] = [dense]
        if grouped:
            g = integers.astype(np.uint8)
            summands = [
                replace(dense, scales=g, scale_bits=scale_bits, group=weight.group),
            ]
        if fit is not None:
            summands.append(fit.low_rank(unit))
        unit = unit.astype(np.float32)
        return Layer(name, k, n, act_bits, tuple(summands), unit, bias, transform)

    most = scale_bits if grouped else 1
    if fit is None:
        tries = [range(1, 1 << b) for b in range(most, 0, -1)]
    else:
        tries = [range(1 << b - 1, 1 << b) for b in range(most, 0, -1)]
    best, least = None, math.inf
    for tops in tries:
        layer = layer_of(tops)
        if layer.acc_bits > acc_bits:
            continue
        if fit is None:
            return layer.with_centre(layer.matrix())  # the finest scales that fit are the best
        error = fit.output_error(layer, weight)
        if error < least:
            best, least = layer, error
    if best is None:
        raise NotHeldError(f"its sums need accumulators of more than {acc_bits} bits")
    return best


def _largest(scales: _Floats) -> _Floats:
    """Return each output's largest scale, or 1 where all are zero."""
    largest = scales.max(axis=0)
    return np.where(largest > 0, largest, 1.0)


@dataclass(frozen=True, eq=False)
class _Sums:
    """What a group's errors are weighed with, each of shape ``[G, N]`` or ``[G, 1]``."""

    squares: _Floats
    codes: _Floats
    counts: _Floats

    @classmethod
    def of(cls, weight: QuantisedWeight, codes: npt.NDArray[np.int16]) -> "_Sums":
        starts = np.arange(0, len(codes), weight.group)
        wide = codes.astype(np.float64)
        return cls(
            np.add.reduceat(np.square(wide), starts, axis=0),
            np.add.reduceat(wide, starts, axis=0),
            np.bincount(weight.groups)[:, None].astype(np.float64),
        )

    def lost(self, scales: _Floats, unit: _Floats) -> _Floats:
        """Return the square error of every output's weights, of scales that are off so much."""
        return (np.square(scales) * self.squares).sum(axis=0)


def two_level(
    scales: _Floats, tops: range, lost: Callable[[_Floats, _Floats], _Floats]
) -> tuple[_Floats, npt.NDArray[np.int64]]:
    """Return units of outputs and integers of groups whose products stand for scales.

    All units that make the largest scale one of ``tops`` are tried, each also fitted to its
    integers by least squares. Scales that are such products are found as they are.

    Parameters
    ----------
    scales : float64 array, shape ``[G, N]``
        Not negative.
    tops : range
        Whole numbers, the largest integer there is last.
    lost : callable
        Takes by how much products are below scales, and units; returns each output's error.

    Returns
    -------
    unit : float64 array, shape ``[N]``
        Values of float32; positive.
    integers : int64 array, shape ``[G, N]``
        0 to the last of ``tops``.
    """
    top, largest = tops[-1], _largest(scales)
    best = largest.astype(np.float32).astype(np.float64)
    least = np.full_like(largest, np.inf)

    def consider(unit: _Floats) -> _Floats:
        nonlocal best, least
        unit = unit.astype(np.float32).astype(np.float64)
        q = np.clip(np.rint(scales / unit), 0, top)
        error = lost(scales - q * unit, unit)
        better = error < least
        best, least = np.where(better, unit, best), np.where(better, error, least)
        return q

    for t in tops:
        q = consider(largest / t)
        norm = np.square(q).sum(axis=0)
        consider(np.where(norm > 0, (scales * q).sum(axis=0) / np.maximum(norm, 1), largest / t))
    return best, np.clip(np.rint(scales / best), 0, top).astype(np.int64)


class _Offsets:
    """Offsets of groups as a low-rank summand, in units of the accumulators.

    The first factor is 0 or -1, all that one bit can be.

    Parameters
    ----------
    offsets : float64 array, shape ``[G, N]``
        Added to each weight of a group.
    groups : integer array, shape ``[K]``
        The group of each input feature.
    sums : _Sums
        Of the groups' integers.
    sample : float32 tensor, shape ``[S, K]``
        Inputs of the layer.
    act_bits : int
        Of activations, and of the intermediate.
    """

    def __init__(
        self,
        offsets: _Floats,
        groups: npt.NDArray[np.integer],
        sums: _Sums,
        sample: torch.Tensor,
        act_bits: int,
    ):
        self._offsets, self._sums = offsets, sums
        self._top = (1 << (act_bits - 1)) - 1
        self._a = np.where(groups[:, None] == np.arange(len(offsets)), -1, 0).astype(np.int8)
        xq, s_x = quantise_tokens(sample[:: -(-len(sample) // _SAMPLE)], act_bits)
        self._xq = xq.double().numpy()
        self._inner = self._xq @ self._a.astype(np.float64)
        self._loudness = np.square(s_x.double().numpy()[:, 0])

    def low_rank(self, unit: _Floats) -> LowRank:
        """Return the summand for these units of the outputs."""
        rank = len(self._offsets)
        mult, shift = np.empty(rank, np.uint16), np.empty(rank, np.uint8)
        for r in range(rank):
            mult[r], shift[r] = self._balance(r, unit)
        b = self._factor(unit, np.ldexp(mult.astype(np.float64), -shift.astype(np.int64)))
        return LowRank(self._a, 1, b.astype(np.int8), _OFFSET_BITS, mult, shift)

    def lost(self, low_rank: LowRank) -> Callable[[_Floats, _Floats], _Floats]:
        """Return the error of weights for :func:`two_level`, requantisation left as it is."""
        ratios = np.ldexp(low_rank.mult.astype(np.float64), -low_rank.shift.astype(np.int64))
        sums = self._sums

        def lost(scales: _Floats, unit: _Floats) -> _Floats:
            offsets = self._offsets + self._factor(unit, ratios) * unit * ratios[:, None]
            both = 2 * scales * offsets * sums.codes + np.square(offsets) * sums.counts
            return sums.lost(scales, unit) + both.sum(axis=0)

        return lost

    def output_error(self, layer: Layer, weight: QuantisedWeight) -> float:
        """Return the square error of a layer's outputs on the sample, its inputs whole numbers."""
        dense, low = layer.summands
        assert isinstance(dense, Dense)
        assert isinstance(low, LowRank)
        t = requantise(self._inner.astype(np.int64), low.mult, low.shift, layer.act_bits)
        off = (dense.integers() * layer.scale).astype(np.float64) - weight.matrix()
        lost = self._xq @ off + t @ (low.b * layer.scale.astype(np.float64))
        return float(self._loudness @ np.square(lost).sum(axis=1))

    def _factor(self, unit: _Floats, ratios: _Floats) -> _Floats:
        """Return the second factor, whole numbers."""
        high = (1 << (_OFFSET_BITS - 1)) - 1
        safe = np.where(ratios > 0, ratios, 1.0)[:, None]
        return np.clip(np.rint(-self._offsets / unit / safe), -high - 1, high)

    def _balance(self, r: int, unit: _Floats) -> tuple[int, int]:
        """Return the requantisation of one group's sums that errs least on the sample.

        A large ratio rounds the sums finely, but saturates, and makes the second factor's integers
        small, hence coarse.
        """
        inner, squares = self._inner[:, r], np.square(unit)
        want = -self._offsets[r] / unit
        high = (1 << (_OFFSET_BITS - 1)) - 1
        ratios = _RATIOS[:, None]
        t = np.clip(np.floor(inner * ratios + 0.5), -self._top - 1, self._top)
        scaled = want / ratios
        b = np.clip(np.rint(scaled), -high - 1, high)
        of_t = np.square(inner - t / ratios) @ self._loudness * (np.square(want) @ squares)
        of_b = np.square(t) @ self._loudness * (np.square(scaled - b) @ squares)
        least = int(np.argmin(of_t + of_b))
        without = np.square(inner) @ self._loudness * (np.square(want) @ squares)
        return _REQUANTISATIONS[least] if (of_t + of_b)[least] < without else (0, 1)


def _relative(got: npt.NDArray[np.floating], want: npt.NDArray[np.floating]) -> float:
    """Return the norm of the difference over the norm."""
    norm = float(np.linalg.norm(want))
    return float(np.linalg.norm(got - want)) / norm if norm else float(np.abs(got).max())
