"""Commands that an engine refuses, at least one for every error code."""

import dataclasses
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from summand.isa import EngineConfig, ErrorCode
from summand.isa.beats import pad
from summand.isa.borders import encode_table
from summand.isa.commands import Cast, Fence, Gemm, Requantise
from summand.isa.header import STORED, Header, Op, operations
from summand.isa.limits import BORDERS, PLANES, SEGMENTS
from summand.isa.results import Extremes
from summand.isa.segments import Segment, segment_beats
from summand.stimulus.builder import ProgramBuilder, TestProgram

__all__ = ["Corruption", "corrupt", "corruptions"]

#: The highest bit of an argument. It exceeds every size, so a check that ignores it is wrong.
_TOP = 0x8000


@dataclass(frozen=True)
class Corruption:
    """A bad command.

    Parameters
    ----------
    name : str
        What is wrong with it, in words joined by hyphens; unique.
    code : :class:`~summand.isa.ErrorCode`
        What the engine reports.
    data : bytes
        Whole beats: the least that makes the engine report it.
    """

    name: str
    code: ErrorCode
    data: bytes


def corruptions(config: EngineConfig) -> tuple[Corruption, ...]:
    """Return bad commands for ``config``'s engine.

    Every field is bad alone somewhere, at its first bad value where there is one, and some
    commands are bad in several ways, which shows the order of the checks.
    """
    parts = (
        _headers,
        _loads,
        _gemms,
        _tables,
        _borders,
        _lengths,
        _requantises,
        _casts,
        _stored,
        _stores,
    )
    return tuple(c for part in parts for c in part(config))


def corrupt(rng: np.random.Generator, program: TestProgram, corruption: Corruption) -> TestProgram:
    """Return ``program``, the bad command, and rubbish; the output ends with the error."""
    builder = ProgramBuilder(program.config)
    for chunk in program.chunks:
        builder.raw(chunk)
    builder.raw(corruption.data)
    builder.raw(Fence().encode(program.config))  # a good command, which the engine discards
    builder.raw(rng.bytes(int(rng.integers(16)) * program.config.beat_bytes))
    return builder.finish()


