from dataclasses import replace

import numpy as np
import pytest

from summand.cycles import read_commands
from summand.isa import EngineConfig, ErrorCode, StreamError, SummandError
from summand.isa.commands import Fence, Gemm, Load, Requantise, Store
from summand.isa.segments import Segment
from summand.stimulus.programs import random_program

CONFIG = EngineConfig(rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4)

SEGMENTS = (Segment(tile=0, tiles=3, planes=2, clear=True), Segment(tile=5, tiles=1, planes=7))


COMMANDS = [
    Load(1, 2, 2),
    Gemm(1, 2, SEGMENTS),
    Requantise(1, 2, 1, 3),
    Store(3, 1, 2, 9),
    Fence(1),
]


def stream() -> bytes:
    return b"".join(
        c.encode(CONFIG) + bytes(c.payload_beats(CONFIG) * CONFIG.beat_bytes) for c in COMMANDS
    )


@pytest.mark.parametrize("size", [1, 3, 7, 64, 10_000])
def test_reads_a_stream_however_it_is_cut(size):
    data = stream()
    chunks = [memoryview(data)[i : i + size] for i in range(0, len(data), size)]
    assert list(read_commands(chunks, CONFIG)) == COMMANDS


def test_nothing_is_no_command():
    assert list(read_commands([b"", b""], CONFIG)) == []


@pytest.mark.parametrize("cut", [1, 17, 40])
def test_names_a_stream_that_ends_early(cut):
    whole = stream()[: -2 * 16]
    with pytest.raises(SummandError, match="bytes before its last command does"):
        list(read_commands([whole[:-cut]], CONFIG))


def test_refuses_what_an_engine_refuses():
    data = Fence().encode(CONFIG) + Store(15, 2, 1).encode(CONFIG)
    with pytest.raises(StreamError, match="command 1 with error 6") as e:
        list(read_commands([data], CONFIG))
    assert e.value.code is ErrorCode.TILES


@pytest.mark.parametrize("off", [-1, 1])
def test_refuses_a_walk_of_another_length(off):
    gemm = Gemm(1, 2, SEGMENTS)
    header = gemm.header(CONFIG)
    wrong = replace(header, length=header.length + off).encode(CONFIG)
    data = wrong + gemm.encode(CONFIG)[len(wrong) :]
    payload = bytes((gemm.payload_beats(CONFIG) + min(off, 0)) * CONFIG.beat_bytes)
    with pytest.raises(StreamError) as e:
        list(read_commands([data, payload], CONFIG))
    assert e.value.code is ErrorCode.LENGTH


def test_reads_random_programs():
    program = random_program(np.random.default_rng(1), CONFIG)
    commands = list(read_commands(program.chunks, CONFIG))
    words = sum(c.slices * c.words for c in commands if isinstance(c, Gemm))
    assert words == program.plane_words
