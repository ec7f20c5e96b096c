import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.golden.arithmetic import accumulate, exact_product, requantise, wrap
from summand.stimulus.values import signed_values

FIXED = settings(deadline=None, derandomize=True, max_examples=300)


def int_bits(bits: int) -> st.SearchStrategy[int]:
    top = 1 << (bits - 1)
    corners = st.sampled_from([0, 1, -1, top - 1, -top, 1 - top])
    return corners | st.integers(-top, top - 1)


@FIXED
@given(int_bits(62), st.integers(1, 61))
def test_wrap_keeps_the_low_bits(value, bits):
    got = int(wrap(np.array([value]), bits)[0])
    assert -(2 ** (bits - 1)) <= got < 2 ** (bits - 1)
    assert (got - value) % 2**bits == 0


@FIXED
@given(int_bits(32), st.sampled_from([0, 1, 0xFFFF]) | st.integers(0, 0xFFFF), st.integers(1, 47))
def test_requantise_rounds_halves_up_and_saturates(acc, mult, shift):
    for act_bits in (4, 8, 10):
        got = requantise(np.array([[acc]], np.int32), np.array([mult]), np.array([shift]), act_bits)
        exact = (2 * acc * mult + 2**shift) // 2 ** (shift + 1)  # floor(v + 1/2)
        top = 2 ** (act_bits - 1)
        assert got[0, 0] == max(-top, min(top - 1, exact))


@pytest.mark.parametrize(
    ("acc", "mult", "shift", "want"),
    [
        (1, 1, 1, 1),
        (-1, 1, 1, 0),
        (3, 1, 1, 2),
        (-3, 1, 1, -1),
        (5, 3, 2, 4),
        (1000, 65535, 1, 127),
    ],
)
def test_requantise_by_hand(acc, mult, shift, want):
    assert requantise(np.array([[acc]]), np.array([mult]), np.array([shift]), 8) == want


@FIXED
@given(int_bits(32), st.lists(int_bits(30), min_size=1, max_size=5), st.integers(0, 8))
def test_wrapping_once_equals_wrapping_after_every_slice(acc, sums, shift):
    for bits in (16, 24, 32):
        start = wrap(np.array([acc]), bits)
        step = start
        for n, value in enumerate(sums):
            part = np.array([value])
            step = accumulate(step, part, clear=False, shift=0 if n else shift, acc_bits=bits)
        whole = np.array([sum(sums)])
        at_once = accumulate(start, whole, clear=False, shift=shift, acc_bits=bits)
        assert step == at_once


def test_clear_ignores_what_was_there():
    got = accumulate(np.array([[7, 8]]), np.array([[1, 2]]), clear=True, shift=3, acc_bits=16)
    np.testing.assert_array_equal(got, [[1, 2]])


def test_products_that_exceed_float32_are_exact():
    """Half-step weights of eight planes, times scales of eight bits."""
    x = np.full((1, 5001), 511, np.int16)
    w = np.full((5001, 1), 255 * 255, np.float32)
    assert exact_product(x, w, act_bits=10, bits=17) == 5001 * 511 * 255 * 255


@pytest.mark.parametrize("act_bits", [4, 8, 10])
@pytest.mark.parametrize("planes", [1, 4, 8])
def test_products_are_exact_at_the_worst(act_bits, planes):
    """Extreme operands, and a K so large that float32 would round if K were not cut."""
    k = 70_001
    x = np.full((2, k), -(1 << (act_bits - 1)), np.int16)
    x[1, ::2] = (1 << (act_bits - 1)) - 1
    w = np.full((k, 3), -(1 << (planes - 1)), np.float32)
    w[:, 1] = (1 << (planes - 1)) - 1
    w[::3, 2] = 0
    got = exact_product(x, w, act_bits=act_bits, bits=planes)
    np.testing.assert_array_equal(got, x.astype(np.int64) @ w.astype(np.int64))


@pytest.mark.parametrize("k", [1, 255, 256, 257, 513])
def test_products_are_exact_around_the_cut(k):
    rng = np.random.default_rng(k)
    x = signed_values(rng, 10, 3 * k).reshape(3, k).astype(np.int16)
    w = signed_values(rng, 8, k * 5).reshape(k, 5)
    got = exact_product(x, w.astype(np.float32), act_bits=10, bits=8)
    np.testing.assert_array_equal(got, x.astype(np.int64) @ w)


def test_signed_values_hold_their_range_and_reach_its_ends():
    rng = np.random.default_rng(0)
    for bits in (1, 2, 4, 8, 32):
        values = signed_values(rng, bits, 1000)
        assert values.min() == -(1 << (bits - 1))
        assert values.max() == (1 << (bits - 1)) - 1
