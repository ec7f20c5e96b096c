"""Bases of tokens: orthonormal, of the rank that there is, and nearest of all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.model.basis import basis_of, orthonormal


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(0, 1 << 20))
def test_a_basis_is_orthonormal_and_as_wide_as_it_may_be(tokens, width, rank, seed):
    rng = np.random.default_rng(seed)
    basis = basis_of(rng.standard_normal((tokens, width)), rank)
    assert basis.shape == (tokens, min(tokens, width, rank))
    assert np.allclose(basis.T @ basis, np.eye(basis.shape[1]))


@given(st.integers(1, 6), st.integers(0, 1 << 20))
def test_a_lower_rank_is_found(rank, seed):
    rng = np.random.default_rng(seed)
    sketches = rng.standard_normal((20, rank)) @ rng.standard_normal((rank, 12))
    assert basis_of(sketches, 10).shape == (20, rank)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_tokens_that_are_alike_have_a_rank_of_one_at_most(value):
    assert basis_of(np.full((9, 5), value), 4).shape == (9, int(value))


def test_a_basis_spans_the_largest_directions():
    rng = np.random.default_rng(0)
    left = np.linalg.qr(rng.standard_normal((40, 8)))[0]
    sketches = left * 2.0 ** -np.arange(8) @ rng.standard_normal((8, 8))
    basis = basis_of(sketches, 3)
    best = np.linalg.svd(sketches)[0][:, :3]
    assert np.allclose(basis @ basis.T, best @ best.T)


@given(st.integers(0, 1 << 20))
def test_further_columns_are_at_right_angles_to_those_before(seed):
    rng = np.random.default_rng(seed)
    before = orthonormal(rng.standard_normal((30, 5)))
    after = orthonormal(rng.standard_normal((30, 4)) + before @ rng.standard_normal((5, 4)), before)
    assert np.allclose(before.T @ after, 0)
    assert np.allclose(after.T @ after, np.eye(4))
