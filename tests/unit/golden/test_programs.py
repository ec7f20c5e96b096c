"""The stimulus itself: what it covers and that it can be relied on."""

from collections import Counter

import numpy as np
import pytest

from summand.golden import GoldenEngine, split_packets
from summand.golden.corruptions import corruptions
from summand.golden.programs import random_program
from summand.golden.stimulus import random_config
from summand.isa import EngineConfig, ErrorCode
from summand.isa.ops import HEADER_BYTES, SEGMENT_BYTES, Header, Op, Segment
from summand.isa.packets import Kind, data_packet_bytes, status_packet_bytes

CONFIG = EngineConfig(
    rows=3, cols=4, depth=16, stream_bits=64, acc_depth=16, act_depth=4, requant_depth=16, shift=2
)


def headers(program) -> list[tuple[Header, bytes]]:
    """Return the program's headers, each with the bytes after it up to the next."""
    data, cfg, found = program.data, program.config, []
    while data:
        header = Header.decode(data[:HEADER_BYTES])
        start = cfg.header_beats * cfg.beat_bytes
        end = start + header.length * cfg.beat_bytes
        found.append((header, data[start:end]))
        data = data[end:]
    return found


def test_programs_use_everything():
    ops, planes, seen = Counter(), Counter(), Counter()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        program = random_program(rng, CONFIG)
        written: set[int] = set()  # slices that REQUANTISE wrote
        for header, payload in headers(program):
            ops[Op(header.op)] += 1
            if header.op == Op.REQUANTISE:
                written.add(header.d)
            if header.op == Op.LOAD:
                written -= set(range(header.a, header.a + header.b))
            if header.op == Op.GEMM:
                table = [
                    Segment.decode(payload[at : at + SEGMENT_BYTES], CONFIG)
                    for at in range(0, header.c * SEGMENT_BYTES, SEGMENT_BYTES)
                ]
                planes.update(s.planes for s in table)
                seen["several segments"] += len(table) > 1
                seen["keep"] += any(not s.clear for s in table)
                seen["shift"] += any(s.shift for s in table)
                seen["from requantised"] += bool(
                    written & set(range(header.a, header.a + header.b))
                )
                tiles = [t for s in table for t in range(s.tile, s.tile + s.tiles)]
                assert len(tiles) == len(set(tiles)), "segments overlap"
            seen["rows stored"] += header.op == Op.STORE and header.c > 1
    assert set(ops) == set(Op)
    assert set(planes) == set(range(1, 9))
    assert all(seen[what] > 20 for what in seen), seen


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
                size += data_packet_bytes(program.config, rows=header.c, tiles=header.b)
            if header.op == Op.FENCE:
                size += status_packet_bytes(program.config)
        assert size == len(program.output)
        packets = split_packets(program.output, program.config)
        assert packets[-1].header.kind == Kind.STATUS
        assert any(p.header.kind == Kind.DATA for p in packets)


def test_programs_read_only_what_they_wrote():
    """Equal output from memories full of rubbish, as after a reset."""
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


@pytest.mark.parametrize("seed", range(8))
def test_every_error_code_has_bad_commands(seed):
    config = random_config(np.random.default_rng(seed))
    bad = corruptions(config)
    assert len({c.name for c in bad}) == len(bad)
    assert all(len(c.data) % config.beat_bytes == 0 for c in bad)
    assert {c.code for c in bad} == set(ErrorCode) - {ErrorCode.OK}


@pytest.mark.parametrize("seed", range(8))
def test_bad_commands_are_no_longer_than_they_must_be(seed):
    config = random_config(np.random.default_rng(seed))
    for bad in corruptions(config):
        engine = GoldenEngine(config)
        engine.write([bad.data[: -config.beat_bytes]])
        assert engine.available == 0, bad.name
        engine.write([bad.data[-config.beat_bytes :]])
        assert engine.available == status_packet_bytes(config), bad.name
