import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.rtl.gearbox import BeatGatherer, ResultPacker
from summand.stimulus.values import signed_values
from summand.testing.streams import STALLS, run_stream

#: A tile of two beats; of one; of a half; of a quarter.
PACKERS = {
    "split": EngineConfig(cols=2, depth=16, stream_bits=32, acc_bits=20),
    "equal": EngineConfig(cols=2, depth=32, stream_bits=64, acc_bits=32),
    "half": EngineConfig(cols=2, depth=64, stream_bits=128, acc_bits=24),
    "quarter": EngineConfig(cols=1, depth=128, stream_bits=128, act_bits=4, acc_bits=19),
}


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("stalls", STALLS, ids=str)
def test_gatherer_puts_the_first_beat_lowest(count, stalls):
    rng = np.random.default_rng(count)
    beats = [int(b) for b in rng.integers(0, 256, 24 * count)]
    flow = run_stream(BeatGatherer(8, count), beats, 24, stalls=stalls, max_cycles=4000)
    words = [
        sum(b << 8 * n for n, b in enumerate(beats[w : w + count]))
        for w in range(0, len(beats), count)
    ]
    assert flow.beats == words


def test_gatherer_passes_the_last_beat_through():
    flow = run_stream(BeatGatherer(8, 4), range(40), 10)
    assert flow.sent == list(range(40))
    assert flow.arrived == list(range(3, 40, 4))


def packets(config, rng):
    """Return packets of 1 to 9 tiles, and the beats they should become."""
    tiles, beats = [], []
    for count in [1, 2, 3, 4, 5, 8, 9, 1, 1]:
        acc = signed_values(rng, config.acc_bits, count * config.cols).reshape(count, -1)
        tiles += [
            {"acc": [int(a) for a in row], "final": n == count - 1} for n, row in enumerate(acc)
        ]
        raw = acc.astype("<i4").tobytes()
        raw += bytes(-len(raw) % config.beat_bytes)
        cut = [
            int.from_bytes(raw[n : n + config.beat_bytes], "little")
            for n in range(0, len(raw), config.beat_bytes)
        ]
        beats += [(b, n == len(cut) - 1) for n, b in enumerate(cut)]
    return tiles, beats


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("stalls", STALLS, ids=str)
def test_packer_writes_little_endian_int32_and_pads_with_zeros(name, stalls):
    config = PACKERS[name]
    tiles, want = packets(config, np.random.default_rng(2))
    flow = run_stream(ResultPacker(config), tiles, len(want), stalls=stalls, max_cycles=3000)
    assert [(b.data, b.last) for b in flow.beats] == want


@pytest.mark.parametrize(
    ("name", "apart"), [("split", 1), ("equal", 1), ("half", 2), ("quarter", 4)]
)
def test_packer_gives_beats_at_its_rate(name, apart):
    """A beat a cycle; where tiles are narrower, a tile a cycle."""
    config = PACKERS[name]
    tiles = [{"acc": [n] * config.cols, "final": n == 15} for n in range(16)]
    count = 16 * config.cols * 4 // config.beat_bytes
    flow = run_stream(ResultPacker(config), tiles, count)
    first = flow.arrived[0]
    assert flow.arrived == [first + apart * n for n in range(count)]
