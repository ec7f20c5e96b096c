import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.report.baselines import METHODS, spread_bits


@given(
    st.lists(st.integers(1000, 5000), min_size=1, max_size=60),
    st.floats(1.5, 8),
    st.floats(0, 0.4),
)
def test_bits_are_spread_up_to_the_budget(weights, budget, share):
    beside = [int(share * w) for w in weights]
    bits = spread_bits(weights, beside, budget)
    total = sum(b * w + e for b, w, e in zip(bits, weights, beside, strict=True))
    assert total <= budget * sum(weights) * 1.000001
    assert total > budget * sum(weights) - max(weights) - len(weights) or set(bits) == {8}
    assert max(bits) - min(bits) <= 1


def test_a_budget_below_one_bit_is_passed():
    assert spread_bits([100, 100], [50, 50], 1.2) == [1, 1]


def test_both_widths_are_spread_evenly():
    assert spread_bits([100] * 8, [0] * 8, 4.5) == [4, 5] * 4
    assert spread_bits([100] * 6, [25] * 6, 4.25) == [4] * 6


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_methods_are_plain(method):
    options = method.options(32, 9)
    assert not options.balance
    assert not options.rotate
    assert options.group == (32 if method.grouped else 0)
    assert (options.rank, options.act_bits) == (method.rank, 9)
