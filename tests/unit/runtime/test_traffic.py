"""Counted bytes are the bytes that are sent."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.model import LayerEntry, Manifest
from summand.model.engine import engine_of, model_traffic
from summand.runtime import compile_layers
from summand.schedule.errors import CompileError
from summand.schedule.fit import DEFAULT_CONFIG
from summand.schedule.traffic import Traffic, group_traffic
from summand.summands.dense import DenseEntry
from summand.summands.lowrank import LowRankEntry

from .conftest import make_layer

SMALL = EngineConfig(
    rows=2, cols=4, depth=16, stream_bits=64, acc_depth=16, act_depth=4, shift=3, scale_bits=5
)
ROOMY = dataclasses.replace(SMALL, acc_depth=1024, act_depth=64, stream_bits=32)


def layers(config, shapes):
    return [
        make_layer(config, name=f"m.{i}", k=40, n=n, bits=bits, rank=rank, group=group, seed=i)
        for i, (n, bits, rank, group) in enumerate(shapes)
    ]


shapes = st.lists(
    st.tuples(
        st.integers(1, 60),
        st.integers(1, 6),
        st.sampled_from([0, 0, 3, 20]),
        st.sampled_from([0, 16, 32]),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=40, deadline=None)
@given(shapes, st.sampled_from([SMALL, ROOMY]), st.integers(1, 2))
def test_every_byte_is_counted(shapes, config, rows):
    found = layers(config, shapes)
    program = compile_layers(found, config)
    (batch,) = program.schedule(rows)
    sent = b"".join(program.chunks(batch, np.zeros((rows, 40), np.int16)))
    traffic = group_traffic([layer.sizes for layer in found], config, rows=rows)
    assert traffic.total == 8 * len(sent)
    assert sum(traffic.in_bytes().values()) == len(sent)
    assert traffic.weights == traffic.total - traffic.activations
    words = batch.plane_words * config.plane_beats * config.beat_bytes
    assert traffic.planes + traffic.factors == 8 * words


def test_what_each_part_is():
    """Counts by hand: 3 slices of 16, 5 tiles of 4, words of 64 bits."""
    (layer,) = layers(SMALL, [(20, 3, 2, 16)])
    traffic = group_traffic([layer.sizes], dataclasses.replace(SMALL, acc_depth=64))
    assert traffic.planes == 3 * 5 * 3 * 64
    # 64 // (4 * 5) tiles' scales in a beat: two beats for each of three groups
    assert traffic.scales == 3 * 2 * 64
    # A: 3 slices, a tile; B: a slice, 5 tiles; both of 4 bits
    assert traffic.factors == 3 * 1 * 4 * 64 + 1 * 5 * 4 * 64
    assert traffic.requantisations == 4 * 32
    assert traffic.activations == 3 * 128


def entry(name, bits=4, *, act_bits=8, low_rank=None, **dense):
    summands = [DenseEntry(bits=bits, **dense)]
    if low_rank is not None:
        summands.append(low_rank)
    return LayerEntry(
        name=name,
        in_features=40,
        out_features=20,
        act_bits=act_bits,
        summands=tuple(summands),
        acc_bits=20,
        bias=False,
        balance=False,
        rotation=None,
        borders=(),
        centre=False,
        bits=3200,
        error=None,
    )


def manifest(*entries):
    groups = tuple((e.name,) for e in entries)
    return Manifest(
        source={},
        options={},
        layers=entries,
        groups=groups,
        split=(),
        decompositions=(),
        host=(),
        aliases={},
        files={},
    )


def test_a_model_is_the_sum_of_its_groups():
    one, two = entry("a"), entry("b", 2, low_rank=LowRankEntry(rank=4, a_bits=4, b_bits=4))
    parts = [model_traffic(manifest(e), SMALL) for e in (one, two)]
    assert model_traffic(manifest(one, two), SMALL) == parts[0] + parts[1]
    assert parts[1].factors > parts[0].factors == 0


def test_the_engine_fits_the_model():
    found = engine_of(manifest(entry("a"), entry("b", group=32, scale_bits=6, act_bits=8)))
    assert (found.depth, found.scale_bits, found.act_bits) == (32, 6, 8)
    assert found.plane_bits == DEFAULT_CONFIG.plane_bits
    assert found.act_depth * found.depth == DEFAULT_CONFIG.act_depth * DEFAULT_CONFIG.depth
    assert engine_of(manifest(entry("a"))) == DEFAULT_CONFIG
    shifted = LowRankEntry(rank=4, a_bits=4, b_bits=4, acc_shift=6)
    assert engine_of(manifest(entry("a", low_rank=shifted))).shift == 6


@pytest.mark.parametrize("group", [8, 16, 24, 48, 128])
@pytest.mark.parametrize("act_bits", [8, 10])
def test_an_engine_is_found_for_short_groups(group, act_bits):
    found = engine_of(manifest(entry("a", group=group, scale_bits=8, act_bits=act_bits)))
    assert group % found.depth == 0
    assert model_traffic(manifest(entry("a", group=group, scale_bits=8)), found).scales


def test_groups_that_no_engine_has_are_named():
    with pytest.raises(CompileError, match="group 12 fits no engine: .* a multiple of 8 as group"):
        engine_of(manifest(entry("a"), entry("b", group=12, scale_bits=4)))


def test_parts_add_up():
    one = Traffic(planes=1, scales=2, factors=3, requantisations=4, headers=5, activations=6)
    assert one.total == 21
    assert (one + one).weights == 30
    with pytest.raises(AttributeError):
        one + 3  # type: ignore[operator]
