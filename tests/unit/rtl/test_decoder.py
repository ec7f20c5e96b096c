import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.cosim.streams import trace
from summand.isa import EngineConfig, ErrorCode
from summand.isa.ops import MAX_SEGMENTS, CommandError, Header, Op, segment_beats
from summand.rtl.decoder import Decoder

CONFIGS = [
    EngineConfig(rows=3, cols=4, depth=8, stream_bits=32, acc_depth=16, act_depth=2,
                 requant_depth=16),
    EngineConfig(rows=64, cols=2, depth=128, stream_bits=256, acc_depth=64, act_depth=16,
                 requant_depth=64, act_bits=10),
    EngineConfig(rows=1, cols=64, depth=256, stream_bits=512, acc_depth=16384, act_depth=4096,
                 requant_depth=4096),
    EngineConfig(rows=2, cols=1, depth=64, stream_bits=64, acc_depth=32, act_depth=2,
                 requant_depth=16),
]  # fmt: skip

#: What a header alone can be refused for.
CODES = {
    ErrorCode.OK, ErrorCode.CHECK, ErrorCode.OP, ErrorCode.RESERVED, ErrorCode.ROWS,
    ErrorCode.ACTIVATIONS, ErrorCode.TILES, ErrorCode.SEGMENTS, ErrorCode.LENGTH,
}  # fmt: skip


def name(config):
    return f"{config.cols}x{config.depth}at{config.stream_bits}"


def verdict(raw, config):
    try:
        Header.decode(raw).validate(config)
    except CommandError as e:
        return e.code
    return ErrorCode.OK


def needed(h, config):
    """Return the length that ``h`` should have, right where its fields are."""
    match h.op:
        case Op.LOAD:
            return h.b * h.c * config.slice_words
        case Op.GEMM:
            return segment_beats(h.c, config)
        case Op.REQUANTISE:
            return -(-h.b * config.cols * 4 // config.beat_bytes)
    return 0


def near(rng, limit, *, least=1):
    """Return a value from ``least`` to ``limit``, mostly an end of that, or one just outside."""
    inside = rng.randint(least, max(least, limit))
    value = rng.choice([inside, inside, least, limit, limit, limit, limit + 1, least - 1])
    if rng.random() < 0.02:
        value = rng.choice([rng.getrandbits(16), 0xFFFF])
    return min(max(value, 0), 0xFFFF)


def random_header(rng, config):
    """Return 16 bytes: mostly a header that is right or all but right."""
    op = rng.choice(list(Op)) if rng.random() < 0.97 else rng.getrandbits(8)
    over = config.acc_depth if op in (Op.REQUANTISE, Op.STORE) else config.act_depth
    a = near(rng, over - 1, least=0) if rng.random() < 0.5 else rng.randrange(over)
    b = near(rng, max(1, over - a))
    if op == Op.REQUANTISE and rng.random() < 0.8:
        b = near(rng, config.requant_depth // config.cols)
        a = min(a, max(0, over - b))
    c = near(rng, MAX_SEGMENTS if op == Op.GEMM else config.rows)
    d = 0
    if op == Op.STORE:
        d = rng.getrandbits(16)
    elif op == Op.REQUANTISE:
        slices = -(-b * config.cols // config.depth)
        d = near(rng, max(0, config.act_depth - slices), least=0)
    if op == Op.FENCE:
        b = c = 0
    h = Header(op, 0, a, b, c, d)
    length = needed(h, config)
    if rng.random() < 0.2:
        length += rng.choice([-1, 1, 1 << 16, 1 << 31])
    flags = 0
    if rng.random() < 0.05:
        flags = 1 << rng.randrange(8)
    b, c, d = (1 << rng.randrange(16) if rng.random() < 0.02 else v for v in (b, c, d))
    raw = Header(op, length & 0xFFFFFFFF, a, b, c, d, flags).encode(config)[:16]
    if rng.random() < 0.05:
        at = rng.randrange(128)
        raw = (int.from_bytes(raw, "little") ^ 1 << at).to_bytes(16, "little")
    return raw


def decode(config, headers):
    """Return error and area of each of ``headers``, held as long as the decoder needs."""
    dut = Decoder(config)
    layout = dut.header.shape()
    inputs = []
    for raw in headers:
        value = layout.from_bits(int.from_bytes(raw, "little"))
        inputs += [{"header": value}] * (Decoder.LATENCY + 1)
    return trace(dut, inputs, ["error", "area"])[Decoder.LATENCY :: Decoder.LATENCY + 1]


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_verdicts_equal_the_dataclass(config):
    rng = random.Random(3)
    headers = [random_header(rng, config) for _ in range(900)]
    want = [verdict(raw, config) for raw in headers]
    for raw, code, (error, area) in zip(headers, want, decode(config, headers), strict=True):
        h = Header(*struct.unpack("<BxxxIHHHH", raw))
        assert error == code, h
        if code == ErrorCode.OK and h.op != Op.GEMM:
            assert area == h.b * h.c
    assert set(want) == CODES


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_each_flipped_bit_of_a_header_is_refused(config):
    good = Header(Op.STORE, 0, 1, 2, 1, 9).encode(config)[:16]
    bits = int.from_bytes(good, "little")
    flipped = [(bits ^ 1 << n).to_bytes(16, "little") for n in range(128)]
    got = [error for error, _ in decode(config, [good, *flipped])]
    assert got == [ErrorCode.OK] + [ErrorCode.CHECK] * 128


@settings(max_examples=30, deadline=None)
@given(
    headers=st.lists(
        st.builds(
            Header,
            op=st.integers(0, 8),
            length=st.integers(0, 12) | st.integers(0, 2**32 - 1),
            a=st.integers(0, 20) | st.integers(0, 2**16 - 1),
            b=st.integers(0, 20) | st.integers(0, 2**16 - 1),
            c=st.integers(0, 20) | st.integers(0, 2**16 - 1),
            d=st.integers(0, 20) | st.integers(0, 2**16 - 1),
            flags=st.sampled_from([0, 0, 0, 1]),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_any_fields_get_the_dataclass_verdict(headers):
    config = CONFIGS[0]
    raw = [h.encode(config)[:16] for h in headers]
    assert [error for error, _ in decode(config, raw)] == [verdict(r, config) for r in raw]
