import dataclasses
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import CommandError, EngineConfig, ErrorCode
from summand.isa.decoding import check_header
from summand.isa.header import STORED, Header, Op, operations
from summand.isa.limits import BORDERS, PLANES, SEGMENTS
from summand.isa.results import Extremes
from summand.isa.segments import segment_beats
from summand.rtl import decoder
from summand.rtl.decoder import Decoder
from summand.testing.streams import trace

CONFIGS = [
    EngineConfig(rows=3, cols=4, depth=8, stream_bits=32, acc_depth=16, act_depth=2,
                 requant_depth=16),
    EngineConfig(rows=64, cols=2, depth=128, stream_bits=256, acc_depth=64, act_depth=16,
                 requant_depth=64, act_bits=10),
    EngineConfig(rows=1, cols=64, depth=256, stream_bits=512, acc_depth=16384, act_depth=4096,
                 requant_depth=4096),
    EngineConfig(rows=2, cols=1, depth=64, stream_bits=64, acc_depth=32, act_depth=2,
                 requant_depth=16, scale_bits=4),
    EngineConfig(rows=2, cols=2, depth=32, stream_bits=32, acc_depth=32, act_depth=16,
                 requant_depth=16, border_shift=1),
    EngineConfig(rows=2, cols=2, depth=256, stream_bits=512, acc_depth=32, act_depth=8,
                 requant_depth=16, border_shift=7),
    EngineConfig(rows=3, cols=4, depth=16, stream_bits=32, acc_depth=16, act_depth=4,
                 requant_depth=16, border_shift=2, operand_depth=256),
    EngineConfig(rows=64, cols=2, depth=256, stream_bits=256, acc_depth=16384, act_depth=16,
                 requant_depth=4096, act_bits=10, scale_bits=4, operand_depth=65536),
    EngineConfig(rows=1, cols=1, depth=32, stream_bits=32, acc_depth=64, act_depth=2,
                 requant_depth=64, operand_depth=512, limb_bits=4, bin_tiles=16),
    EngineConfig(rows=3, cols=4, depth=16, stream_bits=32, acc_bits=20, acc_depth=16, act_depth=4,
                 requant_depth=16, limb_bits=8),
    EngineConfig(rows=2, cols=4, depth=16, stream_bits=32, acc_depth=16, act_depth=4,
                 requant_depth=16, bin_tiles=2),
]  # fmt: skip

#: Errors that follow from a header alone.
CODES = {
    ErrorCode.OK, ErrorCode.CHECK, ErrorCode.OP, ErrorCode.RESERVED, ErrorCode.ROWS,
    ErrorCode.ACTIVATIONS, ErrorCode.TILES, ErrorCode.SEGMENTS, ErrorCode.LENGTH,
}  # fmt: skip


def name(config):
    return f"{config.cols}x{config.depth}at{config.stream_bits}" + (
        f"with{config.operand_depth}" * (config.operand_depth > 0)
    )


def verdict(raw, config):
    try:
        check_header(Header.decode(raw), config)
    except CommandError as e:
        return e.code
    return ErrorCode.OK


