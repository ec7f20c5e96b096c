"""Layers that have a summand of every kind, on the generated Verilog."""

from typing import Any

import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.isa.patterns import SparsePattern
from summand.model import ChannelGroups, Layer, Transform
from summand.runtime import Driver
from summand.runtime.compiler import compile_layers
from summand.summands.base import Summand
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank
from summand.summands.outliers import Outliers
from summand.verilated import SimDevice

pytestmark = pytest.mark.sim

#: Every feature is built, and the memories are too small for most layers.
ENGINE = EngineConfig(
    rows=2,
    cols=4,
    depth=16,
    stream_bits=32,
    acc_depth=16,
    act_depth=4,
    requant_depth=16,
    scale_bits=4,
    half_steps=True,
    border_shift=3,
    sparse_block=8,
    limb_bits=4,
)

BLOCK = 16


def signed(rng: np.random.Generator, bits: int, shape: tuple[int, int]) -> np.ndarray:
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape).astype(np.int8)


def sparse(rng: np.random.Generator, bits: int, shape: tuple[int, int], kept: int) -> np.ndarray:
    """Return a matrix with ``kept`` weights in each block of 8 inputs, some of them 0."""
    k, n = shape
    order = rng.random((k // 8, 8, n)).argsort(axis=1)
    return (signed(rng, bits, shape).reshape(k // 8, 8, n) * (order < kept)).reshape(k, n)


def emptied(rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """Set some slices of a matrix to 0."""
    lost = np.repeat(rng.random(-(-len(weights) // BLOCK)) < rng.choice([0, 0.3, 0.8]), BLOCK)
    return np.where(lost[: len(weights), None], np.int8(0), weights)


def dense(rng: np.random.Generator, kind: str, shape: tuple[int, int]) -> Dense:
    """Return a dense summand of one of three kinds, with group scales or without."""
    bits = int(rng.integers(1, 5))
    groups: dict[str, Any] = {}
    if rng.integers(2):
        scales = rng.integers(0, 16, (-(-shape[0] // BLOCK), shape[1])).astype(np.uint8)
        groups = {"scales": scales, "scale_bits": 4, "group": BLOCK}
    if kind == "pattern":
        kept = int(rng.integers(1, 8))
        pattern = SparsePattern(kept=kept, block=8)
        weights = emptied(rng, sparse(rng, bits, shape, kept))
        return Dense(weights, bits, pattern=pattern, **groups)
    return Dense(signed(rng, bits, shape), bits, half_step=kind == "half-step", **groups)


def random_layer(
    rng: np.random.Generator, kind: str, k: int, n: int, transform: Transform | None
) -> Layer:
    """Return a dense summand of a kind; outliers and ranks are beside most of them."""
    summands: list[Summand] = [dense(rng, kind, (k, n))]
    if rng.integers(3):
        pattern = SparsePattern(kept=1, block=8)
        summands.append(Outliers(emptied(rng, sparse(rng, 6, (k, n), 1)), 6, pattern))
    if rng.integers(3):
        rank = int(rng.integers(1, 12))
        summands.append(
            LowRank(
                a=signed(rng, 3, (k, rank)),
                a_bits=3,
                b=signed(rng, 4, (rank, n)),
                b_bits=4,
                mult=rng.integers(1 << 14, 1 << 16, rank).astype(np.uint16),
                shift=rng.integers(18, 26, rank).astype(np.uint8),
            )
        )
    return Layer(
        name=kind,
        in_features=k,
        out_features=n,
        act_bits=8,
        summands=tuple(summands),
        scale=np.ones(n, np.float32),
        transform=transform,
    )


def random_transform(rng: np.random.Generator, k: int) -> Transform | None:
    """Return channel groups in two cases of three, where there is a place for a border."""
    places = range(BLOCK, k, BLOCK)
    if not places or not rng.integers(3):
        return None
    count = int(rng.integers(1, min(len(places), 4) + 1))
    firsts = sorted(rng.choice(places, count, replace=False).tolist())
    borders = tuple((first, int(rng.integers(1, 4))) for first in firsts)
    groups = ChannelGroups(rng.permutation(k).astype(np.int32), borders)
    return Transform(k, groups=groups)


@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_layers_of_all_kinds_share_an_input(stall):
    driver = Driver(SimDevice(ENGINE, stall=stall, seed=3))
    with driver:
        for seed in range(25):
            rng = np.random.default_rng(seed)
            k = 8 * int(rng.integers(1, 16))
            transform = random_transform(rng, k)
            layers = [
                random_layer(rng, kind, k, int(rng.integers(1, 60)), transform)
                for kind in rng.permutation(["half-step", "pattern", "whole"])
            ]
            xq = rng.integers(-128, 128, (int(rng.integers(1, 5)), k)).astype(np.int16)
            result = driver.run(compile_layers(layers, ENGINE), xq)
            for layer, acc in zip(layers, result.outputs, strict=True):
                np.testing.assert_array_equal(acc, layer.accumulate(xq), err_msg=f"{seed}")
