"""What random programs cover, and that they can be relied on."""

import struct
from collections import Counter, defaultdict
from itertools import chain

import numpy as np
import pytest

from summand.golden import GoldenEngine, split_packets
from summand.isa.borders import decode_borders, stretches
from summand.isa.header import STORED, Header, Op
from summand.isa.packets import Kind, data_packet_bytes, status_packet_bytes
from summand.isa.results import Extremes
from summand.isa.segments import decode_segments
from summand.stimulus.engines import random_config
from summand.stimulus.programs import random_program

from .wire import CONFIG, ENDS, fields, headers


@pytest.fixture(scope="module")
def drawn() -> list[list[tuple[Header, bytes]]]:
    """The commands of 100 programs for :data:`CONFIG`."""
    return [headers(random_program(np.random.default_rng(n), CONFIG)) for n in range(100)]


def test_programs_use_everything(drawn):
    ops, planes, seen = Counter(), Counter(), Counter()
    for commands in drawn:
        written: set[int] = set()  # slices that REQUANTISE wrote
        for header, payload in commands:
            ops[Op(header.op)] += 1
            if header.op == Op.REQUANTISE:
                written.add(header.d)
            if header.op == Op.LOAD:
                written -= set(range(header.a, header.a + header.b))
            if header.op == Op.GEMM:
                table = decode_segments(payload, header.c, CONFIG)
                planes.update(s.planes for s in table)
                seen["several segments"] += len(table) > 1
                seen["keep"] += any(not s.clear for s in table)
                seen["shift"] += any(s.shift for s in table)
                borders = decode_borders(payload, header.flags & ~STORED, header.b, table, CONFIG)
                stored = header.flags >= STORED
                seen["stored"] += stored
                seen["stored, of several slices and words"] += (
                    stored and header.b > 1 and sum(s.words for s in table) > 1
                )
                seen["stored with half-steps"] += stored and any(s.half_step for s in table)
                seen["stored with borders"] += stored and len(borders) > 0
                seen["shift and border"] += any(s.shift for s in table) and len(borders) > 0
                seen["a slice without a border behind one"] += any(
                    s.stop - s.start > 1 for s in stretches(header.b, borders) if s.shift
                )
                seen["borders in slices of several tiles"] += (
                    len(borders) > 0 and sum(s.tiles for s in table) > 1
                )
                seen["both steps"] += len({s.half_step for s in table}) > 1
                seen["sparse and dense"] += len({s.kept > 0 for s in table}) > 1
                seen["from requantised"] += bool(
                    written & set(range(header.a, header.a + header.b))
                )
                tiles = [t for s in table for t in range(s.tile, s.tile + s.tiles)]
                assert len(tiles) == len(set(tiles)), "segments overlap"
            seen["rows stored"] += header.op == Op.STORE and header.c > 1
    assert set(ops) == set(Op)
    assert set(planes) == set(range(1, 9))
    assert all(seen[what] > 20 for what in seen), seen


def test_every_field_is_drawn_at_both_ends(drawn):
    values = defaultdict(Counter)
    for header, payload in chain(*drawn):
        for name, value in fields(header, payload):
            values[name][value] += 1
    for name, (least, most) in ENDS.items():
        assert (name, min(values[name]), max(values[name])) == (name, least, most)
        assert min(values[name][least], values[name][most]) >= 3, name


def test_a_group_longer_than_any_walk_often_has_low_bits_that_would_cut_one(drawn):
    """The engine keeps fewer bits of it than the header has."""
    cutting = 0
    for header, payload in chain(*drawn):
        scaled = header.op == Op.GEMM and any(flags & 4 for flags in payload[5 : header.c * 8 : 8])
        cutting += scaled and header.d > CONFIG.act_depth and 0 < header.d % 8 < header.b
    assert cutting > 20


