"""Balance and rotation: against plain matrices, and against a version written out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.model import Layer, Transform
from summand.model.transform import same_transform
from summand.summands.errors import LayerError


def balance(seed: int, k: int) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(size=k)).astype(np.float32)


def by_hand(transform: Transform, x: np.ndarray) -> np.ndarray:
    """Return the expected result, by matrices in float64."""
    k = transform.features
    y = x.astype(np.float64)
    if transform.balance is not None:
        y = y * transform.balance
    if transform.rotation is None:
        return y
    hadamard = np.ones((1, 1))
    while k % (2 * len(hadamard)) == 0:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    rest = k // len(hadamard)
    i, j = np.mgrid[:rest, :rest]
    dct = np.cos(math.pi * (j + 0.5) * i / rest) * math.sqrt(2 / rest)
    dct[0] /= math.sqrt(2)
    full = np.kron(dct, hadamard / math.sqrt(len(hadamard)))
    signs = np.sign(transform.apply(np.eye(k, dtype=np.float32))[:, 0])  # all of the DCT's row 0
    return (y * signs) @ full.T


@pytest.mark.parametrize("k", [1, 2, 3, 7, 16, 48, 80, 255, 576, 1536])
@pytest.mark.parametrize("balanced", [True, False])
def test_it_is_the_product_of_its_matrices(k, balanced):
    transform = Transform(k, balance(k, k) if balanced else None, 3)
    x = np.random.default_rng(k).normal(size=(5, k)).astype(np.float32)
    got = transform.apply(x)
    assert got.dtype == np.float32
    assert got.shape == x.shape
    np.testing.assert_allclose(got, by_hand(transform, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("k", [1, 7, 48, 576, 1536])
@pytest.mark.parametrize("rotation", [None, 3])
def test_the_transposed_is_that_of_its_matrix(k, rotation):
    transform = Transform(k, balance(k, k), rotation)
    rng = np.random.default_rng(k)
    x, g = rng.normal(size=(2, 5, k)).astype(np.float32)
    matrix = transform.apply(np.eye(k, dtype=np.float32))
    np.testing.assert_allclose(transform.transposed(g), g @ matrix.T, rtol=1e-4, atol=1e-4)
    both = (g * transform.apply(x)).sum(axis=1)
    np.testing.assert_allclose((transform.transposed(g) * x).sum(axis=1), both, atol=1e-2)


@settings(deadline=None)
@given(
    st.integers(0, 10**6), st.integers(1, 300), st.booleans(), st.none() | st.integers(0, 2**32 - 1)
)
def test_outputs_stay_what_they_are(seed, k, balanced, rotation):
    transform = Transform(k, balance(seed, k) if balanced else None, rotation)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(4, k)).astype(np.float32)
    w = rng.normal(size=(6, k)).astype(np.float32)
    y = transform.apply(x).astype(np.float64) @ transform.weights(w).T
    np.testing.assert_allclose(y, x.astype(np.float64) @ w.T, atol=1e-4 * math.sqrt(k) + 1e-4)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 5, 12, 24, 64]), st.booleans())
def test_moments_are_those_of_transformed_tokens(seed, k, balanced):
    transform = Transform(k, balance(seed, k) if balanced else None, seed)
    x = np.random.default_rng(seed).normal(size=(30, k)).astype(np.float32)
    y = transform.apply(x).astype(np.float64)
    want = y.T @ y / len(y)
    got = transform.moments(x.T.astype(np.float64) @ x / len(x))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4 * np.abs(want).max())


def described(transform: Transform, x: list[np.float32]) -> list[np.float32]:
    """Transform one token as docs/numerics.md says, a number at a time."""
    k = transform.features
    assert transform.rotation is not None
    assert transform.balance is not None
    power = k & -k
    y = []
    for i in range(k):
        z = (((transform.rotation << 32) + i + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        sign = -1 if (z ^ (z >> 31)) >> 63 else 1
        y.append(x[i] * np.float32(float(transform.balance[i]) * (sign / math.sqrt(power))))
    apart = power // 2
    while apart:
        for i in range(k):
            if not i & apart:
                y[i], y[i + apart] = y[i] + y[i + apart], y[i] - y[i + apart]
        apart //= 2
    rest = k // power
    if rest == 1:
        return y
    out = []
    for i in range(k):
        row, place = divmod(i, power)
        total = np.float32(0)
        for j in range(rest):
            cosine = math.cos(math.pi * (j + 0.5) * row / rest) * math.sqrt(2 / rest)
            mix = np.float32(cosine / math.sqrt(2) if row == 0 else cosine)
            product = mix * y[j * power + place]
            total = product if j == 0 else total + product
        out.append(total)
    return out


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([1, 4, 5, 12, 32, 72]))
def test_every_bit_is_as_described(seed, k):
    transform = Transform(k, balance(seed, k), seed)
    x = np.random.default_rng(seed).normal(size=(1, k)).astype(np.float32)
    np.testing.assert_array_equal(transform.apply(x)[0], described(transform, list(x[0])))


def test_a_loud_channel_is_spread_over_all():
    x = np.zeros((1, 64), np.float32)
    x[0, 5] = 8
    np.testing.assert_array_equal(np.abs(Transform(64, None, 0).apply(x)), np.ones((1, 64)))


def test_the_numbers_never_change():
    """They are part of the format: a folder means the same on every machine and version."""
    x = (np.arange(12, dtype=np.float32) - 4)[None]
    got = Transform(12, np.linspace(1, 2, 12, dtype=np.float32), 7).apply(x)
    assert [v.hex() for v in got[0].tolist()] == NUMBERS


NUMBERS = [
    "-0x1.85a8b00000000p+2",
    "0x1.f7de8c0000000p+2",
    "-0x1.c8d76c0000000p+1",
    "-0x1.9318700000000p+0",
    "0x1.61cf7c0000000p+2",
    "-0x1.e575fc0000000p+2",
    "0x1.932dec0000000p+2",
    "0x1.65ecb20000000p+3",
    "-0x1.21c8360000000p+2",
    "0x1.3268ae0000000p+3",
    "-0x1.0a07800000000p-1",
    "-0x1.b9cc880000000p+2",
]


def test_tokens_do_not_depend_on_those_beside_them():
    transform = Transform(48, balance(0, 48), 1)
    x = np.random.default_rng(0).normal(size=(9, 48)).astype(np.float32)
    whole = transform.apply(x)
    np.testing.assert_array_equal(whole[4:5], transform.apply(x[4:5]))
    assert transform.apply(x[:0]).shape == (0, 48)


def test_different_seeds_turn_differently():
    x = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)
    a, b = (Transform(64, None, seed).apply(x) for seed in (0, 1))
    assert not np.array_equal(a, b)


def test_large_odd_parts_are_not_mixed():
    """4099 is a prime, so its rotation consists of signs only."""
    x = np.random.default_rng(0).normal(size=(1, 4099)).astype(np.float32)
    np.testing.assert_array_equal(np.abs(Transform(4099, None, 0).apply(x)), np.abs(x))


def test_equality_is_that_of_the_bits():
    c = balance(0, 8)
    same = [Transform(8, c, 1), Transform(8, c.copy(), 1)]
    others = [
        None,
        Transform(8, c, 2),
        Transform(8, c, None),
        Transform(8, None, 1),
        Transform(8, np.nextafter(c, np.float32(9)), 1),
        Transform(7, c[:7], 1),
    ]
    assert same_transform(*same)
    assert same_transform(None, None)
    for i, a in enumerate([same[0], *others]):
        for b in others[i:]:
            assert not same_transform(a, b)
            assert not same_transform(b, a)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"features": 0}, "features must be at least 1, not 0"),
        ({"rotation": -1}, "rotation must be 0 to 4294967295, not -1"),
        ({"rotation": 1 << 32}, "rotation must be"),
        ({"balance": np.ones(4)}, "balance must be float32 of shape .4,., not float64"),
        ({"balance": np.ones(3, np.float32)}, r"not float32 of shape \(3,\)"),
        ({"balance": np.zeros(4, np.float32)}, "balance must be finite and positive"),
        ({"balance": np.full(4, np.inf, np.float32)}, "balance must be finite and positive"),
    ],
)
def test_impossible_ones_are_refused(fields, match):
    with pytest.raises(LayerError, match=match):
        Transform(**{"features": 4, **fields})


def test_layers_apply_it_before_they_quantise(make_layer):
    plain = make_layer(1, k=12)
    fields = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    turned = Layer(**{**fields, "transform": Transform(12, balance(1, 12), 4)})
    x = np.random.default_rng(2).normal(size=(3, 12)).astype(np.float32)
    assert turned.transform is not None
    np.testing.assert_array_equal(turned.forward(x), plain.forward(turned.transform.apply(x)))
    with pytest.raises(LayerError, match="'block.linear': transform must be of 12 features, not 6"):
        Layer(**{**fields, "transform": Transform(6)})
    x[1, 2] = np.inf
    with pytest.raises(LayerError, match="'block.linear': activations must be finite"):
        turned.forward(x)
