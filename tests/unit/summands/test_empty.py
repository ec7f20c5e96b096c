"""Runs of input features without weights: found, and refused where they are none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.isa.patterns import SparsePattern
from summand.summands.dense import Dense, DenseEntry
from summand.summands.empty import check_empty, check_runs, empty_runs
from summand.summands.errors import LayerError
from summand.summands.outliers import OutliersEntry


@given(st.integers(0, 1 << 30), st.integers(1, 70), st.sampled_from([0.1, 0.01, 0.002]))
def test_they_are_the_longest_of_whole_slices(seed, k, density):
    rng = np.random.default_rng(seed)
    matrix = (rng.random((k, 5)) < density).astype(np.int8)
    runs = empty_runs(matrix)
    check_runs(runs)
    check_empty(runs, matrix)
    empty = {k for a, b in runs for k in range(a, b)}
    for first in range(0, k, 8):
        there = set(range(first, min(first + 8, k)))
        assert bool(there & empty) == (there <= empty) == (not matrix[sorted(there)].any())


def test_what_is_too_short_is_left():
    matrix = np.ones((24, 2), np.int8)
    matrix[4:16] = 0
    assert empty_runs(matrix) == ((8, 16),)
    matrix[9, 1] = 1
    assert empty_runs(matrix) == ()


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (((8,),), "a run in empty must be two features, not [8]"),
        (((8, 8),), "not 8 to 8 after 0"),
        (((-8, 8),), "not -8 to 8 after 0"),
        (((4, 16),), "from a multiple of 8 each, not 4 to 16 after 0"),
        (((0, 16), (16, 24)), "not 16 to 24 after 16"),
    ],
)
def test_runs_that_cannot_be_are_refused(runs, said):
    for entry in (DenseEntry, OutliersEntry):
        with pytest.raises(LayerError) as caught:
            entry(bits=4, kept=1, block=4, empty=runs)
        assert said in str(caught.value)


def test_runs_that_are_not_the_weights_are_named():
    matrix = np.ones((160, 2), np.int8)
    matrix[::32] = 0
    with pytest.raises(LayerError, match="^empty must be no features as the weights are, not 8 to"):
        check_empty(((8, 16),), matrix)
    matrix = np.where(np.arange(160)[:, None] // 8 % 2, np.int8(0), matrix)
    with pytest.raises(LayerError, match="8 to 16, 24 to 32, 40 to 48, 56 to 64 and 6 more as"):
        check_empty((), matrix)


def test_entries_find_them():
    weights = np.zeros((32, 2), np.int8)
    weights[8] = 1
    whole = Dense(weights, 2)
    assert DenseEntry.of(whole).term().empty == ((0, 8), (16, 32))
    sparse = Dense(weights, 2, pattern=SparsePattern(kept=1, block=4))
    assert DenseEntry.of(sparse).empty == ((0, 8), (16, 32))
    assert DenseEntry.of(Dense(weights, 2, half_step=True)).empty == ()
    with pytest.raises(LayerError, match="empty must hold no runs with half_step"):
        DenseEntry(bits=2, half_step=True, empty=((0, 8),))
