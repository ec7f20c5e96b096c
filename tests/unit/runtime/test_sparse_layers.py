"""Compressed layers with patterns and outliers: what they mean is what an engine computes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.job.layer import compress_layer
from summand.compress.twin.integer import IntegerLinear, quantise_tokens
from summand.isa import EngineConfig
from summand.model import Layer
from summand.recipe.choice import Choice
from summand.recipe.options import Options
from summand.runtime import Driver, GoldenDevice
from summand.runtime.compiler import compile_layers
from summand.schedule.errors import CompileError
from summand.schedule.fit import fitting_engine
from summand.schedule.traffic import group_traffic

K, N = 48, 21
ENGINE = EngineConfig(
    rows=2, cols=4, depth=16, stream_bits=64, shift=4, scale_bits=4, sparse_block=16
)


def layer(seed: int, **options: Any) -> Layer:
    """Compress a layer of random weights."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(300, K, generator=g) @ torch.randn(K, K, generator=g)
    linear = nn.Linear(K, N)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(N, K, generator=g) ** 3)
    moments = x.T @ x / len(x)
    seen = InputStatistics(len(x), moments.diagonal().clone(), moments, x[::16].clone())
    choice = Choice.of(Options(**options), head=False)
    return replace(compress_layer("x", linear, seen, choice), name=f"l{seed}")


MIXED: dict[str, dict[str, Any]] = {
    "a pattern": {"bits": 4, "sparsity": "2:4"},
    "a pattern by wanda, in groups": {
        "bits": 3, "sparsity": "5:8", "sparsity_score": "wanda", "group": 16, "scale_bits": 4,
    },
    "outliers": {"bits": 3, "outliers": "1:16"},
    "both": {"bits": 4, "sparsity": "6:8", "outliers": "1:8", "outlier_bits": 6},
    "all": {"bits": 2, "sparsity": "3:4", "outliers": "1:4", "rank": 5, "rank_bits": 6},
    "rounded": {"bits": 4, "sparsity": "9:16", "sparsity_score": "magnitude", "solver": "rtn"},
}  # fmt: skip


@pytest.mark.parametrize("which", MIXED)
def test_an_engine_and_torch_compute_what_a_layer_means(which):
    made = layer(1, **MIXED[which])
    x = torch.randn(5, K, generator=torch.Generator().manual_seed(2))
    xq = quantise_tokens(x, 8)[0].to(torch.int16).numpy()
    result = Driver(GoldenDevice(ENGINE)).run(compile_layers([made], ENGINE), xq)
    want = made.accumulate(xq)
    assert np.array_equal(result.outputs[0], want)
    twin = IntegerLinear(made).accumulate(torch.from_numpy(xq.astype(np.float32)))
    assert np.array_equal(twin.double().numpy(), want)


def test_layers_of_all_patterns_share_an_input():
    layers = [layer(seed, **options) for seed, options in enumerate(MIXED.values())]
    engine = fitting_engine((made.needs for made in layers), replace(ENGINE, sparse_block=0))
    assert engine.sparse_block == 16
    x = np.random.default_rng(3).integers(-128, 128, (3, K))
    result = Driver(GoldenDevice(engine)).run(compile_layers(layers, engine), x)
    for made, acc in zip(layers, result.outputs, strict=True):
        assert np.array_equal(acc, made.accumulate(x))


def test_fewer_kept_weights_stream_fewer_bits():
    streamed = [
        group_traffic([layer(1, bits=8, **more).sizes], ENGINE).planes
        for more in ({}, {"sparsity": "8:16"}, {"sparsity": "4:16"})
    ]
    whole, half, quarter = streamed
    assert quarter < half < 0.66 * whole


def test_an_engine_without_a_decoder_is_named():
    with pytest.raises(CompileError, match="2 are kept, but the engine's sparse_block is 0"):
        compile_layers([layer(1, sparsity="2:4")], replace(ENGINE, sparse_block=0))
