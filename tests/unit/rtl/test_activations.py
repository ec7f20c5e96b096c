import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.rtl.activations import Activations
from summand.testing.streams import trace

CONFIGS = [
    EngineConfig(cols=4, depth=8, stream_bits=32, act_bits=5, acc_bits=20, act_depth=4),
    EngineConfig(cols=2, depth=16, stream_bits=32, act_bits=8, act_depth=4, table_share=2),
    EngineConfig(cols=2, depth=32, stream_bits=64, act_bits=10, act_depth=2, table_share=8),
    EngineConfig(cols=1, depth=64, stream_bits=64, act_bits=9, act_depth=2),
]


def elements(config, beat):
    """Return the activations in a beat: the low ``act_bits`` of each, two's complement."""
    half = 1 << config.act_bits - 1
    raw = [beat >> config.elem_bits * n for n in range(config.beat_elems)]
    return [((r + half) & 2 * half - 1) - half for r in raw]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.act_bits}share{c.table_share}")
def test_staging_holds_the_words_that_were_read(config):
    """Writes and reads at random, in the same cycles but of different words."""
    rng = np.random.default_rng(1)
    size = config.act_depth * config.slice_words
    words = config.slice_words // config.table_share
    memory = [[0] * config.beat_elems for _ in range(size)]
    staged = [0] * config.depth
    staged = staged[: config.depth // config.table_share]
    inputs, want = [], []
    for _ in range(300):
        addr, at = (int(n) for n in rng.integers(0, size, 2))
        beat = int.from_bytes(rng.bytes(config.beat_bytes), "little")
        write, read = rng.random() < 0.6, rng.random() < 0.6
        if read:
            staged = staged.copy()
            place = at % words * config.beat_elems
            staged[place : place + config.beat_elems] = memory[at]
        want.append(staged)
        write = write and not (read and addr == at)
        inputs.append(
            {"write": int(write), "addr": addr, "data": beat, "fill": {"valid": read, "addr": at}}
        )
        if write:
            memory[addr] = elements(config, beat)
    rows = trace(Activations(config), [*inputs, *[{}] * Activations.LATENCY], ["x"])
    assert not any(rows[0][0])
    assert [list(x) for (x,) in rows[Activations.LATENCY :]] == want
