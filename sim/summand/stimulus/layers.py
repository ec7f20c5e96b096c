"""Random data of one compressed layer."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.golden.arithmetic import exact_product
from summand.isa import ConfigError, EngineConfig, limits
from summand.stimulus.values import signed_values

__all__ = ["RandomLayer", "random_layer"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RandomLayer:
    """Data of ``Y = X W``, or of ``((X W) << shift) + requantised(X A) B`` where there is a rank.

    Parameters
    ----------
    x : int16 array, shape ``[M, K]``
        Activations.
    dense : int8 array, shape ``[K, N]``
        ``W``, of ``bits`` bits.
    a, b : int8 arrays, shapes ``[K, R]`` and ``[R, N]``
        The low-rank factors, of ``rank_bits`` bits; R may be 0.
    mult, shift : int64 arrays, shape ``[R]``
        Requantisation of ``X A``.
    """

    x: npt.NDArray[np.int16]
    dense: npt.NDArray[np.int8]
    bits: int
    a: npt.NDArray[np.int8]
    b: npt.NDArray[np.int8]
    rank_bits: int
    mult: npt.NDArray[np.int64]
    shift: npt.NDArray[np.int64]


def random_layer(
    rng: np.random.Generator,
    config: EngineConfig,
    *,
    m: int,
    k: int,
    n: int,
    bits: int,
    rank: int = 0,
    rank_bits: int = 4,
) -> RandomLayer:
    """Return a layer of ``m`` tokens, ``k`` inputs and ``n`` outputs for ``config``'s engine.

    The requantisation fits ``X A``, so that its result fills the range of an activation.
    """
    for name, value, low in (("m", m, 1), ("k", k, 1), ("n", n, 1), ("rank", rank, 0)):
        if value < low:
            raise ConfigError(f"{name} must be at least {low}, not {value}")
    for name, value in (("bits", bits), ("rank_bits", rank_bits)):
        limits.PLANES.check(name, value)
    x = signed_values(rng, config.act_bits, m * k).reshape(m, k).astype(np.int16)
    a = _weights(rng, rank_bits, (k, rank))
    mult = rng.integers(1 << 15, 1 << 16, rank)
    inner = exact_product(x, a.astype(np.float32), act_bits=config.act_bits, bits=rank_bits)
    peak = np.abs(inner).max(axis=0) * mult
    shift = np.ceil(np.log2(np.maximum(peak, 1))).astype(np.int64) + 1 - config.act_bits
    return RandomLayer(
        x=x,
        dense=_weights(rng, bits, (k, n)),
        bits=bits,
        a=a,
        b=_weights(rng, rank_bits, (rank, n)),
        rank_bits=rank_bits,
        mult=mult,
        shift=np.clip(shift, limits.SHIFT.low, limits.SHIFT.high),
    )


def _weights(rng: np.random.Generator, bits: int, shape: tuple[int, int]) -> npt.NDArray[np.int8]:
    top = 1 << (bits - 1)
    return rng.integers(-top, top, shape, np.int8)
