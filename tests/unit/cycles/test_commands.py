import numpy as np
import pytest

from summand.cycles import Fence, Gemm, Load, Requantise, Store, read_commands
from summand.golden.programs import random_program
from summand.isa import EngineConfig, ErrorCode, StreamError, SummandError, ops
from summand.isa.ops import Segment

CONFIG = EngineConfig(rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4)

SEGMENTS = (Segment(tile=0, tiles=3, planes=2, clear=True), Segment(tile=5, tiles=1, planes=7))


def stream() -> bytes:
    payload = bytes(2 * 13 * CONFIG.plane_bits // 8)
    return b"".join(
        (
            ops.load(CONFIG, to_slice=1, slices=2, rows=2) + bytes(4 * 16),
            ops.gemm(CONFIG, from_slice=1, slices=2, segments=SEGMENTS) + payload,
            ops.requantise(CONFIG, tile=1, tiles=2, rows=1, to_slice=3) + bytes(16),
            ops.store(CONFIG, tile=3, tiles=1, rows=2, tag=9),
            ops.fence(CONFIG, tag=1),
        )
    )


EXPECTED = [Load(2, 2), Gemm(1, 2, SEGMENTS), Requantise(1, 2, 1, 3), Store(3, 1, 2), Fence()]


@pytest.mark.parametrize("size", [1, 3, 7, 64, 10_000])
def test_reads_a_stream_however_it_is_cut(size):
    data = stream()
    chunks = [memoryview(data)[i : i + size] for i in range(0, len(data), size)]
    assert list(read_commands(chunks, CONFIG)) == EXPECTED


def test_nothing_is_no_command():
    assert list(read_commands([b"", b""], CONFIG)) == []


@pytest.mark.parametrize("cut", [1, 17, 40])
def test_names_a_stream_that_ends_early(cut):
    whole = stream()[: -2 * 16]
    with pytest.raises(SummandError, match="bytes before its last command does"):
        list(read_commands([whole[:-cut]], CONFIG))


def test_refuses_what_an_engine_refuses():
    data = ops.fence(CONFIG) + ops.store(CONFIG, tile=15, tiles=2, rows=1)
    with pytest.raises(StreamError, match="command 1 with error 6") as e:
        list(read_commands([data], CONFIG))
    assert e.value.code is ErrorCode.TILES


def test_reads_random_programs():
    program = random_program(np.random.default_rng(1), CONFIG)
    commands = list(read_commands(program.chunks, CONFIG))
    words = sum(c.slices * c.words for c in commands if isinstance(c, Gemm))
    assert words == program.plane_words


def test_gemm_touches_its_tiles_only():
    gemm = EXPECTED[1]
    assert isinstance(gemm, Gemm)
    assert [gemm.touches(t, t + 1) for t in range(7)] == [1, 1, 1, 0, 0, 1, 0]
    assert not gemm.touches(3, 5)
