import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from summand.compress.allocate.parts import Cut, cut_groups, of_parts


def layer(costs, inputs=4):
    """Return a layer of sensitivities 1 whose outputs' weights have these square sums."""
    costs = torch.as_tensor(costs, dtype=torch.float32)
    return (costs / inputs).sqrt()[:, None].expand(-1, inputs), torch.ones(len(costs))


def cuts_of(costs, beside=1, **more):
    weight, sensitivity = layer(costs)
    names = [f"layer{i}" for i in range(beside)]
    weights = dict.fromkeys(names, weight)
    return cut_groups([names], weights, dict.fromkeys(names, sensitivity), **more)


def test_outputs_that_matter_alike_stay_together():
    assert cuts_of([1.0] * 256) == {}
    assert cuts_of([1.0, 1.1] * 128) == {}


def test_outputs_are_cut_by_what_rounding_them_costs():
    cut = cuts_of([1.0, 16.0] * 64)["layer0"]
    assert cut.sizes == (64, 64)
    assert cut.order is not None
    assert cut.order.tolist() == [*range(1, 128, 2), *range(0, 128, 2)]


def test_sensitivity_counts_as_weights_do():
    weight, _ = layer([1.0] * 128)
    sensitivity = torch.tensor([1.0, 16.0] * 64)
    cut = cut_groups([["a"]], {"a": weight}, {"a": sensitivity})["a"]
    assert cut.order is not None
    assert cut.order[:64].tolist() == list(range(1, 128, 2))


@pytest.mark.parametrize(("high", "cut"), [(1.8, True), (1.6, False)])
def test_parts_must_be_worth_a_tenth_of_a_bit(high, cut):
    """Halves of costs 1 / c and c: the means' ratio is (c + 1 / c) / 2."""
    assert (math.log2((high + 1 / high) / 2) / 2 >= 0.1) == cut
    assert bool(cuts_of([1 / high] * 64 + [high] * 64)) == cut


def test_a_group_has_no_more_parts_than_a_gemm_has_segments():
    costs = torch.logspace(0, 4, 1536).tolist()
    for beside in (1, 2, 3, 5, 20):
        cuts = cuts_of(costs, beside)
        assert sum(len(cut.sizes) for cut in cuts.values()) <= 16
        assert len(cuts) == (beside if beside < 9 else 0)


def test_outputs_that_cost_nothing_are_cut_off():
    cut = cuts_of([0.0] * 64 + [1.0] * 64)["layer0"]
    assert cut.order is not None
    assert cut.order[0] == 64
    assert cuts_of([0.0] * 128) == {}


def test_a_head_is_cut_in_its_own_order():
    costs = torch.logspace(0, 4, 4096).tolist()
    cut = cuts_of(costs, heads=("layer0",))["layer0"]
    assert cut.order is None
    assert cut.sizes == (256,) * 16
    assert cuts_of(costs[:4095], heads=("layer0",)) == {}


def test_a_layer_without_sensitivity_stays_whole():
    weight, _ = layer([1.0, 16.0] * 64)
    assert cut_groups([["a"]], {"a": weight}, {}) == {}
    assert cut_groups([["a"]], {"a": weight.repeat(40, 1)}, {}, heads=("a",))["a"].order is None


@given(outputs=st.integers(1, 700), beside=st.integers(1, 4), seed=st.integers(0, 9))
def test_parts_have_every_output_once(outputs, beside, seed):
    costs = torch.randn(outputs, generator=torch.Generator().manual_seed(seed)).exp() ** 3
    values = torch.arange(float(outputs))
    for name, cut in cuts_of(costs, beside).items():
        assert sum(cut.sizes) == outputs
        assert all(size % 64 == 0 for size in cut.sizes[:-1])
        parts = of_parts({name: values}, {name: cut})
        assert list(parts) == [f"{name}.{i}" for i in range(len(cut.sizes))]
        assert [len(part) for part in parts.values()] == list(cut.sizes)
        assert torch.cat(list(parts.values())).sort().values.equal(values)
        means = [costs[part.long()].mean() for part in parts.values()]
        assert means == sorted(means, reverse=True)


def test_values_of_whole_layers_stay():
    values = {"a": torch.ones(3), "b": torch.arange(4.0)}
    found = of_parts(values, {"b": Cut((1, 3), torch.tensor([2, 0, 1, 3]))})
    assert {name: value.tolist() for name, value in found.items()} == {
        "a": [1, 1, 1],
        "b.0": [2],
        "b.1": [0, 1, 3],
    }
