"""Directions of sketches: those in which outputs vary most."""

import numpy as np
import pytest

from summand.compress.decompose.directions import loud_channels, sketch_directions


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_sketches_span_what_outputs_depend_on(bits):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((400, 24)) * np.linspace(3, 0.1, 24)
    matrix = rng.standard_normal((24, 16)) * np.where(np.arange(24) % 2, 1, 1e-3)[:, None]
    found, unit = sketch_directions(matrix, inputs.T @ inputs, np.ones(16), 12, bits)
    assert found.min() >= -(1 << (bits - 1))
    assert found.max() <= (1 << (bits - 1)) - 1
    basis = np.linalg.qr(inputs @ (found * unit))[0]
    outputs = inputs @ matrix
    rest = outputs - basis @ (basis.T @ outputs)
    best = np.linalg.svd(outputs, compute_uv=False)[12:]
    assert np.linalg.norm(rest) < {2: 0.2, 4: 0.1, 8: 0.1}[bits] * np.linalg.norm(outputs)
    assert np.linalg.norm(rest) >= np.linalg.norm(best) * 0.99


def test_outputs_that_do_not_matter_are_not_looked_at():
    rng = np.random.default_rng(1)
    inputs, matrix = rng.standard_normal((300, 12)), rng.standard_normal((12, 8))
    weights = np.array([1.0, 1.0, 0, 0, 0, 0, 0, 0])
    found, unit = sketch_directions(matrix, inputs.T @ inputs, weights, 2, 8)
    outputs = inputs @ matrix[:, :2]
    basis = np.linalg.qr(inputs @ (found * unit))[0]
    rest = outputs - basis @ (basis.T @ outputs)
    assert np.linalg.norm(rest) < 0.1 * np.linalg.norm(outputs)


def test_channels_four_times_as_large_as_the_median_are_loud():
    squares = np.ones(64)
    squares[[9, 4, 33]] = 17, 400, 15
    assert loud_channels(squares) == (4, 9)


def test_one_channel_in_sixteen_is_loud_at_most_the_loudest():
    squares = np.ones(48)
    squares[[40, 7, 8, 9, 10]] = 90, 50, 70, 60, 80
    assert loud_channels(squares) == (8, 10, 40)
