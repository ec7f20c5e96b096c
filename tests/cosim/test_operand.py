"""A matrix that is made on the chip multiplies there: activations of low rank, taken apart.

The rows of ``V``, a few pseudo-tokens, are multiplied by a layer's weights ``W``; their outputs
``P`` stay in the operand memory, and each token's coefficients ``U`` are multiplied by them.
"""

import numpy as np
import pytest

from summand.golden import GoldenEngine, split_packets
from summand.isa import EngineConfig
from summand.isa.commands import Cast, Fence, Gemm, Load, Store
from summand.isa.packets import Kind
from summand.isa.planes import pack_planes
from summand.isa.requantisation import pack_requantisation
from summand.isa.segments import Segment
from summand.verilated import SimDevice

pytestmark = pytest.mark.sim

CONFIG = EngineConfig(
    rows=4,
    cols=4,
    depth=16,
    stream_bits=64,
    acc_depth=16,
    act_depth=8,
    requant_depth=32,
    operand_depth=256,
)
RANK, INPUTS, OUTPUTS, BITS, PLANES, TOKENS = 20, 40, 24, 4, 6, 8
TILES = OUTPUTS // CONFIG.cols
SLICE_WORDS = TILES * PLANES


def load(values: np.ndarray) -> bytes:
    """Return a LOAD of up to four tokens' activations to slice 0, and zeros behind them."""
    slices = -(-values.shape[1] // CONFIG.depth)
    padded = np.zeros((len(values), slices * CONFIG.depth), np.int8)
    padded[:, : values.shape[1]] = values
    return Load(0, slices, len(values)).encode(CONFIG) + padded.tobytes()


def product(v: np.ndarray, w: np.ndarray, mult: np.ndarray, shift: np.ndarray) -> list[bytes]:
    """Return commands that leave ``v @ w``, requantised, in the operand."""
    commands, slices = [], -(-INPUTS // CONFIG.depth)
    whole = Segment(tile=0, tiles=TILES, planes=BITS, clear=True)
    for first in range(0, RANK, CONFIG.rows):
        rows = v[first : first + CONFIG.rows]
        part, lane = divmod(first, CONFIG.depth)
        cast = Cast(0, TILES, len(rows), PLANES, part * SLICE_WORDS, lane)
        commands += [
            load(rows),
            Gemm(0, slices, (whole,)).encode(CONFIG) + pack_planes(w, BITS, CONFIG).tobytes(),
            cast.encode(CONFIG) + pack_requantisation(mult, shift),
        ]
    return commands


def through_operand(u: np.ndarray) -> list[bytes]:
    """Return commands that multiply four tokens' coefficients, and send the results."""
    slices = -(-RANK // CONFIG.depth)
    segment = Segment(tile=TILES, tiles=TILES, planes=PLANES, clear=True)
    return [
        load(u),
        Gemm(0, slices, (segment,), from_word=0).encode(CONFIG),
        Store(TILES, TILES, len(u)).encode(CONFIG),
    ]


@pytest.mark.parametrize("make", [GoldenEngine, SimDevice])
def test_tokens_are_multiplied_by_what_pseudo_tokens_left_on_the_chip(make):
    rng = np.random.default_rng(0)
    v = rng.integers(-127, 128, (RANK, INPUTS))
    w = rng.integers(-8, 8, (INPUTS, OUTPUTS))
    u = rng.integers(-127, 128, (TOKENS, RANK))
    mult, shift = rng.integers(20_000, 65_536, OUTPUTS), np.full(OUTPUTS, 22)
    p = (v @ w * mult + (1 << shift - 1)) >> shift
    p = np.clip(p, -(1 << PLANES - 1), (1 << PLANES - 1) - 1)
    assert len(np.unique(p)) > 40  # they fill the range

    commands = product(v, w, mult, shift)
    for first in range(0, TOKENS, CONFIG.rows):
        commands += through_operand(u[first : first + CONFIG.rows])
    device = make(CONFIG)
    device.write([*commands, Fence().encode(CONFIG)])
    size = TOKENS * OUTPUTS * 4 + TOKENS // CONFIG.rows * 16 + 16 + 32
    raw = device.read(size) if make is GoldenEngine else device.read(size, 60)
    data = [x.payload for x in split_packets(raw, CONFIG) if x.header.kind is Kind.DATA]
    got = np.frombuffer(b"".join(data), "<i4").reshape(TOKENS, OUTPUTS)
    np.testing.assert_array_equal(got, u @ p)
