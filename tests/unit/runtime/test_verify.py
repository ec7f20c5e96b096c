import dataclasses

import numpy as np
import pytest

from summand.isa import SummandError
from summand.isa.patterns import SparsePattern
from summand.runtime import Driver, GoldenDevice
from summand.runtime.driver import Result
from summand.runtime.verify import Shape, compare, random_layer, random_tokens


def shape(**changes) -> Shape:
    return Shape(**{"tokens": 3, "in_features": 30, "out_features": 20, "bits": 4, **changes})


class WrongDriver(Driver):
    """A driver that returns one accumulator off by one."""

    def run(self, program, xq):
        result = super().run(program, xq)
        result.outputs[-1][1, 2] += 1
        return Result(result.outputs, result.usage)


PATTERN = SparsePattern(kept=2, block=8)


@pytest.mark.parametrize(
    "kinds",
    [
        {},
        {"half_step": True, "rank": 9},
        {"sparsity": PATTERN, "outliers": PATTERN},
        {"act_groups": 2, "rank": 9, "outliers": PATTERN},
    ],
)
def test_golden_agrees_with_itself(config, kinds):
    config = dataclasses.replace(config, half_steps=True, sparse_block=16, border_shift=1, shift=0)
    layer, xq = random_layer(np.random.default_rng(1), config, shape(in_features=32, **kinds))
    result = compare([layer], Driver(GoldenDevice(config)), xq)
    assert result.exact
    assert result.usage.tokens == 3


def test_a_difference_is_found_and_told(config):
    layer, xq = random_layer(np.random.default_rng(1), config, shape())
    result = compare([layer], WrongDriver(GoldenDevice(config)), xq)
    assert not result.exact
    good = layer.accumulate(xq)[1, 2]
    assert result.wrong[0] == (
        f"random: 1 of 60 outputs differ from the golden model; the first is token 1, "
        f"output 2: {good + 1} instead of {good}"
    )
    assert "the layer's meaning" in result.wrong[1]


def test_random_tokens_reach_the_ends(config):
    tokens = random_tokens(np.random.default_rng(0), config, 10, 50)
    assert tokens.shape == (10, 50)
    assert {config.act_min, config.act_max, 0, 1, -1} <= set(tokens.ravel().tolist())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"tokens": 0}, "tokens must be 1 to 65536, not 0"),
        ({"in_features": -1}, "in_features must be 1 to 1048576, not -1"),
        ({"out_features": 1 << 21}, "out_features must be 1 to 1048576"),
        ({"bits": 9}, "bits must be 1 to 8, not 9"),
        ({"rank": -1}, "rank must be 0 to 65536, not -1"),
        ({"rank_bits": 0}, "rank_bits must be 1 to 8, not 0"),
        ({"in_features": 1 << 20, "out_features": 1 << 20}, "make the shape smaller"),
    ],
)
def test_impossible_shapes(change, text):
    with pytest.raises(SummandError, match=text):
        shape(**change)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sparsity": PATTERN}, "sparsity 2:8 .* 30"),
        ({"act_groups": 3}, "act_groups must be 2 to 2, the slices of 16 that 30 inputs have"),
        ({"act_groups": 17}, "act_groups must be 0 to 16, not 17"),
    ],
)
def test_what_a_random_layer_cannot_have_is_named(config, changes, said):
    with pytest.raises(SummandError, match=said):
        random_layer(np.random.default_rng(1), config, shape(**changes))
