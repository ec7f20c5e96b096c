import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.rtl.elements.tables.column import Column
from summand.testing.streams import trace

CONFIGS = [
    EngineConfig(cols=4, depth=8, stream_bits=32, act_bits=4, acc_bits=16, acc_depth=16),
    EngineConfig(cols=4, depth=8, stream_bits=32, act_bits=4, acc_bits=16, acc_depth=16,
                 half_steps=True),
    EngineConfig(cols=2, depth=16, stream_bits=32, act_bits=8, table_share=2, acc_depth=16),
    EngineConfig(cols=1, depth=64, stream_bits=64, act_bits=10, table_share=4, acc_depth=16),
]  # fmt: skip


def table_writes(config, x):
    """Return the cycles that fill all tables: each writer's table of a share, then the next."""
    writers = config.tables // config.table_share
    cycles = []
    for share in range(config.table_share):
        for entry in range(16):
            first = [4 * (share * writers + w) for w in range(writers)]
            sums = [sum(int(x[f + n]) for n in range(4) if entry >> n & 1) for f in first]
            write = ((1 << writers) - 1) << share * writers
            cycles.append({"write": write, "entry": entry, "value": sums})
    return cycles


def planes_of(w, planes):
    """Return the bits of each plane as an integer, most significant plane first."""
    return [sum((int(v) >> p & 1) << n for n, v in enumerate(w)) for p in reversed(range(planes))]


def weights(config, rng, planes):
    """Return one column's weights: the smallest, the largest, or random ones."""
    low, high = -(1 << planes - 1), (1 << planes - 1) - 1
    kind = rng.integers(0, 4)
    if kind == 0:
        return np.full(config.depth, low)
    if kind == 1:
        return np.full(config.depth, high)
    return rng.integers(low, high, config.depth, endpoint=True)


def activations(config, rng, case):
    if case == "random":
        return rng.integers(config.act_min, config.act_max, config.depth, endpoint=True)
    return np.full(config.depth, config.act_min if case == "smallest" else config.act_max)


def run_planes(config, x, words):
    """Send ``words`` of (bits, first, last, half-step), ``None`` for a gap; return each sum."""
    writes = table_writes(config, x)
    late = element(config).latency - 1  # orders behind bits
    inputs = [*writes, *({} for _ in range(len(words) + late + 1))]
    noise = (0x5DEECE66D * 0x9E3779B97F4A7C15) & ((1 << config.depth) - 1)
    for n, word in enumerate(words, len(writes)):
        bits, first, last, half = word or (noise, 1, 1, 0)
        inputs[n]["bits"] = bits
        inputs[n + late] |= {"first": first, "last": last, "step": int(word is not None)}
        if config.half_steps:
            inputs[n + late - 1] |= {"half_step": half, "inputs": int(x.sum()) * half}
    rows = trace(Column(config), inputs, ["sum"])
    return [row[0] for row in rows[len(writes) + late + 1 :]]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.depth}x{c.act_bits}")
@pytest.mark.parametrize("gaps", [0.0, 0.4])
@pytest.mark.parametrize("case", ["random", "smallest", "largest"])
def test_sums_of_weights_of_every_width(config, gaps, case):
    """Weights of 1 to 8 planes follow one another; a gap changes nothing."""
    rng = np.random.default_rng(5)
    x = activations(config, rng, case)
    words, want = [], []
    for planes in [*range(1, 9), 8, 1, 1, 3, 1, *rng.integers(1, 9, 12)]:
        half = int(config.half_steps and rng.random() < 0.7)
        w = weights(config, rng, int(planes))
        bits = planes_of(w, int(planes))
        for n, plane in enumerate(bits):
            while rng.random() < gaps:
                words.append(None)
                want.append(want[-1] if want else 0)
            words.append((plane, int(n == 0), int(n == len(bits) - 1), half))
            kept = w >> len(bits) - 1 - n  # the weight's planes so far
            want.append(int(x @ (2 * kept + 1 if half else kept)))
    assert run_planes(config, x, words) == want


def test_a_refill_of_one_table_leaves_the_others():
    config = CONFIGS[0]
    x = np.array([1, 2, 3, 4, -5, -6, -7, 7])
    y = np.array([-1, -2, -3, -4])
    writes = table_writes(config, x)
    again = table_writes(config, np.concatenate([y, y]))
    again = [{**cycle, "write": 0b01} for cycle in again]
    late = element(config).latency
    words: list[dict[str, int]] = [{"bits": 0xFF} for _ in range(late)]
    words[-1] |= {"first": 1, "last": 1, "step": 1}
    rows = trace(Column(config), [*writes, *again, *words, {}], ["sum"])
    assert rows[-1] == (-int(y.sum() + x[4:].sum()),)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.depth}x{c.act_bits}")
def test_latency(config):
    """The sum changes when the structure says, and not a cycle before."""
    x = np.ones(config.depth, int)
    sums = run_planes(config, x, [((1 << config.depth) - 1, 1, 1, 0), None, None])
    assert sums == [-config.depth] * 3
