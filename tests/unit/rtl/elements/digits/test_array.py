"""A row's DSP blocks multiply the activations that were copied before the word."""

from typing import Any

import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.rtl.elements.digits.array import DigitArray
from summand.testing.streams import trace

CONFIGS = [
    EngineConfig(cols=4, depth=8, stream_bits=32, digit_bits=4),
    EngineConfig(cols=2, depth=16, stream_bits=32, digit_bits=2, act_bits=10),
    EngineConfig(cols=1, depth=32, stream_bits=32, digit_bits=4),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.cols}x{c.depth}by{c.digit_bits}")
@pytest.mark.parametrize("gap", [0, 3])
def test_words_meet_their_inputs_of_their_slice(config, gap):
    rng = np.random.default_rng(1)
    size, lanes = config.digit_bits, config.depth // config.digit_bits
    late = element(config).latency
    bits = size + 1
    slices = 6
    x = rng.integers(config.act_min, config.act_max, (slices, config.depth), endpoint=True)
    weights = rng.integers(0, 1 << size - 1, (slices, config.depth, config.cols))
    inputs: list[dict[str, Any]] = [{"valid": 1, "last": 1}] * late  # what a reset does
    begins = []
    for n in range(slices):
        begins.append(len(inputs))
        for place in range(size):
            word = 0
            for c in range(config.cols):
                for lane in range(lanes):
                    digit = int(weights[n, place * lanes + lane, c])
                    word |= digit << (c * lanes + lane) * bits
            flags = {"first": int(place == 0), "last": int(place == size - 1)}
            inputs.append({"word": word, "valid": 1} | flags)
        inputs += [{}] * gap
    # They are copied in the cycle but one before their first word, and in no other are they staged.
    for n, cycle in enumerate(inputs):
        noise = rng.integers(config.act_min, config.act_max, config.depth)
        inputs[n] = cycle | {"x": noise.tolist()}
    for n, begin in enumerate(begins):
        inputs[begin - 2] |= {"x": x[n].tolist(), "step": {"valid": 1}}
    found = trace(DigitArray(config), inputs + [{}] * (late + 1), ["sums"])
    for n, begin in enumerate(begins):
        (sums,) = found[begin + size - 1 + late]
        assert list(sums) == (x[n] @ weights[n]).tolist()
