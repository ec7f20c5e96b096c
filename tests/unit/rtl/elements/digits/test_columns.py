"""Packed products come apart as what they were, whatever their operands."""

import itertools

import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.isa.digits import digit_lanes, digit_size
from summand.isa.elements import element
from summand.rtl.elements.digits.columns import DigitColumns
from summand.testing.streams import trace

#: Products added packed on no level, on some and on all; unpacked sums on no level and on some.
CONFIGS = [
    EngineConfig(cols=4, depth=8, stream_bits=32, act_bits=9, acc_bits=24, digit_bits=4),
    EngineConfig(cols=4, depth=32, stream_bits=64, act_bits=8, digit_bits=4),
    EngineConfig(cols=2, depth=64, stream_bits=128, act_bits=8, digit_bits=4),
    EngineConfig(cols=2, depth=16, stream_bits=32, act_bits=10, digit_bits=2),
    EngineConfig(cols=8, depth=8, stream_bits=64, act_bits=4, digit_bits=2),
    EngineConfig(cols=1, depth=32, stream_bits=32, act_bits=8, digit_bits=4),
]


def ids(config):
    return f"{config.cols}x{config.depth}x{config.act_bits}by{config.digit_bits}"


def operands(config, low, high):
    """Return both columns' digits as the turner packs them, from ``[lanes]`` each."""
    size = digit_size(config)
    mask = (1 << size) - 1
    return [
        sum((int(d) & mask) << n * size for n, d in enumerate(column))
        for column in (low, high - (low < 0))
    ]


def run(config, cycles):
    """Send (x, low, high, first, last) of ``[lanes]``, or None for a gap; return all sums."""
    late = element(config).latency - 1
    inputs = [{} for _ in range(len(cycles) + late + 1)]
    for n, cycle in enumerate(cycles):
        inputs[n + late] |= {"first": 1, "last": 1, "step": 0}
        if cycle:
            x, low, high, first, last = cycle
            packed = operands(config, low, high)[: min(2, config.cols)]
            inputs[n] |= {"x": [int(v) for v in x], "digits": packed}
            inputs[n + late] |= {"first": int(first), "last": int(last), "step": 1}
    return [list(sums) for (sums,) in trace(DigitColumns(config), inputs, ["sums"])]


@pytest.mark.parametrize(("act_bits", "digit_bits"), [(4, 2), (4, 4), (8, 2)])
def test_all_pairs_of_digits_with_all_activations(act_bits, digit_bits):
    """Each lane meets all of them, beside another lane that meets them in another order."""
    config = EngineConfig(
        cols=4, depth=2 * digit_bits if digit_bits == 4 else 8, stream_bits=32, acc_depth=16,
        act_bits=act_bits, digit_bits=digit_bits,
    )  # fmt: skip
    largest = (1 << digit_bits) - 1
    digits = range(-largest, largest + 1)
    all_of_them = np.array(
        list(itertools.product(range(config.act_min, config.act_max + 1), digits, digits))
    )
    rng = np.random.default_rng(1)
    lanes = np.stack([rng.permutation(all_of_them) for _ in range(digit_lanes(config))], axis=2)
    found = run(config, [(x, low, high, 1, 1) for x, low, high in lanes])
    late = element(config).latency
    want = [[int(x @ low), int(x @ high)] for x, low, high in lanes]
    assert found[late : late + len(lanes)] == want


@pytest.mark.parametrize("digit_bits", [2, 4])
@pytest.mark.parametrize("act_bits", range(4, 10))
def test_the_packing_itself(act_bits, digit_bits):
    """All operands of every width, by the arithmetic that the module's text states."""
    place = act_bits + digit_bits
    digits = np.arange(1 - (1 << digit_bits), 1 << digit_bits)
    low, high = (d[None, :] for d in np.meshgrid(digits, digits))
    x = np.arange(-(1 << act_bits - 1), 1 << act_bits - 1)[:, None, None]
    operand = ((high - (low < 0)) << place) + (low & (1 << place) - 1)
    assert (operand == (high << place) + low).all()
    assert abs(operand).max() < 1 << 17
    product = operand * x
    lower = product & (1 << place) - 1
    negative = lower >> place - 1
    assert ((lower - (negative << place)) == low * x).all()
    assert ((product >> place) + negative == high * x).all()


@pytest.mark.parametrize("config", CONFIGS, ids=ids)
@pytest.mark.parametrize("gaps", [0.0, 0.4])
def test_words_of_digits_add_up(config, gaps):
    """Weights of several digits, each of several words, with the largest sums among them."""
    rng = np.random.default_rng(2)
    lanes, size = digit_lanes(config), config.digit_bits
    largest = (1 << size) - 1
    cycles, want = [], []
    for number in range(60):
        total = np.zeros(2, int)
        digits = int(rng.integers(1, 8 // size + 1))
        for n in range(digits * size):
            x = rng.integers(config.act_min, config.act_max, lanes, endpoint=True)
            low, high = rng.integers(-largest, largest, (2, lanes), endpoint=True)
            if number % 3 == 0:
                x[:] = config.act_min
                low[:], high[:] = rng.choice([-largest, largest], 2)
            first, last = n % size == 0, n == digits * size - 1
            total = (total << size if first else total) + [x @ low, x @ high]
            while rng.random() < gaps:
                cycles.append(None)
                want.append(None)
            cycles.append((x, low, high, first, last))
            want.append(total.tolist()[: min(2, config.cols)])
    found = run(config, cycles)
    late = element(config).latency
    for n, sums in enumerate(want):
        assert sums is None or found[n + late] == sums
