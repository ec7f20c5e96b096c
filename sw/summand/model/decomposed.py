"""The exact meaning of layers that are computed by way of a few pseudo-tokens."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from summand.model.basis import basis_of, orthonormal
from summand.model.decomposition import EXACT, Decomposition, spans
from summand.model.layer import Layer
from summand.model.loud import loud_rows, parted, with_loud
from summand.summands.errors import LayerError
from summand.summands.integers import quantise, requantise

__all__ = [
    "Multiply",
    "Pseudo",
    "check_decomposable",
    "decomposed",
    "exact",
    "joined",
    "pseudo_tokens",
    "scaled",
    "token_weights",
]

_Integers = npt.NDArray[np.integer]
_Floats = npt.NDArray[np.float32]

_Doubles = npt.NDArray[np.float64]

#: Tokens times directions, vectors of tokens times tokens, and of features times tokens.
_What = Literal["sketch", "product", "back"]

#: Returns the exact product of integers ``[M, K]`` and a matrix ``[K, N]`` of so many bits, which
#: is the directions or made of tokens.
Multiply = Callable[[_What, _Integers, npt.NDArray[np.int8], int], _Integers]


class Pseudo(NamedTuple):
    """A prompt's pseudo-tokens, and how its tokens are made of them.

    Parameters
    ----------
    rows : int16 array, shape ``[rank, K]``
        What goes through the layers in the place of tokens.
    tokens : int16 array, shape ``[M, rank]``
        What multiplies the products of rows.
    scale : float32 array, shape ``[M, 1]``
        The tokens' units.
    """

    rows: npt.NDArray[np.int16]
    tokens: npt.NDArray[np.int16]
    scale: _Floats


def pseudo_tokens(
    xq: npt.NDArray[np.int16],
    s_x: _Floats,
    of: Decomposition,
    act_bits: int,
    multiply: Multiply,
) -> Pseudo:
    """Decompose tokens.

    Parameters
    ----------
    xq : int16 array, shape ``[M, K]``
        As :meth:`Layer.quantise` returns them.
    s_x : float32 array, shape ``[M, 1]``
        Their units.
    of : Decomposition
        How.
    act_bits : int
        Bits of an activation.
    multiply : callable
        An engine, or what is as exact.
    """
    weights, unit = token_weights(xq, of.token_bits, act_bits)

    def product(what: _What, vectors: _Doubles, matrix: npt.NDArray[np.int8]) -> _Doubles:
        """Multiply vectors, in the columns, by tokens as weights."""
        vq, size = quantise(vectors.T.astype(np.float32), act_bits)
        return multiply(what, vq, matrix, of.token_bits) * size.astype(np.float64) * unit

    sketches = multiply("sketch", xq, of.directions, of.sketch_bits) * s_x.astype(np.float64)
    basis = basis_of(sketches * of.scale, of.block)
    products = [product("product", basis * s_x, weights)]
    seen = np.zeros((xq.shape[1], 0))
    for _ in range(1, of.steps):
        block = orthonormal(products[-1].T, seen)
        seen = np.hstack([seen, block])
        further = product("back", block, weights.T).T * s_x
        new = basis_of(further, min(of.block, of.rank - basis.shape[1]), basis)
        products.append(product("product", new * s_x, weights))
        basis = np.hstack([basis, new])
    found = np.vstack(products)
    rank = basis.shape[1]
    rows = np.zeros((of.rank, xq.shape[1]), np.int16)
    rows[:rank], sizes = quantise(found.astype(np.float32), act_bits)
    tokens = np.zeros((len(xq), of.rank), np.float32)
    tokens[:, :rank] = basis * sizes.T
    return Pseudo(rows, *quantise(tokens, act_bits))


def token_weights(
    xq: npt.NDArray[np.integer], bits: int, act_bits: int
) -> tuple[npt.NDArray[np.int8], int]:
    """Return tokens as weights of ``bits`` bits, and the unit of these.

    Rounded to the nearest multiple of the unit, halves towards plus infinity, and saturated.
    """
    drop = max(0, act_bits - bits)
    half = (1 << drop) >> 1
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    rounded = (xq.astype(np.int32) + half) >> drop
    return np.clip(rounded, low, high).astype(np.int8), 1 << drop


def scaled(
    layers: Sequence[Layer], of: Decomposition, accs: Sequence[_Integers], scale: _Floats
) -> tuple[_Floats, ...]:
    """Return the layers' outputs ``[M, N]`` of the accumulators of tokens and their units."""
    return tuple(
        layer.scaled(acc, scale if by is None else scale * by.unit.astype(np.float32))
        for layer, acc, by in zip(layers, accs, of.requantisations, strict=True)
    )


def decomposed(layers: Sequence[Layer], of: Decomposition, x: _Floats) -> tuple[_Floats, ...]:
    """Return every layer's output for a prompt ``[M, K]``.

    The first :data:`EXACT` tokens' are exact; the others are decomposed in :func:`spans`.

    Raises
    ------
    LayerError
        If an activation is not finite, or channels are in groups.
    """
    check_decomposable(layers[0])
    first = tuple(layer.forward(x[:EXACT]) for layer in layers)
    parts = [_span(layers, of, x[span.start : span.stop]) for span in spans(len(x), of.span)]
    return tuple(np.concatenate(each) for each in zip(first, *parts, strict=True))


def check_decomposable(layer: Layer) -> None:
    """Raise :class:`LayerError` for a layer whose inputs cannot be decomposed."""
    if layer.groups is not None:
        raise LayerError(
            f"layer {layer.name!r}: its input's channels are in groups, whose integers have "
            f"different units, so tokens cannot stand as weights; compress it without groups"
        )


def _span(layers: Sequence[Layer], of: Decomposition, x: _Floats) -> tuple[_Floats, ...]:
    quiet, alone = parted(x, of.loud)
    xq, s_x = layers[0].quantise(quiet)
    pseudo = pseudo_tokens(xq, s_x, of, layers[0].act_bits, exact)
    accs = []
    for layer, by in zip(layers, of.requantisations, strict=True):
        weights = layer.accumulate(pseudo.rows)
        if by is not None:
            weights = requantise(weights, by.mult, by.shift, of.bits)
        accs.append(pseudo.tokens.astype(np.int64) @ weights)
    outputs = scaled(layers, of, accs, pseudo.scale)
    if not of.loud:
        return outputs
    xq, s_x = layers[0].quantise(alone)
    accs = [xq[:, list(of.loud)].astype(np.int64) @ loud_rows(each, of.loud) for each in layers]
    return with_loud(layers, outputs, accs, s_x)


def joined(tokens: _Integers, products: _Integers) -> _Integers:
    """Multiply activations ``[M, r]`` by accumulators ``[r, N]``.

    Exact in float64 whatever the order: sums are below ``r * 2**(act_bits - 1) * 2**31``.
    """
    return (tokens.astype(np.float64) @ products.astype(np.float64)).astype(np.int64)


def exact(_: _What, x: _Integers, matrix: npt.NDArray[np.int8], __: int) -> _Integers:
    """Multiply integers on the host; every sum is far below 2**53."""
    return (x.astype(np.float64) @ matrix.astype(np.float64)).astype(np.int64)
