from collections.abc import Callable

import numpy as np
import pytest

from summand.model import Layer
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank


def signed(rng: np.random.Generator, bits: int, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape).astype(np.int8)


def random_layer(
    seed: int,
    *,
    k: int = 7,
    n: int = 5,
    bits: int | None = 4,
    rank: int = 2,
    a_bits: int = 5,
    b_bits: int = 6,
    act_bits: int = 8,
    acc_shift: int = 4,
    group: int = 0,
    scale_bits: int = 5,
    half_step: bool = False,
    bias: bool = True,
) -> Layer:
    rng = np.random.default_rng(seed)
    low_rank = None
    if rank:
        low_rank = LowRank(
            a=signed(rng, a_bits, (k, rank)),
            a_bits=a_bits,
            b=signed(rng, b_bits, (rank, n)),
            b_bits=b_bits,
            mult=rng.integers(0, 1 << 16, rank).astype(np.uint16),
            shift=rng.integers(12, 24, rank).astype(np.uint8),
            acc_shift=acc_shift if bits else 0,
        )
    dense = None
    if bits is not None:
        groups = {}
        if group:
            scales = rng.integers(0, 1 << scale_bits, (-(-k // group), n)).astype(np.uint8)
            groups = {"scales": scales, "scale_bits": scale_bits, "group": group}
        dense = Dense(signed(rng, bits, (k, n)), bits, **groups, half_step=half_step)
    summands = tuple(s for s in (dense, low_rank) if s is not None)
    return Layer(
        name="block.linear",
        in_features=k,
        out_features=n,
        act_bits=act_bits,
        summands=summands,
        scale=rng.normal(size=n).astype(np.float32),
        bias=rng.normal(size=n).astype(np.float32) if bias else None,
    )


@pytest.fixture(scope="session")
def make_layer() -> Callable[..., Layer]:
    """Returns a random layer for a seed; keyword arguments change its sizes."""
    return random_layer