def _headers(cfg: EngineConfig) -> Iterator[Corruption]:
    fence = bytearray(Fence(0xA5).encode(cfg))
    for bit in (0, 21, 127):
        bad = bytearray(fence)
        bad[bit // 8] ^= 1 << bit % 8
        yield Corruption(f"bit-{bit}-flipped", ErrorCode.CHECK, bytes(bad))
    yield Corruption("zeros", ErrorCode.CHECK, bytes(len(fence)))
    yield Corruption("ones", ErrorCode.CHECK, b"\xff" * len(fence))
    for op in (0, 2, 7, 255) if not cfg.operand_depth else (0, 7, 255):
        # The flags are bad too, because the operation is checked before them.
        yield _bad(f"op-{op}", ErrorCode.OP, cfg, Header(op, flags=1))
    for op in operations(cfg):
        if op == Op.CAST:  # its flags are a lane
            continue
        flagged = cfg.operand_depth if op == Op.GEMM else op == Op.STORE and cfg.bin_tiles
        if not flagged:
            yield _bad(f"{op.name}-flags", ErrorCode.RESERVED, cfg, Header(op, flags=STORED))
        yield _bad(f"{op.name}-flags-high", ErrorCode.RESERVED, cfg, Header(op, flags=64))
        if op != Op.GEMM or not cfg.border_shift:
            if op == Op.STORE and cfg.limb_bits:  # its flags are limbs
                continue
            yield _bad(f"{op.name}-borders", ErrorCode.RESERVED, cfg, Header(op, flags=1))
    if cfg.border_shift:
        # The number of segments and the length are bad too.
        header = Header(Op.GEMM, 0, 0, 1, 0, flags=BORDERS.high + 1)
        yield _bad("GEMM-too-many-borders", ErrorCode.RESERVED, cfg, header)
    for name in "bcd":
        header = Header(Op.FENCE, **{name: 1})
        yield _bad(f"fence-{name}", ErrorCode.RESERVED, cfg, header)
    yield _bad("fence-length", ErrorCode.LENGTH, cfg, Header(Op.FENCE, 1))
    yield _bad("load-d", ErrorCode.RESERVED, cfg, Header(Op.LOAD, d=1))
    if not cfg.scale_bits:
        yield _bad("gemm-d", ErrorCode.RESERVED, cfg, Header(Op.GEMM, d=0x8000))


def _loads(cfg: EngineConfig) -> Iterator[Corruption]:
    beats = cfg.slice_words
    cases = (
        ("no-rows", ErrorCode.ROWS, (0, 0, 1, 0)),
        ("rows", ErrorCode.ROWS, (beats * (cfg.rows + 1), 0, 1, cfg.rows + 1)),
        ("rows-before-slices", ErrorCode.ROWS, (0, 0, 0, 0xFFFF)),
        ("no-slices", ErrorCode.ACTIVATIONS, (0, 0, 0, 1)),
        ("slices", ErrorCode.ACTIVATIONS, (beats * 2, cfg.act_depth - 1, 2, 1)),
        ("slices-wrap", ErrorCode.ACTIVATIONS, (beats, 0xFFFF, 1, 1)),
        ("slices-before-length", ErrorCode.ACTIVATIONS, (0, cfg.act_depth, 1, 1)),
        ("slices-alone", ErrorCode.ACTIVATIONS, (beats, 0, cfg.act_depth + 1, 1)),
        ("first-top-bit", ErrorCode.ACTIVATIONS, (beats, _TOP, 1, 1)),
        ("slices-top-bit", ErrorCode.ACTIVATIONS, (beats, 0, _TOP + 1, 1)),
        ("rows-top-bit", ErrorCode.ROWS, (beats, 0, 1, _TOP + 1)),
        ("short", ErrorCode.LENGTH, (beats - 1, 0, 1, 1)),
        ("long", ErrorCode.LENGTH, (beats + 1, 0, 1, 1)),
        ("longest", ErrorCode.LENGTH, (0xFFFFFFFF, 0, 1, 1)),
        ("length-high-half", ErrorCode.LENGTH, (beats + 0x10000, 0, 1, 1)),
    )
    for name, code, (length, a, b, c) in cases:
        yield _bad(f"load-{name}", code, cfg, Header(Op.LOAD, length, a, b, c))


def _gemms(cfg: EngineConfig) -> Iterator[Corruption]:
    table = segment_beats(1, cfg)
    cases = (
        ("no-slices", ErrorCode.ACTIVATIONS, (table, 0, 0, 1)),
        ("slices", ErrorCode.ACTIVATIONS, (table, 1, cfg.act_depth, 1)),
        ("slices-wrap", ErrorCode.ACTIVATIONS, (table, 1, 0xFFFF, 1)),
        ("slices-before-segments", ErrorCode.ACTIVATIONS, (table, cfg.act_depth, 1, 0)),
        ("slices-alone", ErrorCode.ACTIVATIONS, (table, 0, cfg.act_depth + 1, 1)),
        ("first-top-bit", ErrorCode.ACTIVATIONS, (table, _TOP, 1, 1)),
        ("slices-top-bit", ErrorCode.ACTIVATIONS, (table, 0, _TOP + 1, 1)),
        ("segments-top-bit", ErrorCode.SEGMENTS, (1000, 0, 1, _TOP + 1)),
        ("no-segments", ErrorCode.SEGMENTS, (table, 0, 1, 0)),
        ("segments", ErrorCode.SEGMENTS, (1000, 0, 1, SEGMENTS.high + 1)),
        ("segments-high-byte", ErrorCode.SEGMENTS, (1000, 0, 1, 0x101)),
        ("no-table", ErrorCode.LENGTH, (table - 1, 0, 1, 1)),
        (
            "short-table",
            ErrorCode.LENGTH,
            (segment_beats(SEGMENTS.high, cfg) - 1, 0, 1, SEGMENTS.high),
        ),
    )
    for name, code, (length, a, b, c) in cases:
        yield _bad(f"gemm-{name}", code, cfg, Header(Op.GEMM, length, a, b, c))


def _tables(cfg: EngineConfig) -> Iterator[Corruption]:
    good = [Segment(tile=n, tiles=1, planes=1).encode() for n in (0, 1, 3)]
    entry = struct.Struct("<HHBBH").pack
    cases = [
        ("flags", ErrorCode.RESERVED, entry(0, 1, 1, 16, 0)),
        ("flags-top", ErrorCode.RESERVED, entry(0, 1, 1, 0x80, 0)),
        ("reserved", ErrorCode.RESERVED, entry(0, 1, 1, 0, 0x100)),
        ("kept", ErrorCode.RESERVED, entry(0, 1, 1, 0, max(1, cfg.sparse_block))),
        ("kept-top", ErrorCode.RESERVED, entry(0, 1, 1, 0, 0x80)),
        ("reserved-before-tiles", ErrorCode.RESERVED, entry(0, 0, 0, 0, 0x100)),
        ("no-tiles", ErrorCode.TILES, entry(0, 0, 1, 0, 0)),
        ("tiles", ErrorCode.TILES, entry(1, cfg.acc_depth, 1, 1, 0)),
        ("tiles-alone", ErrorCode.TILES, entry(0, cfg.acc_depth + 1, 1, 1, 0)),
        ("tiles-wrap", ErrorCode.TILES, entry(0xFFFF, 1, 1, 1, 0)),
        ("tiles-before-planes", ErrorCode.TILES, entry(cfg.acc_depth, 1, 9, 1, 0)),
        ("no-planes", ErrorCode.SEGMENTS, entry(2, 1, 0, 0, 0)),
        ("planes", ErrorCode.SEGMENTS, entry(2, 1, 9, 0, 0)),
        ("planes-wrap", ErrorCode.SEGMENTS, entry(2, 1, 0x81, 0, 0)),
    ]
    if not cfg.shift:
        cases.append(("shift", ErrorCode.RESERVED, entry(0, 1, 1, 2, 0)))
    if not cfg.scale_bits:
        cases.append(("scaled", ErrorCode.RESERVED, entry(0, 1, 1, 4, 0)))
    if not cfg.half_steps:
        cases.append(("half-step", ErrorCode.RESERVED, entry(0, 1, 1, 8, 0)))
    elif cfg.sparse_block:
        cases.append(("half-step-kept", ErrorCode.RESERVED, entry(0, 1, 1, 8, 1)))
    for name, code, bad in cases:
        # Also among good ones and before one that is bad in another way: the first is reported.
        other = entry(2, 1, 0, 0, 0) if code != ErrorCode.SEGMENTS else entry(2, 0, 1, 0, 0)
        tables = {"alone": [bad], "third": [good[0], good[1], bad, other, good[2]]}
        for where, table in tables.items():
            yield _bad_table(f"segment-{name}-{where}", code, cfg, table)
    yield _bad_table("segment-twice", ErrorCode.TILES, cfg, [good[0], good[0]])
    yield _bad_table("segment-descends", ErrorCode.TILES, cfg, [good[1], good[0], good[2]])
    overlap = [entry(0, 3, 1, 0, 0), entry(2, 3, 9, 0, 0)]
    yield _bad_table("segment-overlaps-before-planes", ErrorCode.TILES, cfg, overlap)
    # Only the low half of this length is too short for the table, so the table is read.
    for bit in (16, 31):
        short = (1 << bit) + segment_beats(1, cfg) - 1
        header = Header(Op.GEMM, short, 0, 1, 1).encode(cfg)
        data = header + pad(entry(0, 0, 1, 0, 0), cfg)
        yield Corruption(f"segment-no-tiles-length-bit-{bit}", ErrorCode.TILES, data)


def _borders(cfg: EngineConfig) -> Iterator[Corruption]:
    """Yield GEMMs with a bad border, after good segments or behind a segment that is bad too."""
    if not cfg.border_shift:
        return
    entry = struct.Struct("<HBBI").pack
    most = cfg.border_shift
    cases = [
        ("no-shift", [entry(0, 0, 0, 0)]),
        ("shift", [entry(0, most + 1, 0, 0)]),
        ("shift-top-bit", [entry(0, 0x80 | most, 0, 0)]),
        ("reserved", [entry(0, most, 1, 0)]),
        ("reserved-top-bit", [entry(0, most, 0, 1 << 31)]),
        ("slice", [entry(2, most, 0, 0)]),
        ("slice-top-bit", [entry(_TOP, most, 0, 0)]),
        ("twice", [entry(1, most, 0, 0)] * 2),
        ("descends", [entry(1, most, 0, 0), entry(0, 1, 0, 0)]),
        ("third", [entry(0, 1, 0, 0), entry(1, 1, 0, 0), entry(2, most, 0, 0)]),
    ]
    good = Segment(tile=0, tiles=1, planes=1)
    shifted = Segment(tile=1, tiles=1, planes=1, shift=True)
    bad = Segment(tile=0, tiles=0, planes=1)
    tables = [(name, ErrorCode.RESERVED, [good], borders) for name, borders in cases]
    tables.append(("behind-a-bad-segment", ErrorCode.TILES, [good, bad], cases[0][1]))
    if cfg.shift:
        first = [entry(0, most, 0, 0)]
        tables.append(("at-a-shift", ErrorCode.RESERVED, [good, shifted], first))
        both = dataclasses.replace(shifted, clear=True)
        tables.append(("at-a-moot-shift", ErrorCode.RESERVED, [good, both], first))
    for name, code, segments, borders in tables:
        raw = pad(b"".join([*(s.encode() for s in segments), *borders]), cfg)
        beats = len(raw) // cfg.beat_bytes
        length = beats + 2 * len(segments) * cfg.plane_beats
        header = Header(Op.GEMM, length, 0, 2, len(segments), flags=len(borders))
        yield Corruption(f"border-{name}", code, header.encode(cfg) + raw)
    short = segment_beats(SEGMENTS.high + BORDERS.high, cfg) - 1
    header = Header(Op.GEMM, short, 0, 1, SEGMENTS.high, flags=BORDERS.high)
    yield _bad("borders-short-table", ErrorCode.LENGTH, cfg, header)


def _bad_table(name: str, code: ErrorCode, cfg: EngineConfig, table: list[bytes]) -> Corruption:
    length = segment_beats(len(table), cfg) + len(table) * cfg.plane_beats
    header = Header(Op.GEMM, length, 0, 1, len(table)).encode(cfg)
    return Corruption(name, code, header + pad(b"".join(table), cfg))


def _lengths(cfg: EngineConfig) -> Iterator[Corruption]:
    """Yield GEMMs of wrong lengths; the engine takes the lesser of the length and the need."""
    table = (
        Segment(tile=0, tiles=1, planes=3, clear=True),
        Segment(tile=1, tiles=2, planes=1),
    )
    table_beats = segment_beats(len(table), cfg)
    needed = table_beats + 5 * cfg.plane_beats
    raw_table = encode_table(table, (), cfg)
    for name, length in (
        ("table-only", table_beats),
        ("short", needed - 1),
        ("long", needed + 1),
        ("high-half", needed + 0x10000),
        ("longest", 0xFFFFFFFF),
    ):
        header = Header(Op.GEMM, length, 0, 1, len(table)).encode(cfg)
        words = b"\x5a" * ((min(length, needed) - table_beats) * cfg.beat_bytes)
        yield Corruption(f"gemm-{name}", ErrorCode.LENGTH, header + raw_table + words)
    if cfg.scale_bits:
        yield from _scaled_lengths(cfg)


def _scaled_lengths(cfg: EngineConfig) -> Iterator[Corruption]:
    """Yield GEMMs that end before, among, and after their scales."""
    table = (Segment(tile=2, tiles=cfg.scale_tiles + 1, planes=1, clear=True, scaled=True),)
    if table[0].end > cfg.acc_depth:
        return
    first = segment_beats(1, cfg)
    whole = Gemm(0, 2, table, group=1).encode(cfg)
    needed = Header.decode(whole).length
    for name, length in (
        ("no-scales", first),
        ("some-scales", first + 1),
        ("scales-only", first + 2),
        ("first-group", first + (needed - first) // 2),
        ("short", needed - 1),
        ("long", needed + 1),
    ):
        header = Header(Op.GEMM, length, 0, 2, 1, 1).encode(cfg)
        words = b"\x5a" * ((min(length, needed) - first) * cfg.beat_bytes)
        raw_table = whole[len(header) :]
        yield Corruption(f"gemm-scaled-{name}", ErrorCode.LENGTH, header + raw_table + words)


def _requantises(cfg: EngineConfig) -> Iterator[Corruption]:
    beats = -(-cfg.cols * 4 // cfg.beat_bytes)
    most = cfg.requant_depth // cfg.cols
    cases = [
        ("no-rows", ErrorCode.ROWS, (beats, 0, 1, 0, 0)),
        ("rows", ErrorCode.ROWS, (beats, 0, 1, cfg.rows + 1, 0)),
        ("rows-before-tiles", ErrorCode.ROWS, (beats, 0, 0, 0, 0)),
        ("no-tiles", ErrorCode.TILES, (0, 0, 0, 1, 0)),
        ("tiles", ErrorCode.TILES, (beats, cfg.acc_depth, 1, 1, 0)),
        ("tiles-wrap", ErrorCode.TILES, (beats, 0xFFFF, 1, 1, 0)),
        ("slice", ErrorCode.ACTIVATIONS, (beats, 0, 1, 1, cfg.act_depth)),
        ("slice-top", ErrorCode.ACTIVATIONS, (beats, 0, 1, 1, 0xFFFF)),
        ("first-top-bit", ErrorCode.TILES, (beats, _TOP, 1, 1, 0)),
        ("tiles-top-bit", ErrorCode.TILES, (beats, 0, _TOP + 1, 1, 0)),
        ("rows-top-bit", ErrorCode.ROWS, (beats, 0, 1, _TOP + 1, 0)),
        ("slice-top-bit", ErrorCode.ACTIVATIONS, (beats, 0, 1, 1, _TOP)),
    ]
    fits = cfg.cols <= cfg.act_depth * cfg.depth  # else no REQUANTISE passes
    if fits:
        cases.append(("long", ErrorCode.LENGTH, (beats + 1, 0, 1, 1, 0)))
        cases.append(("empty", ErrorCode.LENGTH, (0, 0, 1, 1, 0)))
        if beats > 1:
            cases.append(("short", ErrorCode.LENGTH, (beats - 1, 0, 1, 1, 0)))
    if most < cfg.acc_depth:
        length = -(-(most + 1) * cfg.cols * 4 // cfg.beat_bytes)
        cases.append(("features", ErrorCode.TILES, (length, 0, most + 1, 1, 0)))
    past = cfg.depth // cfg.cols + 1  # tiles that do not fit the last slice
    if past <= min(most, cfg.acc_depth) and cfg.cols <= cfg.depth:
        length = -(-past * cfg.cols * 4 // cfg.beat_bytes)
        last = cfg.act_depth - 1
        cases.append(("past-the-end", ErrorCode.ACTIVATIONS, (length, 0, past, 1, last)))
    for name, code, (length, a, b, c, d) in cases:
        yield _bad(f"requantise-{name}", code, cfg, Header(Op.REQUANTISE, length, a, b, c, d))
    if fits:
        yield from _parameters("requantise", Requantise(0, 1, 1, 0).encode(cfg), cfg)


def _parameters(name: str, header: bytes, cfg: EngineConfig) -> Iterator[Corruption]:
    """Yield commands of one tile with a bad parameter."""
    entry = struct.Struct("<HBB").pack
    for what, bad in (
        ("shift-0", entry(1, 0, 0)),
        ("shift-48", entry(1, 48, 0)),
        ("shift-255", entry(1, 255, 0)),
        ("pad", entry(1, 1, 1)),
    ):
        for where in {0, cfg.cols - 1}:
            entries = [entry(1, 1, 0)] * cfg.cols
            entries[where] = bad
            data = header + pad(b"".join(entries), cfg)
            yield Corruption(f"{name}-{what}-at-{where}", ErrorCode.REQUANTISE, data)


def _casts(cfg: EngineConfig) -> Iterator[Corruption]:
    if not cfg.operand_depth:
        return
    beats = -(-cfg.cols * 4 // cfg.beat_bytes)
    most = cfg.requant_depth // cfg.cols
    one = 0x101  # one plane, one row
    end = cfg.operand_depth
    cases = [
        ("no-rows", ErrorCode.ROWS, (beats, 0, 1, 0x100, 0, 0)),
        ("rows", ErrorCode.ROWS, (beats, 0, 1, 0x101 + cfg.rows, 0, 0)),
        ("rows-top-bit", ErrorCode.ROWS, (beats, 0, 1, 0x181, 0, 0)),
        ("rows-before-tiles", ErrorCode.ROWS, (beats, 0, 0, 0x100, 0, 0)),
        ("no-tiles", ErrorCode.TILES, (0, 0, 0, one, 0, 0)),
        ("tiles", ErrorCode.TILES, (beats, cfg.acc_depth, 1, one, 0, 0)),
        ("tiles-wrap", ErrorCode.TILES, (beats, 0xFFFF, 1, one, 0, 0)),
        ("tiles-top-bit", ErrorCode.TILES, (beats, 0, _TOP + 1, one, 0, 0)),
        ("tiles-before-planes", ErrorCode.TILES, (beats, cfg.acc_depth, 1, 1, 0, 0)),
        ("no-planes", ErrorCode.OPERAND, (beats, 0, 1, 1, 0, 0)),
        ("planes", ErrorCode.OPERAND, (beats, 0, 1, (PLANES.high + 1) << 8 | 1, 0, 0)),
        ("planes-top-bit", ErrorCode.OPERAND, (beats, 0, 1, 0x8101, 0, 0)),
        ("word-top", ErrorCode.OPERAND, (beats, 0, 1, 0x201, 0xFFFF, 0)),
        ("words", ErrorCode.OPERAND, (beats, 0, 1, 0x801, end - 7, 0)),
        ("words-before-length", ErrorCode.OPERAND, (beats + 1, 0, 1, 0x801, end - 7, 0)),
        ("long", ErrorCode.LENGTH, (beats + 1, 0, 1, one, 0, 0)),
        ("empty", ErrorCode.LENGTH, (0, 0, 1, one, 0, 0)),
        ("length-high-half", ErrorCode.LENGTH, (beats + 0x10000, 0, 1, one, 0, 0)),
    ]
    if beats > 1:
        cases.append(("short", ErrorCode.LENGTH, (beats - 1, 0, 1, one, 0, 0)))
    if end <= 0xFFFF:
        cases.append(("word", ErrorCode.OPERAND, (beats, 0, 1, one, end, 0)))
    if cfg.depth <= 0xFF:
        cases.append(("lane", ErrorCode.OPERAND, (beats, 0, 1, one, 0, cfg.depth)))
        cases.append(("lane-top", ErrorCode.OPERAND, (beats, 0, 1, one, 0, 0xFF)))
    if cfg.rows > 1:
        cases.append(("lanes", ErrorCode.OPERAND, (beats, 0, 1, 0x102, 0, cfg.depth - 1)))
    if most < cfg.acc_depth:
        length = -(-(most + 1) * cfg.cols * 4 // cfg.beat_bytes)
        cases.append(("features", ErrorCode.TILES, (length, 0, most + 1, one, 0, 0)))
    for name, code, (length, a, b, c, d, flags) in cases:
        yield _bad(f"cast-{name}", code, cfg, Header(Op.CAST, length, a, b, c, d, flags))
    yield from _parameters("cast", Cast(0, 1, 1, 8, 0).encode(cfg), cfg)


def _stored(cfg: EngineConfig) -> Iterator[Corruption]:
    """Yield GEMMs over words of the operand memory."""
    if not cfg.operand_depth:
        return
    end, table = cfg.operand_depth, segment_beats(1, cfg)
    header = Header(Op.GEMM, table, 0, 1, 1, 0xFFFF, flags=STORED | BORDERS.high + 1)
    yield _bad("stored-too-many-borders", ErrorCode.RESERVED, cfg, header)
    for name, length in (("short", table - 1), ("long", table + 1), ("top-bit", 1 << 31 | table)):
        header = Header(Op.GEMM, length, 0, 1, 1, 0, flags=STORED)
        yield _bad(f"stored-{name}", ErrorCode.LENGTH, cfg, header)
    two = Segment(tile=0, tiles=1, planes=2)
    wide = Segment(tile=1, tiles=2, planes=1)
    cases = [
        ("scaled", ErrorCode.RESERVED, 0, 1, [dataclasses.replace(two, scaled=True)]),
        ("kept", ErrorCode.RESERVED, 0, 1, [dataclasses.replace(two, kept=1)]),
        ("segment-first", ErrorCode.TILES, 0xFFFF, 1, [dataclasses.replace(two, tiles=0)]),
        ("last-word", ErrorCode.OPERAND, end - 1, 1, [two]),
        ("last-slice", ErrorCode.OPERAND, end - 7, 2, [two, wide]),
        ("top-word", ErrorCode.OPERAND, 0xFFFF, 1, [two]),
    ]
    if end <= 0xFFFF:
        cases.append(("word", ErrorCode.OPERAND, end, 1, [two]))
        cases.append(("word-top-bit", ErrorCode.OPERAND, _TOP, 1, [two, wide]))
    for name, code, d, slices, segments in cases:
        length = segment_beats(len(segments), cfg)
        header = Header(Op.GEMM, length, 0, slices, len(segments), d, flags=STORED)
        raw_table = encode_table(segments, (), cfg)
        yield Corruption(f"stored-{name}", code, header.encode(cfg) + raw_table)


def _stores(cfg: EngineConfig) -> Iterator[Corruption]:
    cases = (
        ("no-rows", ErrorCode.ROWS, (0, 0, 1, 0)),
        ("rows", ErrorCode.ROWS, (0, 0, 1, cfg.rows + 1)),
        ("rows-before-tiles", ErrorCode.ROWS, (1, 0, 0, 0)),
        ("no-tiles", ErrorCode.TILES, (0, 0, 0, 1)),
        ("tiles", ErrorCode.TILES, (0, 1, cfg.acc_depth, 1)),
        ("tiles-alone", ErrorCode.TILES, (0, 0, cfg.acc_depth + 1, 1)),
        ("first-alone", ErrorCode.TILES, (0, cfg.acc_depth, 1, 1)),
        ("first-top-bit", ErrorCode.TILES, (0, _TOP, 1, 1)),
        ("tiles-top-bit", ErrorCode.TILES, (0, 0, _TOP + 1, 1)),
        ("rows-top-bit", ErrorCode.ROWS, (0, 0, 1, _TOP + 1)),
        ("tiles-wrap", ErrorCode.TILES, (0, 0xFFFF, 0xFFFF, 1)),
        ("length", ErrorCode.LENGTH, (1, 0, 1, 1)),
        ("length-top-bit", ErrorCode.LENGTH, (1 << 31, 0, 1, 1)),
    )
    flags = min(1, cfg.acc_limbs)
    for name, code, (length, a, b, c) in cases:
        yield _bad(f"store-{name}", code, cfg, Header(Op.STORE, length, a, b, c, flags=flags))
    if cfg.bin_tiles:
        # The rows are bad too.
        for kind in (Extremes.GREATEST, Extremes.LEAST):
            header = Header(Op.STORE, 0, 0, cfg.bin_tiles, flags=kind | 1)
            yield _bad(f"store-{kind.name.lower()}-limbs", ErrorCode.RESERVED, cfg, header)
    if cfg.bin_tiles > 1:
        # The length is bad too.
        header = Header(Op.STORE, 1, 0, cfg.bin_tiles - 1, 1, flags=Extremes.GREATEST)
        yield _bad("store-part-of-a-bin", ErrorCode.TILES, cfg, header)
    if cfg.limb_bits:
        # The rows are bad too.
        for name, flags in (("no-limbs", 0), ("limbs", cfg.acc_limbs + 1)):
            yield _bad(f"store-{name}", ErrorCode.RESERVED, cfg, Header(Op.STORE, flags=flags))


def _bad(name: str, code: ErrorCode, config: EngineConfig, header: Header) -> Corruption:
    return Corruption(name, code, header.encode(config))
