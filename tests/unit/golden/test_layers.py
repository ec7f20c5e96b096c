import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.golden import split_packets
from summand.golden.builder import Program
from summand.golden.layers import RandomLayer, layer_program, random_layer
from summand.golden.stimulus import random_config
from summand.isa import ConfigError, EngineConfig
from summand.isa.ops import Header, Op
from summand.isa.packets import Kind

SMALL = EngineConfig(
    rows=3, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, requant_depth=16, shift=3
)


def expected(layer: RandomLayer, config: EngineConfig) -> list[list[int]]:
    """Return the layer's accumulators by the formula, in Python's integers."""
    top = 1 << (config.act_bits - 1)
    x, dense, a, b = (v.tolist() for v in (layer.x, layer.dense, layer.a, layer.b))
    out = []
    for row in x:
        t = []
        for r in range(layer.rank):
            acc = wrap(sum(v * w[r] for v, w in zip(row, a, strict=True)), config.acc_bits)
            mult, shift = int(layer.mult[r]), int(layer.shift[r])
            t.append(max(-top, min(top - 1, (acc * mult + 2 ** (shift - 1)) >> shift)))
        shift = config.shift if layer.rank else 0
        out.append(
            [
                wrap(
                    (sum(v * w[n] for v, w in zip(row, dense, strict=True)) << shift)
                    + sum(v * w[n] for v, w in zip(t, b, strict=True)),
                    config.acc_bits,
                )
                for n in range(layer.dense.shape[1])
            ]
        )
    return out


def wrap(value: int, bits: int) -> int:
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def gathered(program: Program, layer: RandomLayer) -> npt.NDArray[np.int64]:
    """Put the DATA packets' blocks back together."""
    cfg, data = program.config, program.data
    m, n = len(layer.x), layer.dense.shape[1]
    out = np.zeros((m, -(-n // cfg.cols) * cfg.cols), np.int64)
    packets = iter(split_packets(program.output, cfg))
    row = column = 0
    while data:
        header = Header.decode(data)
        data = data[(cfg.header_beats + header.length) * cfg.beat_bytes :]
        if header.op == Op.STORE:
            rows, width = header.c, header.b * cfg.cols
            packet = next(packets)
            assert packet.header.kind == Kind.DATA
            values = np.frombuffer(packet.payload, "<i4")[: rows * width].reshape(rows, width)
            out[row : row + rows, column : column + width] = values
            column += width
            if column == out.shape[1]:
                row, column = row + rows, 0
    assert row == m
    assert [p.header.kind for p in packets] == [Kind.STATUS]
    return out[:, :n]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    m=st.integers(1, 7),
    k=st.integers(1, 90),
    n=st.integers(1, 50),
    bits=st.integers(1, 8),
    rank=st.sampled_from([0, 1, 3, 8]),
    rank_bits=st.integers(1, 8),
)
def test_programs_compute_their_layer(seed, m, k, n, bits, rank, rank_bits):
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    shape = {"m": m, "k": k, "n": n, "bits": bits, "rank": rank, "rank_bits": rank_bits}
    layer = random_layer(rng, config, **shape)
    try:
        program = layer_program(config, layer)
    except ConfigError:
        assert rank >= 8 or config.depth * (config.act_depth - 1) < 8
        return
    np.testing.assert_array_equal(gathered(program, layer), expected(layer, config))


def test_large_layers_are_cut_in_every_direction():
    rng = np.random.default_rng(3)
    layer = random_layer(rng, SMALL, m=7, k=130, n=75, bits=3, rank=20, rank_bits=5)
    program = layer_program(SMALL, layer)
    np.testing.assert_array_equal(gathered(program, layer), expected(layer, SMALL))
    # Slices of a walk times tiles times planes, for each of three blocks of tokens.
    assert program.plane_words == 3 * (9 * 38 * 3 + 9 * 10 * 5 + 2 * 38 * 5)


def test_requantised_values_use_their_range():
    layer = random_layer(np.random.default_rng(4), SMALL, m=8, k=300, n=4, bits=4, rank=16)
    inner = layer.x.astype(np.int64) @ layer.a.astype(np.int64)
    t = (inner * layer.mult + (1 << (layer.shift - 1))) >> layer.shift
    assert (np.abs(t).max(axis=0) > 48).all()
    assert np.abs(t).max() <= 128


def test_work_is_counted():
    layer = random_layer(np.random.default_rng(5), SMALL, m=2, k=10, n=6, bits=4, rank=3)
    assert layer.macs == 2 * (10 * 6 + 3 * (10 + 6))


def test_what_leaves_no_room_is_refused_with_a_remedy():
    layer = random_layer(np.random.default_rng(6), SMALL, m=1, k=16, n=4, bits=4, rank=64)
    with pytest.raises(ConfigError, match="rank 64 leaves this engine no room.*lower the rank"):
        layer_program(SMALL, layer)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"m": 0}, "m must be at least 1, not 0"),
        ({"n": -1}, "n must be at least 1, not -1"),
        ({"bits": 9}, "bits must be 1 to 8, not 9"),
        ({"rank": -1}, "rank must be at least 0, not -1"),
        ({"rank_bits": 0}, "rank_bits must be 1 to 8, not 0"),
    ],
)
def test_impossible_layers_are_refused(wrong, message):
    fields = {"m": 1, "k": 1, "n": 1, "bits": 4} | wrong
    with pytest.raises(ConfigError, match=message):
        random_layer(np.random.default_rng(0), SMALL, **fields)
