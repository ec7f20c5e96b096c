from pathlib import Path

import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.model import Layer, ModelWriter, SummandModel
from summand.summands.base import Summand
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank


@pytest.fixture(scope="session")
def engine() -> EngineConfig:
    """A small engine, whose tiles are narrower than its stream."""
    return EngineConfig(
        rows=2, cols=2, depth=16, stream_bits=32, acc_depth=32, act_depth=8, shift=3
    )


def make_layer(name: str, k: int, n: int, *, bits: int = 3, rank: int = 0) -> Layer:
    rng = np.random.default_rng([k, n])

    def matrix(rows: int, columns: int) -> np.ndarray:
        return rng.integers(-4, 4, (rows, columns)).astype(np.int8)

    summands: list[Summand] = [Dense(matrix(k, n), bits)]
    if rank:
        mult, shift = np.full(rank, 40_000, np.uint16), np.full(rank, 20, np.uint8)
        factors = matrix(k, rank), 3, matrix(rank, n), 3
        summands.append(LowRank(*factors, mult, shift, acc_shift=3))
    return Layer(name, k, n, 8, tuple(summands), np.ones(n, np.float32))


@pytest.fixture(scope="session")
def layers() -> dict[str, Layer]:
    """Two blocks and a head that needs several passes."""
    made = [make_layer("head", 40, 150)]
    for i in range(2):
        made.append(make_layer(f"blocks.{i}.q", 40, 30, rank=4))
        made.append(make_layer(f"blocks.{i}.k", 40, 10))
        made.append(make_layer(f"blocks.{i}.o", 30, 40, bits=5))
    return {layer.name: layer for layer in made}


@pytest.fixture(scope="session")
def model(layers: dict[str, Layer], tmp_path_factory: pytest.TempPathFactory) -> SummandModel:
    """The layers as a folder, without a host's part."""
    path: Path = tmp_path_factory.mktemp("models") / "bare"
    groups = [["head"]]
    for i in range(2):
        groups += [[f"blocks.{i}.q", f"blocks.{i}.k"], [f"blocks.{i}.o"]]
    with ModelWriter(path) as writer:
        for layer in layers.values():
            writer.add(layer)
        writer.finish(groups=groups, source={"kind": "test"}, options={})
    return SummandModel(path)
