"""Half-step weights in whole products: of inputs that fill no slice, and with scales."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.isa.commands import Gemm
from summand.isa.planes import pack_planes
from summand.isa.scales import pack_scales
from summand.isa.segments import Segment
from summand.stimulus.builder import ProgramBuilder

FIXED = settings(deadline=None, derandomize=True, max_examples=60)
CONFIG = EngineConfig(
    rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, scale_bits=3,
    half_steps=True,
)  # fmt: skip


@FIXED
@given(st.integers(1, 64), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_inputs_beyond_a_layers_are_zero_and_add_nothing(k, planes, seed):
    """A half-step weight that pads is 1; the activation that it meets is 0."""
    rng = np.random.default_rng(seed)
    slices = -(-k // CONFIG.depth)
    x = np.zeros((CONFIG.rows, slices * CONFIG.depth), int)
    x[:, :k] = rng.integers(CONFIG.act_min, CONFIG.act_max + 1, (CONFIG.rows, k))
    q = rng.integers(-(1 << planes - 1), 1 << planes - 1, (k, 6))
    builder = ProgramBuilder(CONFIG)
    builder.load(0, x)
    segment = Segment(tile=2, tiles=3, planes=planes, clear=True, half_step=True)
    builder.gemm(Gemm(0, slices, (segment,)), pack_planes(q, planes, CONFIG).tobytes())
    np.testing.assert_array_equal(builder.engine.accumulators[:, 4:10], x[:, :k] @ (2 * q + 1))


@FIXED
@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_a_groups_scale_multiplies_the_half_step_too(planes, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(CONFIG.act_min, CONFIG.act_max + 1, (CONFIG.rows, 2 * CONFIG.depth))
    q = rng.integers(-(1 << planes - 1), 1 << planes - 1, (2 * CONFIG.depth, 4))
    g = rng.integers(0, 8, (2, 4))
    builder = ProgramBuilder(CONFIG)
    builder.load(0, x)
    segment = Segment(tile=0, tiles=2, planes=planes, clear=True, scaled=True, half_step=True)
    groups = [
        pack_scales(scales.reshape(2, CONFIG.cols), CONFIG) + words.tobytes()
        for scales, words in zip(g, pack_planes(q, planes, CONFIG), strict=True)
    ]
    builder.gemm(Gemm(0, 2, (segment,), group=1), b"".join(groups))
    w = np.repeat(g, CONFIG.depth, axis=0) * (2 * q + 1)
    np.testing.assert_array_equal(builder.engine.accumulators[:, :4], x @ w)
