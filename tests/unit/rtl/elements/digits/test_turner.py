"""Planes become digits of which each weight is the sum, in words that follow one another."""

import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.rtl.elements.digits.turner import PlaneTurner
from summand.testing.streams import trace

CONFIGS = [
    EngineConfig(cols=4, depth=8, stream_bits=32, acc_depth=16, digit_bits=4, half_steps=True,
                 border_shift=3),
    EngineConfig(cols=2, depth=16, stream_bits=32, acc_depth=16, digit_bits=2, half_steps=True),
    EngineConfig(cols=1, depth=64, stream_bits=32, acc_depth=16, digit_bits=4),
    EngineConfig(cols=8, depth=8, stream_bits=64, acc_depth=16, digit_bits=2, border_shift=1),
]  # fmt: skip


def tile_cycles(config, weights, planes, orders):
    """Return the words of a tile of ``weights[depth, cols]``, whose first is repeated."""
    words = planes + -planes % config.digit_bits
    cycles = []
    for n in range(words):
        plane = min(planes, words - n) - 1
        bits = 0
        for c in range(config.cols):
            for k in range(config.depth):
                bits |= (int(weights[k, c]) >> plane & 1) << c * config.depth + k
        last = n == words - 1
        cycles.append({"word": bits, "valid": 1, "last": int(last)} | (orders if last else {}))
        if config.half_steps:
            cycles[-1]["half_step"] = orders["half_step"]
    return cycles


def digits_of(config, words):
    """Return ``[depth, cols]`` digits from the words of one digit, borrows given back."""
    lanes, size = config.depth // config.digit_bits, config.digit_bits + 1
    found = np.zeros((config.depth, config.cols), int)
    for n, word in enumerate(words):
        for c in range(config.cols):
            for lane in range(lanes):
                raw = word >> (c * lanes + lane) * size & (1 << size) - 1
                found[n * lanes + lane, c] = raw - (raw >> size - 1 << size)
    if config.cols > 1:
        found[:, 1::2] += found[:, ::2] < 0
    return found


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.cols}x{c.depth}by{c.digit_bits}")
@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_digits_add_up_to_the_weights(config, gaps):
    rng = np.random.default_rng(1)
    size = config.digit_bits
    tiles = []
    cycles: list[dict[str, int]] = []
    for planes in (*range(1, 9), *rng.integers(1, 9, 8)):
        low, high = -(1 << planes - 1), (1 << planes - 1) - 1
        weights = rng.integers(low, high, (config.depth, config.cols), endpoint=True)
        if rng.random() < 0.3:
            weights[:] = rng.choice([low, high, 0, -1])
        orders = {"tile": int(rng.integers(16)), "clear": int(rng.integers(2))}
        if config.half_steps:
            orders["half_step"] = int(rng.integers(2))
        if config.border_shift:
            orders["border"] = int(rng.integers(config.border_shift + 1))
        tiles.append((2 * weights + 1 if orders.get("half_step") else weights, orders))
        for cycle in tile_cycles(config, weights, int(planes), orders):
            while rng.random() < gaps:
                cycles.append({"word": int(rng.integers(1 << 30)), "last": 1})
            cycles.append(cycle)
    ends = [n for n, cycle in enumerate(cycles) if cycle.get("valid")][size - 1 :: size]
    starts = [end + PlaneTurner.LATENCY for end in ends]
    cycles += [{}] * (PlaneTurner.LATENCY + size)
    found = [o for (o,) in trace(PlaneTurner(config), [{"i": cycle} for cycle in cycles], ["o"])]

    # The words of a digit come one after another behind its last plane, and no others do.
    words_at = [start + n for start in starts for n in range(size)]
    assert [n for n, o in enumerate(found) if o.valid] == words_at
    assert [n for n, o in enumerate(found) if o.valid and o.first] == starts
    assert element(config).turn == PlaneTurner.LATENCY + size - 1
    for weights, orders in tiles:
        value = np.zeros((config.depth, config.cols), int)
        while True:
            words = [found[starts[0] + n] for n in range(size)]
            starts = starts[1:]
            digits = digits_of(config, [w.word for w in words])
            assert abs(digits).max() < 1 << size
            value = (value << size) + digits
            assert not any(w.last for w in words[:-1])
            if words[-1].last:
                break
        assert np.array_equal(value, weights)
        for name in orders.keys() - {"half_step"}:
            assert words[-1][name] == orders[name]


@pytest.mark.parametrize("config", CONFIGS[:2], ids=["4", "2"])
def test_activations_pass_at_once(config):
    word = (1 << config.plane_bits) - 1 - (5 << config.plane_bits - config.stream_bits)
    (found,), *_ = trace(
        PlaneTurner(config),
        [{"i": {"word": word, "act_write": 1, "act_row": 0, "act_addr": 3}}],
        ["o"],
    )
    assert not found.valid
    assert (found.act_write, found.act_addr) == (1, 3)
    beat = found.word >> element(config).word_bits - config.stream_bits
    assert beat == word >> config.plane_bits - config.stream_bits
