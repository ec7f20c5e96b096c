"""Loud channels of tokens, which go around a decomposition: their products are exact."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from summand.model.layer import Layer

__all__ = ["loud_rows", "parted", "with_loud"]

_Integers = npt.NDArray[np.integer]
_Floats = npt.NDArray[np.float32]


def _top(layer: Layer) -> int:
    """Return the largest activation, which a token's loudest channel is."""
    return (1 << (layer.act_bits - 1)) - 1


def parted(x: _Floats, loud: Sequence[int]) -> tuple[_Floats, _Floats]:
    """Return tokens ``[M, K]`` without their loud channels, and these alone, zeros elsewhere."""
    quiet, alone = x.copy(), np.zeros_like(x)
    channels = list(loud)
    quiet[:, channels], alone[:, channels] = 0, x[:, channels]
    return quiet, alone


def loud_rows(layer: Layer, loud: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return a layer's accumulators ``[C, N]`` of each loud channel alone, at its largest."""
    tokens = np.zeros((len(loud), layer.in_features), np.int64)
    tokens[np.arange(len(loud)), list(loud)] = _top(layer)
    return layer.accumulate(tokens)


def with_loud(
    layers: Sequence[Layer], outputs: Sequence[_Floats], accs: Sequence[_Integers], s_x: _Floats
) -> tuple[_Floats, ...]:
    """Add what loud channels do to layers' outputs ``[M, N]``, in place and in float32.

    Parameters
    ----------
    layers : sequence of Layer
        Sharing an input.
    outputs : sequence of float32 arrays, shape ``[M, N]``
        Of quiet channels.
    accs : sequence of integer arrays, shape ``[M, N]``
        Loud channels' activations times :func:`loud_rows`.
    s_x : float32 array, shape ``[M, 1]``
        These activations' units.
    """
    units = (s_x / _top(layers[0])).astype(np.float32)

    def added(layer: Layer, y: _Floats, acc: _Integers) -> _Floats:
        y += acc.astype(np.float32) * units * layer.scale
        return y

    return tuple(map(added, layers, outputs, accs))
