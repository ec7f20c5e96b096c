import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.model import Layer
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank


def make_layer(
    config: EngineConfig,
    *,
    name: str = "layer",
    k: int = 24,
    n: int = 20,
    bits: int = 4,
    rank: int = 0,
    rank_bits: int = 4,
    group: int = 0,
    half_step: bool = False,
    seed: int = 0,
) -> Layer:
    """Random weights of full range; ``bits`` 0 leaves the dense summand out, ``rank`` 0 the other.

    The requantisation is chosen so that about the intermediate's upper half stays in range.
    """
    rng = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, width: int) -> np.ndarray:
        low, high = -(1 << (width - 1)), 1 << (width - 1)
        return rng.integers(low, high, (rows, columns)).astype(np.int8)

    low_rank = None
    if rank:
        typical = int(np.log2(k**0.5 * (1 << rank_bits))) + 1
        low_rank = LowRank(
            a=matrix(k, rank, rank_bits),
            a_bits=rank_bits,
            b=matrix(rank, n, rank_bits),
            b_bits=rank_bits,
            mult=rng.integers(1 << 14, 1 << 16, rank).astype(np.uint16),
            shift=rng.integers(14 + typical - 2, 14 + typical + 3, rank).astype(np.uint8),
            acc_shift=config.shift if bits else 0,
        )
    dense = None
    if bits:
        weights, groups = matrix(k, n, bits), {}
        if group:
            scales = rng.integers(0, 1 << config.scale_bits, (-(-k // group), n)).astype(np.uint8)
            groups = {"scales": scales, "scale_bits": config.scale_bits, "group": group}
        dense = Dense(weights, bits, **groups, half_step=half_step)
    summands = tuple(s for s in (dense, low_rank) if s is not None)
    return Layer(
        name=name,
        in_features=k,
        out_features=n,
        act_bits=config.act_bits,
        summands=summands,
        scale=rng.uniform(1e-3, 1e-2, n).astype(np.float32),
    )


@pytest.fixture(name="make_layer")
def _make_layer() -> Callable[..., Layer]:
    return make_layer


@pytest.fixture
def config() -> EngineConfig:
    """A small engine, whose memories even small layers exceed."""
    return EngineConfig(
        rows=2, cols=4, depth=16, stream_bits=64, acc_depth=16, act_depth=4, shift=3
    )


@pytest.fixture
def roomy(config: EngineConfig) -> EngineConfig:
    """The same engine with memories that hold everything."""
    return dataclasses.replace(config, acc_depth=1024, act_depth=64)