def needed(h, config):
    """Return the length that ``h`` should have, right where its fields are."""
    match h.op:
        case Op.LOAD:
            return h.b * h.c * config.slice_words
        case Op.GEMM:
            return segment_beats(h.c + (h.flags & ~STORED), config)
        case Op.REQUANTISE | Op.CAST:
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
    op = rng.choice(operations(config)) if rng.random() < 0.97 else rng.getrandbits(8)
    drains = op in (Op.REQUANTISE, Op.STORE, Op.CAST)
    over = config.acc_depth if drains else config.act_depth
    a = near(rng, over - 1, least=0) if rng.random() < 0.5 else rng.randrange(over)
    b = near(rng, max(1, over - a))
    if op in (Op.REQUANTISE, Op.CAST) and rng.random() < 0.8:
        b = near(rng, config.requant_depth // config.cols)
        a = min(a, max(0, over - b))
    c = near(rng, SEGMENTS.high if op == Op.GEMM else config.rows)
    d = 0
    if op == Op.STORE or (op == Op.GEMM and config.scale_bits):
        d = rng.choice([0, 1, 0xFFFF, rng.getrandbits(16)])
    elif op == Op.REQUANTISE:
        slices = -(-b * config.cols // config.depth)
        d = near(rng, max(0, config.act_depth - slices), least=0)
    if op == Op.FENCE:
        b = c = 0
    borders = 0
    if op == Op.GEMM and config.border_shift:
        borders = min(near(rng, BORDERS.high, least=0), 0xFF)
    flags = borders
    if op == Op.GEMM and config.operand_depth and rng.random() < 0.5:
        flags |= STORED
        d = rng.choice([0, 1, 0xFFFF, rng.getrandbits(16)])
    if op == Op.STORE and config.limb_bits:
        flags = min(near(rng, config.acc_limbs), 0xFF)
    if op == Op.STORE and config.bin_tiles and rng.random() < 0.5:
        flags = rng.choice(list(Extremes)) | (rng.random() < 0.1)
        b -= b % config.bin_tiles if rng.random() < 0.7 else 0
    if op == Op.CAST:
        planes = near(rng, PLANES.high)
        flags = min(near(rng, max(0, config.depth - c), least=0), 0xFF)
        d = near(rng, max(0, config.operand_depth - b * planes), least=0)
        c = (c & 0xFF) | (planes & 0xFF) << 8
    h = Header(op, 0, a, b, c, d, flags)
    length = needed(h, config)
    if rng.random() < 0.2:
        length += rng.choice([-1, 0, 1]) + rng.choice([0, 1 << rng.randrange(32)])
    if rng.random() < 0.05:
        flags = 1 << rng.randrange(8)
    b, c, d = (1 << rng.randrange(16) if rng.random() < 0.02 else v for v in (b, c, d))
    raw = Header(op, length & 0xFFFFFFFF, a, b, c, d, flags).encode(config)[:16]
    if rng.random() < 0.05:
        at = rng.randrange(128)
        raw = (int.from_bytes(raw, "little") ^ 1 << at).to_bytes(16, "little")
    return raw


def ends(config):
    """Return valid headers of each operation, with fields at the ends of their ranges."""
    rows, acts, tiles = config.rows, config.act_depth, config.acc_depth
    most = min(config.requant_depth, acts * config.depth) // config.cols
    group = 0xFFFF if config.scale_bits else 0
    borders = BORDERS.high if config.border_shift else 0
    bare = [
        Header(Op.GEMM, 0, 0, acts, 1, 0, borders),
        Header(Op.GEMM, 0, 0, acts, SEGMENTS.high, group, borders),
        Header(Op.LOAD, 0, 0, 1, 1),
        Header(Op.LOAD, 0, acts - 1, 1, rows),
        Header(Op.LOAD, 0, 0, acts, rows),
        Header(Op.GEMM, 0, 0, 1, 1),
        Header(Op.GEMM, 0, acts - 1, 1, SEGMENTS.high, group),
        Header(Op.GEMM, 0, 0, acts, 1),
        Header(Op.REQUANTISE, 0, 0, 1, 1),
        Header(Op.REQUANTISE, 0, tiles - 1, 1, rows),
        Header(Op.REQUANTISE, 0, 0, min(most, tiles), 1),
        Header(Op.STORE, 0, 0, 1, 1, 0, min(1, config.acc_limbs)),
        Header(Op.STORE, 0, tiles - 1, 1, rows, 0xFFFF, config.acc_limbs),
        Header(Op.STORE, 0, 0, tiles, rows, 1, config.acc_limbs),
        Header(Op.FENCE),
        Header(Op.FENCE, 0, 0xFFFF),
    ]
    if config.bin_tiles:
        bins = tiles - config.bin_tiles
        bare += [
            Header(Op.STORE, 0, 0, tiles, rows, 1, Extremes.GREATEST),
            Header(Op.STORE, 0, bins, config.bin_tiles, 1, 0xFFFF, Extremes.LEAST),
        ]
    if config.operand_depth:
        words, lanes = config.operand_depth, min(rows, config.depth)
        tiles = min(tiles, config.requant_depth // config.cols, words // PLANES.high)
        bare += [
            Header(Op.GEMM, 0, 0, acts, SEGMENTS.high, 0xFFFF, STORED | borders),
            Header(Op.GEMM, 0, 0, acts, 1, 0, STORED),
            Header(Op.CAST, 0, 0, 1, 0x101, words - 1, config.depth - 1),
            Header(Op.CAST, 0, 0, tiles, 0x800 | lanes, words - 8 * tiles, config.depth - lanes),
            Header(Op.CAST, 0, 0, tiles, 0x701, words - 7 * tiles, 0),
        ]
    return [dataclasses.replace(h, length=needed(h, config)) for h in bare]


def neighbours(config):
    """Return those headers, and each with one bit of one field changed or its length one off."""
    for right in ends(config):
        yield right
        widths = {"op": 8, "flags": 8, "length": 32, "a": 16, "b": 16, "c": 16, "d": 16}
        for field, bits in widths.items():
            for bit in range(bits):
                yield dataclasses.replace(right, **{field: getattr(right, field) ^ 1 << bit})
        for off in (-1, 1):
            for high in (0, *(1 << bit for bit in range(32))):
                length = right.length + off + high & 0xFFFFFFFF
                yield dataclasses.replace(right, length=length)


def all_headers(config):
    rng = random.Random(3)
    near = [h.encode(config)[:16] for h in neighbours(config)]
    return near + [random_header(rng, config) for _ in range(900)]


def decode(config, headers, dut=None):
    """Return error and area of each of ``headers``, held as long as the decoder needs."""
    dut = dut or Decoder(config)
    layout = dut.header.shape()
    inputs = []
    for raw in headers:
        value = layout.from_bits(int.from_bytes(raw, "little"))
        inputs += [{"header": value}] * (Decoder.LATENCY + 1)
    return trace(dut, inputs, ["error", "area"])[Decoder.LATENCY :: Decoder.LATENCY + 1]


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_verdicts_equal_the_dataclass(config):
    headers = all_headers(config)
    want = [verdict(raw, config) for raw in headers]
    for raw, code, (error, area) in zip(headers, want, decode(config, headers), strict=True):
        op, flags, length, a, b, c, d = struct.unpack("<BBxxIHHHH", raw)
        h = Header(op, length, a, b, c, d, flags)
        assert error == code, h
        if code == ErrorCode.OK and h.op != Op.GEMM:
            assert area == h.b * (h.c & 0xFF if h.op == Op.CAST else h.c)
    assert set(want) == CODES | ({ErrorCode.OPERAND} if config.operand_depth else set())
    assert all(verdict(h.encode(config), config) == ErrorCode.OK for h in ends(config))


#: Decoders that ignore high bits of the length, by the operation whose length is checked.
BLIND = {
    "gemm": (
        "~h.length[few:].any() & (h.length[:few] < fixed[:few])",
        "h.length[:few] < fixed[:few]",
    ),
    "gemm-top": ("~h.length[few:].any()", "~h.length[few:31].any()"),
    "fixed": ("h.length != fixed", "h.length[:16] != fixed[:16]"),
    "fixed-top": ("h.length != fixed", "h.length[:31] != fixed[:31]"),
    "load": (
        "h.length != self.area * cfg.slice_words",
        "h.length[:31] != self.area * cfg.slice_words",
    ),
}


@pytest.mark.parametrize("place", BLIND)
def test_a_decoder_that_ignores_high_bits_of_the_length_is_found(place, mutant):
    config = CONFIGS[0]
    blind = mutant(decoder, "Decoder", *BLIND[place])(config)
    headers = all_headers(config)
    want = [verdict(raw, config) for raw in headers]
    assert [error for error, _ in decode(config, headers, blind)] != want


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_each_flipped_bit_of_a_header_is_refused(config):
    good = Header(Op.STORE, 0, 1, 2, 1, 9, config.acc_limbs).encode(config)[:16]
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
