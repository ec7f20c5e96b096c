import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.isa.beats import pad
from summand.isa.results import pack_results
from summand.rtl.gearbox import ResultPacker
from summand.stimulus.values import signed_values
from summand.testing.streams import STALLS, run_stream

#: A limb of a tile that is a beat; a half; a fourth; a sixteenth, of accumulators of three limbs.
ENGINES = {
    "equal": EngineConfig(cols=8, depth=16, stream_bits=64, acc_bits=32, limb_bits=8),
    "half": EngineConfig(cols=4, depth=16, stream_bits=32, acc_bits=21, limb_bits=4),
    "fourth": EngineConfig(cols=2, depth=32, stream_bits=32, acc_bits=31, limb_bits=4),
    "sixteenth": EngineConfig(cols=1, depth=128, stream_bits=128, acc_bits=23, limb_bits=8),
}


def packets(config, limbs, rng):
    """Return packets of 1 to 9 tiles, and the beats they should become."""
    tiles, beats = [], []
    for count in [1, 2, 3, 4, 5, 8, 9, 1, 1]:
        acc = signed_values(rng, config.acc_bits, count * config.cols).reshape(count, -1)
        tiles += [
            {"acc": [int(a) for a in row], "final": n == count - 1} for n, row in enumerate(acc)
        ]
        raw = pad(pack_results(acc.astype(np.int32), limbs, config), config)
        cut = [
            int.from_bytes(raw[n : n + config.beat_bytes], "little")
            for n in range(0, len(raw), config.beat_bytes)
        ]
        beats += [(b, n == len(cut) - 1) for n, b in enumerate(cut)]
    return tiles, beats


def told(dut, limbs):
    """Return what tells the packer how many limbs its packets have."""

    async def setup(ctx):
        ctx.set(dut.start, 1)
        ctx.set(dut.limbs, limbs)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.limbs, 0)

    return setup


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("stalls", STALLS, ids=str)
def test_limbs_are_packed_as_the_contract_says(name, stalls):
    config = ENGINES[name]
    for limbs in {1, 2, config.acc_limbs - 1, config.acc_limbs}:
        tiles, want = packets(config, limbs, np.random.default_rng(limbs))
        dut = ResultPacker(config)
        flow = run_stream(
            dut, tiles, len(want), stalls=stalls, max_cycles=9000, setup=told(dut, limbs)
        )
        assert [(b.data, b.last) for b in flow.beats] == want


@pytest.mark.parametrize(
    ("name", "apart"), [("equal", 1), ("half", 2), ("fourth", 4), ("sixteenth", 16)]
)
def test_a_limb_of_a_tile_leaves_each_cycle(name, apart):
    config, limbs = ENGINES[name], 3
    tiles = [{"acc": [n] * config.cols, "final": n == 15} for n in range(16)]
    count = 16 * limbs // apart
    dut = ResultPacker(config)
    flow = run_stream(dut, tiles, count, setup=told(dut, limbs))
    first = flow.arrived[0]
    assert flow.arrived == [first + apart * n for n in range(count)]
