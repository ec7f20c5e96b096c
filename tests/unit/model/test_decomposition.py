"""Decompositions by themselves, on the disk, and what a manifest may say of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from summand.model import Layer, ModelError, ModelWriter, SummandModel
from summand.model.decomposed import token_weights
from summand.model.decomposition import (
    EXACT,
    Decomposition,
    Requantisation,
    saved_bits,
    spans,
)
from summand.model.decompositions import (
    DECOMPOSITIONS,
    read_decompositions,
    write_decompositions,
)
from summand.summands.dense import Dense
from summand.summands.errors import LayerError

from .test_folder import edit_manifest


def made(names: tuple[str, ...] = ("a", "b"), outputs: tuple[int, ...] = (5, 3)) -> Decomposition:
    rng = np.random.default_rng(0)
    return Decomposition(
        layers=names,
        rank=4,
        span=100,
        steps=1,
        directions=rng.integers(-2, 2, (12, 6)).astype(np.int8),
        scale=rng.uniform(0.1, 2, 6).astype(np.float32),
        sketch_bits=2,
        token_bits=4,
        bits=5,
        requantisations=tuple(Requantisation.of(rng.uniform(1, 99, n)) for n in outputs),
    )


def hosting_b() -> Decomposition:
    """Return one whose outputs of ``b`` are put together by the host."""
    plain = made()
    return replace(plain, requantisations=(plain.requantisations[0], None))


@given(st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=20))
def test_a_requantisation_has_the_unit_that_it_is_made_for(units):
    found = Requantisation.of(np.array(units)).unit
    assert np.allclose(found, units, rtol=2**-15)


@given(st.integers(0, 3000), st.integers(1, 700))
def test_spans_hold_each_token_once_but_the_first_ones(tokens, most):
    found = [token for span in spans(tokens, most) for token in span]
    assert found == list(range(EXACT, tokens))
    sizes = {len(span) for span in spans(tokens, most)}
    assert not sizes or (max(sizes) <= most and max(sizes) - min(sizes) <= 1)


def test_what_is_saved_is_what_is_streamed_less():
    saved = made().saved(bits=12 * 8 * 8, tokens=50)
    sketch, product, expansion = 12 * 6 * 2, 4 * 12 * 4, 4 * 8 * 5
    assert saved == pytest.approx(768 - 768 * 4 / 50 - sketch - product - expansion)
    assert saved == saved_bits(
        bits=768, shape=(12, 8), rank=4, sketches=6, steps=1, planes=(2, 4, 5), tokens=50
    )
    twice = replace(made(), steps=2).saved(bits=12 * 8 * 8, tokens=50)
    assert saved - twice == 2 * 12 * 4
    assert hosting_b().saved(bits=12 * 8 * 8, tokens=50) - saved == 4 * 3 * 5


@given(st.integers(1, 8), st.integers(4, 10), st.integers(0, 1 << 20))
def test_tokens_as_weights_are_the_nearest(bits, act_bits, seed):
    limit = (1 << (act_bits - 1)) - 1
    xq = np.random.default_rng(seed).integers(-limit, limit + 1, (3, 7))
    weights, unit = token_weights(xq, bits, act_bits)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    assert weights.min() >= low
    assert weights.max() <= high
    off = np.abs(xq - weights.astype(int) * unit)
    assert (off[(weights > low) & (weights < high)] <= unit / 2).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rank": 0}, "rank must be at least 1, not 0"),
        ({"rank": 7}, "rank must be at most 6, 6 directions for each of 1 steps, not 7"),
        ({"rank": 13, "steps": 2}, "rank must be at most 12"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"span": 0}, "span must be at least 1, not 0"),
        ({"bits": 9}, "bits must be 1 to 8, not 9"),
        ({"sketch_bits": 1}, "to fit sketch_bits 1"),
        ({"scale": np.zeros(6, np.float32)}, "scale must be finite and positive"),
        ({"scale": np.ones(5, np.float32)}, r"scale must be float32 of shape \(6,\)"),
        ({"loud": (3, 3)}, r"loud must ascend within the 12 input features, not \(3, 3\)"),
        ({"loud": (-1,)}, "loud must ascend"),
        ({"loud": (12,)}, "loud must ascend"),
        ({"layers": ("a",)}, "requantisations must be of 1 layers, not of 2"),
    ],
)
def test_what_does_not_fit_is_refused(changes, said):
    with pytest.raises(LayerError, match=said):
        replace(made(), **changes)


@pytest.mark.parametrize(
    ("mult", "shift", "said"),
    [
        (np.ones(2, np.uint16), np.array([0, 1], np.uint8), "shift must be 1 to 47, not 0 to 1"),
        (np.array([0, 1], np.uint16), np.ones(2, np.uint8), "mult must be at least 1"),
        (np.ones(2, np.int16), np.ones(2, np.uint8), "mult must be uint16"),
        (np.ones(2, np.uint16), np.ones(3, np.uint8), r"shift must be uint8 of shape \(2,\)"),
    ],
)
def test_a_requantisation_that_is_none_is_refused(mult, shift, said):
    with pytest.raises(LayerError, match=said):
        Requantisation(mult, shift)


@pytest.fixture
def folder(tmp_path):
    return written(tmp_path / "m", made())


def written(path: Path, of: Decomposition) -> Path:
    """Write a model with a decomposition."""
    rng = np.random.default_rng(1)
    with ModelWriter(path) as writer:
        for name, n in (("a", 5), ("b", 3), ("c", 4)):
            weights = rng.integers(-8, 8, (12, n)).astype(np.int8)
            writer.add(Layer(name, 12, n, 8, (Dense(weights, 4),), np.ones(n, np.float32)))
        writer.finish(
            groups=[["a", "b"], ["c"]],
            decompositions=[of],
            source={"kind": "module"},
            options={},
        )
    return path


def test_a_decomposition_survives_the_disk(folder):
    (found,) = SummandModel(folder).decompositions()
    want = made()
    assert (found.layers, found.rank, found.span, found.bits) == (("a", "b"), 4, 100, 5)
    assert (found.directions == want.directions).all()
    assert (found.scale == want.scale).all()
    assert parameters(found) == parameters(want)


def parameters(of: Decomposition) -> list[tuple[list[int], list[int]] | None]:
    """Return the requantisations as numbers that can be compared."""
    return [by and (by.mult.tolist(), by.shift.tolist()) for by in of.requantisations]


def test_what_the_host_puts_together_survives_the_disk(tmp_path):
    folder = SummandModel(written(tmp_path / "m", hosting_b()))
    (entry,) = folder.manifest.decompositions
    assert entry.hosted == ("b",)
    (found,) = folder.decompositions()
    assert found.hosted == (1,)
    assert parameters(found) == parameters(hosting_b())


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda d: d[0].update(layers=["a"]), "decompositions must name a group of layers each"),
        (lambda d: d.append(dict(d[0])), "and none twice"),
        (lambda d: d[0].update(rank=0), "rank must be 1 to"),
        (lambda d: d[0].update(bits=9), "bits must be 1 to 8, not 9"),
        (lambda d: d[0].pop("span"), "has no field span"),
        (lambda d: d[0].update(hosted=["c"]), "hosted must name some of the layers, each once"),
        (lambda d: d[0].update(hosted=["b", "b"]), "each once, not 'b'"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(folder, edit, said):
    edit_manifest(folder, lambda raw: edit(raw["decompositions"]))
    with pytest.raises(ModelError, match=said):
        SummandModel(folder)


def test_loud_channels_survive_the_disk(tmp_path):
    (found,) = SummandModel(written(tmp_path / "m", replace(made(), loud=(0, 7)))).decompositions()
    assert found.loud == (0, 7)


@pytest.mark.parametrize(
    ("loud", "said"),
    [
        (np.zeros((1, 1), np.int32), "loud must have one axis, not 2"),
        (np.array([12], np.int32), "loud must ascend within the 12 input features"),
        (np.array([1], np.int64), "tensor a.loud must be I32, not I64"),
    ],
)
def test_loud_channels_that_are_none_are_refused_with_the_file(tmp_path, loud, said):
    (entry,) = write_decompositions([made()], tmp_path)
    file = tmp_path / DECOMPOSITIONS
    save_file(load_file(file) | {"a.loud": loud}, file)
    with pytest.raises(ModelError, match=f"{DECOMPOSITIONS}: {said}.*; again"):
        read_decompositions(file, [entry], "again")


def test_a_rank_above_the_directions_is_refused_with_the_file(folder):
    edit_manifest(folder, lambda raw: raw["decompositions"][0].update(rank=7))
    with pytest.raises(ModelError, match=f"{DECOMPOSITIONS}: rank must be at most 6"):
        SummandModel(folder).decompositions()


def test_a_missing_file_is_refused(folder):
    edit_manifest(folder, lambda raw: raw["files"].pop(DECOMPOSITIONS))
    with pytest.raises(ModelError, match=f"files must list {DECOMPOSITIONS}"):
        SummandModel(folder)
