import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.isa.results import Extremes, pack_extremes
from summand.rtl.extremes import ExtremeFinder
from summand.stimulus.values import signed_values
from summand.testing.streams import STALLS, run_stream

#: Entries that are two beats each, one, a half and a fourth; bins of one tile and of several.
ENGINES = {
    "two-beats": EngineConfig(cols=8, depth=16, stream_bits=32, acc_bits=32, bin_tiles=2),
    "one-column": EngineConfig(cols=1, depth=64, stream_bits=64, acc_bits=25, bin_tiles=8),
    "half": EngineConfig(cols=4, depth=32, stream_bits=128, acc_bits=21, bin_tiles=1),
    "fourth": EngineConfig(cols=2, depth=128, stream_bits=256, acc_bits=31, bin_tiles=4),
}


def some_values(config, count, rng):
    """Return accumulators of all sizes, or of so few values that most have equals."""
    if rng.random() < 0.5:
        return signed_values(rng, config.acc_bits, count)
    low, high = -(1 << config.acc_bits - 1), (1 << config.acc_bits - 1) - 1
    return rng.choice([low, low + 1, -1, 0, 1, high], count)


def packet(config, extremes, bins, rng):
    """Return a packet's tiles and the beats it should become."""
    acc = some_values(config, bins * config.bin_size, rng)
    rows = acc.reshape(-1, config.cols)
    tiles = [
        {"acc": [int(a) for a in row], "final": n == len(rows) - 1} for n, row in enumerate(rows)
    ]
    raw = pack_extremes(acc.reshape(1, -1).astype(np.int32), extremes, config)
    size = config.beat_bytes
    beats = [int.from_bytes(raw[n : n + size], "little") for n in range(0, len(raw), size)]
    return tiles, [(beat, n == len(beats) - 1) for n, beat in enumerate(beats)]


def told(dut, extremes):
    """Return what tells the finder which packet begins."""

    async def setup(ctx):
        ctx.set(dut.start, 1)
        ctx.set(dut.extremes, extremes >> 7)
        ctx.set(dut.least, extremes >> 6 & 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.extremes, 0)
        ctx.set(dut.least, 0)

    return setup


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("stalls", STALLS, ids=str)
@pytest.mark.parametrize("extremes", [Extremes.GREATEST, Extremes.LEAST], ids=str)
def test_two_accumulators_of_each_bin_leave(name, stalls, extremes):
    config = ENGINES[name]
    rng = np.random.default_rng(7)
    for bins in (1, 2, 7):
        tiles, want = packet(config, extremes, bins, rng)
        dut = ExtremeFinder(config)
        flow = run_stream(
            dut, tiles, len(want), stalls=stalls, max_cycles=9000, setup=told(dut, extremes)
        )
        assert [(b.data, b.last) for b in flow.beats] == want


@pytest.mark.parametrize("name", ENGINES)
def test_a_bin_takes_a_cycle_an_accumulator_and_two_more_and_its_beats(name):
    config = ENGINES[name]
    bins = 3
    tiles, want = packet(config, Extremes.GREATEST, bins, np.random.default_rng(1))
    dut = ExtremeFinder(config)
    flow = run_stream(dut, tiles, len(want), setup=told(dut, Extremes.GREATEST))
    beats = config.header_beats
    firsts = flow.arrived[::beats]
    assert [b - a for a, b in zip(firsts, firsts[1:], strict=False)] == [
        config.bin_size + 1 + beats
    ] * (bins - 1)