def test_commands_meet_what_goes_on_in_the_background(drawn):
    """A GEMM that adds to tiles of the STORE before, or reads slices of the REQUANTISE before."""
    met = Counter()
    for commands in drawn:
        before = None
        for header, payload in commands:
            op = Op(header.op)
            if before and op == Op.GEMM and before.op == Op.STORE:
                for tile, tiles, *_ in struct.iter_unpack("<HHBBH", payload[: header.c * 8]):
                    met["first tile"] += tile <= before.a < tile + tiles
                    met["last tile"] += tile < before.a + before.b <= tile + tiles
                    met["just below"] += tile + tiles == before.a
                    met["just above"] += tile == before.a + before.b
            if before and before.op == Op.CAST and op in (Op.LOAD, Op.GEMM):
                stored = op == Op.GEMM and header.flags >= STORED
                met[f"cast {'stored ' * stored}{op.name}"] += 1
            if before and before.op == Op.REQUANTISE and op in (Op.LOAD, Op.GEMM):
                slices = -(-before.b * CONFIG.cols // CONFIG.depth)
                overlap = header.a < before.d + slices and before.d < header.a + header.b
                met[f"slices {op.name}"] += overlap
                met[f"other slices {op.name}"] += not overlap
            before = header
    assert len(met) == 11
    assert min(met.values()) >= 5, met


def test_programs_are_repeatable_and_whole():
    for seed in range(20):
        first, second = (
            random_program(rng, random_config(rng))
            for rng in (np.random.default_rng(seed), np.random.default_rng(seed))
        )
        assert first == second
        beat = first.config.beat_bytes
        assert all(len(chunk) % beat == 0 for chunk in first.chunks)
        assert first.stream_beats * beat == len(first.data)


def test_outputs_have_the_size_the_contract_says():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        program = random_program(rng, random_config(rng))
        size = 0
        for header, _ in headers(program):
            if header.op == Op.STORE:
                extremes = Extremes.NONE
                if header.flags in (Extremes.GREATEST, Extremes.LEAST):
                    extremes = Extremes(header.flags)
                size += data_packet_bytes(
                    program.config,
                    rows=header.c,
                    tiles=header.b,
                    limbs=0 if extremes else header.flags,
                    extremes=extremes,
                )
            if header.op == Op.FENCE:
                size += status_packet_bytes(program.config)
        assert size == len(program.output)
        packets = split_packets(program.output, program.config)
        assert packets[-1].header.kind == Kind.STATUS
        assert any(p.header.kind == Kind.DATA for p in packets)


def test_programs_read_only_what_they_wrote():
    """The output is the same if the memories hold random values before, as after a reset."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        config = random_config(rng)
        program = random_program(rng, config)
        engine = GoldenEngine(config)
        noise = rng.integers(0, 1 << 15, engine.accumulators.shape, np.int32)
        engine.accumulators[:] = np.where(rng.random(noise.shape) < 0.5, noise, ~noise)
        engine.activations[:] = rng.integers(
            config.act_min, config.act_max + 1, engine.activations.shape, np.int16
        )
        engine.operand.words[:] = rng.integers(0, 256, engine.operand.words.shape, np.uint8)
        engine.write(program.chunks)
        assert engine.read(1 << 20) == program.output


def test_results_are_not_all_zeros_or_ends():
    """A stimulus that saturates everything would prove little."""
    engine = GoldenEngine(CONFIG)
    inside = total = 0
    for seed in range(40):
        program = random_program(np.random.default_rng(seed), CONFIG)
        for chunk, (header, _) in zip(_commands(program), headers(program), strict=True):
            engine.write([chunk])
            if header.op == Op.REQUANTISE:
                first = header.d * CONFIG.depth
                t = engine.activations[: header.c, first : first + header.b * CONFIG.cols]
                total += t.size
                inside += np.count_nonzero((t > -128) & (t < 127) & (t != 0))
    assert total > 500
    assert 0.2 < inside / total < 0.9


def _commands(program) -> list[bytes]:
    """Return the stream command by command."""
    sizes = [
        program.config.header_beats * program.config.beat_bytes + len(p)
        for _, p in headers(program)
    ]
    ends = np.cumsum(sizes)
    return [program.data[end - size : end] for size, end in zip(sizes, ends, strict=True)]
