import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from summand.cycles import read_commands
from summand.isa import ConfigError, EngineConfig
from summand.isa.limits import SEGMENTS
from summand.model import Layer
from summand.runtime import Driver, GoldenDevice, compile_layers
from summand.schedule.errors import CompileError
from summand.schedule.plan import plan
from summand.schedule.steps import Fetch, Input, PlanStep, Walk
from summand.schedule.tiling import Bundle, Tiling
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank

from .conftest import make_layer


def powers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.sampled_from([1 << i for i in range(high.bit_length()) if low <= 1 << i <= high])


@st.composite
def configs(draw: st.DrawFn) -> EngineConfig:
    """Small engines of every shape."""
    try:
        return EngineConfig(
            rows=draw(st.integers(1, 4)),
            cols=draw(powers(1, 32)),
            depth=draw(powers(8, 32)),
            stream_bits=draw(powers(32, 128)),
            act_bits=draw(st.integers(4, 10)),
            acc_depth=draw(powers(16, 64)),
            act_depth=draw(powers(2, 16)),
            requant_depth=draw(powers(16, 64)),
            shift=draw(st.integers(0, 4)),
            scale_bits=draw(st.sampled_from([0, 2, 6])),
            half_steps=draw(st.booleans()),
            limb_bits=draw(st.sampled_from([0, 4, 8])),
        )
    except ConfigError:
        assume(False)
        raise


def random_tokens(config: EngineConfig, tokens: int, k: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(config.act_min, config.act_max + 1, (tokens, k))


def check_exact(config: EngineConfig, layers: list[Any], x: np.ndarray) -> None:
    program = compile_layers(layers, config)
    result = Driver(GoldenDevice(config)).run(program, x)
    for layer, acc in zip(layers, result.outputs, strict=True):
        np.testing.assert_array_equal(acc, layer.accumulate(x), err_msg=layer.name)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_engine_computes_what_the_layers_mean(data, make_layer):
    config = data.draw(configs(), "config")
    k = data.draw(st.integers(1, 200), "k")
    groups = st.sampled_from([0, 1, 2, 3, 4])
    layers = []
    for i in range(data.draw(st.integers(1, 5), "layers")):
        bits = data.draw(st.integers(0, 8), f"bits {i}")
        layers.append(
            make_layer(
                config,
                name=f"l{i}",
                k=k,
                n=data.draw(st.integers(1, 150), f"n {i}"),
                bits=bits,
                rank=data.draw(st.integers(not bits, 70), f"rank {i}"),
                rank_bits=data.draw(st.integers(1, 8), f"rank bits {i}"),
                group=config.depth * data.draw(groups, f"group {i}") if config.scale_bits else 0,
                half_step=config.half_steps and data.draw(st.booleans(), f"half-step {i}"),
                seed=i,
            )
        )
    ranked = any(layer.sizes.factored for layer in layers)
    assume(not ranked or -(-config.cols // config.depth) < config.act_depth)
    assume(all(layer.acc_bits <= config.acc_bits for layer in layers))
    tokens = data.draw(st.integers(0, 6), "tokens")
    check_exact(config, layers, random_tokens(config, tokens, k, seed=7))


@pytest.mark.parametrize(
    ("what", "k", "n", "rank"),
    [
        ("all fits", 40, 40, 12),
        ("K beyond the activation memory", 300, 40, 0),
        ("N beyond the accumulators", 40, 300, 0),
        ("N and K", 300, 300, 12),
        ("ranks beyond half the activation memory", 20, 30, 100),
        ("everything at once", 300, 300, 200),
    ],
)
def test_what_does_not_fit_is_tiled(what, k, n, rank, config, make_layer):
    layers = [
        make_layer(config, name="a", k=k, n=n, rank=rank),
        make_layer(config, name="b", k=k, n=n + 3, bits=2),
        make_layer(config, name="c", k=k, n=n, bits=0, rank=rank or 5),
    ]
    check_exact(config, layers, random_tokens(config, 5, k, seed=1))


@pytest.mark.parametrize(("k", "n"), [(40, 40), (300, 40), (300, 300)])
def test_groups_of_several_sizes_share_a_walk(k, n, config, make_layer):
    """Scales are sent as often as the layer with the smallest groups needs, where walks are cut."""
    scaling = dataclasses.replace(config, scale_bits=5)
    layers = [
        make_layer(scaling, name="a", k=k, n=n, group=32),
        make_layer(scaling, name="b", k=k, n=n + 3, bits=2, group=48),
        make_layer(scaling, name="c", k=k, n=n, rank=6, group=64),
        make_layer(scaling, name="d", k=k, n=n, bits=3),
    ]
    check_exact(scaling, layers, random_tokens(scaling, 5, k, seed=1))


@settings(max_examples=60, deadline=None)
@given(configs(), st.data())
def test_any_number_of_summands(config, data):
    """Those behind the first direct one have walks of their own, and intermediates of their own."""
    k = data.draw(st.integers(1, 90), "K")
    layers = []
    for i in range(data.draw(st.integers(1, 3), "layers")):
        n = data.draw(st.integers(1, 90), f"n {i}")
        summands: list[Any] = []
        kinds = data.draw(st.lists(st.booleans(), min_size=1, max_size=4), f"direct {i}")
        for j, direct in enumerate(sorted(kinds, reverse=True)):
            rank = 0 if direct else data.draw(st.integers(1, 40), f"rank {i}.{j}")
            group = config.depth * data.draw(st.integers(0, 2), f"group {i}.{j}")
            made = make_layer(
                config,
                k=k,
                n=n,
                bits=2 + j if direct else 0,
                rank=rank,
                rank_bits=3,
                group=group if config.scale_bits else 0,
                half_step=config.half_steps and data.draw(st.booleans(), f"half-step {i}.{j}"),
                seed=4 * i + j,
            )
            shift = config.shift * (j > 0 and data.draw(st.booleans(), f"shift {i}.{j}"))
            (summand,) = made.summands
            assert isinstance(summand, Dense | LowRank)
            summands.append(dataclasses.replace(summand, acc_shift=shift))
        made = make_layer(config, name=f"l{i}", k=k, n=n)
        layers.append(dataclasses.replace(made, summands=tuple(summands)))
    ranked = any(layer.sizes.factored for layer in layers)
    assume(not ranked or -(-config.cols // config.depth) < config.act_depth)
    assume(all(layer.acc_bits <= config.acc_bits for layer in layers))
    tokens = data.draw(st.integers(1, 5), "tokens")
    check_exact(config, layers, random_tokens(config, tokens, k, seed=7))


def steps_of(layers: list[Any], config: EngineConfig) -> tuple[PlanStep, ...]:
    """Return the steps of one token."""
    (batch,) = compile_layers(layers, config).schedule(1)
    return tuple(step.plan for step in batch.steps)


def count(steps: tuple[PlanStep, ...], kind: type) -> int:
    return sum(isinstance(step, kind) for step in steps)


def test_one_walk_serves_all_widths_and_first_factors(roomy, make_layer):
    layers = [
        make_layer(roomy, name="q", bits=4, rank=16),
        make_layer(roomy, name="k", bits=3, rank=16),
        make_layer(roomy, name="v", bits=8),
    ]
    sizes = [layer.sizes for layer in layers]
    tiling = Tiling.of(sizes, roomy)
    steps = plan(sizes, tiling, tiling.passes([tiling.total]), roomy)
    assert [type(step) for step in steps] == [Input, Walk, Bundle, Walk, Walk, Fetch]
    walk = steps[1]
    assert isinstance(walk, Walk)
    # The two first factors have one width and adjacent tiles, so they are one segment.
    assert [(s.planes, s.tiles) for s in walk.segments] == [(4, 5), (3, 5), (8, 5), (4, 8)]
    assert all(s.clear for s in walk.segments)


def test_intermediates_that_fit_a_slice_share_it_and_its_walk(roomy, make_layer):
    layers = [make_layer(roomy, name=n, rank=rank) for n, rank in (("q", 6), ("k", 5), ("v", 3))]
    steps = steps_of(layers, roomy)
    # Ranks fill whole tiles of four columns: two, two and one, a slice of 16 and a little more.
    written = [(s.tiles, s.to_slice) for s in steps if isinstance(s, Bundle)]
    assert written == [(5, 62)]
    read = {
        s.from_slice: {(seg.planes, seg.shift) for seg in s.segments}
        for s in steps
        if isinstance(s, Walk) and s.from_slice >= 62
    }
    assert read == {62: {(4, True)}, 63: {(4, True)}}


def test_intermediates_outlive_the_pass_that_makes_them(config, make_layer):
    layer = make_layer(config, k=16, n=200, rank=16)
    steps = steps_of([layer], config)
    assert (count(steps, Bundle), count(steps, Input)) == (1, 1)
    fetches = [step for step in steps if isinstance(step, Fetch)]
    assert sum(fetch.tiles for fetch in fetches) == 50
    # Passes alternate between the halves of the accumulators.
    halves = [fetch.tile // 6 for fetch in fetches]
    assert halves[:8] == [0, 1, 0, 1, 0, 1, 0, 1]


def test_batches_take_turns_in_the_accumulators(roomy, make_layer):
    program = compile_layers([make_layer(roomy, n=200)], roomy)
    batches = program.schedule(9)
    assert [batch.rows for batch in batches] == [2, 2, 2, 2, 1]
    first = [b.fetches[0][1].tile for b in batches]
    assert first == [0, 512, 0, 512, 0]
    assert batches[0].plane_words == batches[1].plane_words == batches[-1].plane_words


def test_passes_of_a_batch_that_others_follow_leave_half_of_the_accumulators(roomy, make_layer):
    program = compile_layers([make_layer(roomy, n=4 * 900)], roomy)
    stores = [[f.tiles for _, f in batch.fetches] for batch in program.schedule(6)]
    assert stores[:2] == [[450, 450], [450, 450]]
    assert sum(stores[2]) == 900
    assert len(program.schedule(1)[0].fetches) > 1


def test_no_tokens_make_no_batch(roomy, make_layer):
    assert compile_layers([make_layer(roomy)], roomy).schedule(0) == ()


def test_only_the_first_low_rank_walk_shifts(config, make_layer):
    layer = make_layer(config, k=16, n=16, rank=100)
    assert len(Tiling.of([layer.sizes], config).rounds) > 1
    shifted = [
        (s.tile, s.tiles)
        for step in steps_of([layer], config)
        if isinstance(step, Walk)
        for s in step.segments
        if s.shift
    ]
    assert sorted(t for tile, tiles in shifted for t in range(tile, tile + tiles)) == [0, 1, 2, 3]


def test_more_segments_than_a_gemm_may_have(roomy, make_layer):
    count = 2 * SEGMENTS.high + 3
    layers = [make_layer(roomy, name=f"l{i}", bits=1 + i % 2, seed=i) for i in range(count)]
    sizes = [layer.sizes for layer in layers]
    tiling = Tiling.of(sizes, roomy)
    steps = plan(sizes, tiling, tiling.passes([tiling.total]), roomy)
    assert [len(s.segments) for s in steps if isinstance(s, Walk)] == [16, 16, 3]
    check_exact(roomy, layers, random_tokens(roomy, 3, 24, seed=2))


def test_plane_words_are_the_same_object_for_every_token(roomy, make_layer):
    program = compile_layers([make_layer(roomy, rank=8)], roomy)
    weights = [s.payload for s in program.schedule(1)[0].steps if isinstance(s.plan, Walk)]
    for seed in range(2):
        (batch,) = program.schedule(1)
        sent = program.chunks(batch, random_tokens(roomy, 1, 24, seed))
        assert all(any(chunk is w for chunk in sent) for w in weights)


def test_batches_share_their_plane_words(roomy, make_layer):
    program = compile_layers([make_layer(roomy, n=80, rank=8)], roomy)
    first, second, *_ = program.schedule(9)
    assert first.steps != second.steps
    for a, b in zip(first.steps, second.steps, strict=True):
        if isinstance(a.plan, Walk):
            assert isinstance(b.plan, Walk)
            assert a.payload is b.payload


def test_stream_holds_the_weights_and_little_else(roomy, make_layer):
    layer = make_layer(roomy, k=64, n=256, bits=4)
    program = compile_layers([layer], roomy)
    (batch,) = program.schedule(1)
    assert batch.plane_words * roomy.plane_bits == layer.bits
    assert program.macs == 64 * 256
    usage = Driver(GoldenDevice(roomy)).run(program, random_tokens(roomy, 1, 64, 0)).usage
    loaded = 64 // roomy.beat_elems
    headers = (len(batch.steps) + 1) * roomy.header_beats  # and a FENCE
    tables = count(tuple(step.plan for step in batch.steps), Walk)
    assert usage.beats == batch.plane_words * roomy.plane_beats + loaded + headers + tables
    assert usage.stream_bits == usage.beats * roomy.stream_bits


def test_the_law_knows_a_batch_as_the_stream_tells_it(config, make_layer):
    program = compile_layers([make_layer(config, k=70, n=90, rank=20)], config)
    for batch in program.schedule(7):
        sent = program.chunks(batch, random_tokens(config, batch.rows, 70, seed=1))
        assert list(batch.commands()) == list(read_commands(sent, config))


def test_group_is_named_after_its_layers(roomy, make_layer):
    def name(*names):
        return compile_layers([make_layer(roomy, name=n) for n in names], roomy).name

    assert name("model.q_proj") == "model.q_proj"
    assert name("model.q_proj", "model.k_proj") == "model.q_proj+k_proj"
    assert name("a.x", "b.x") == "a.x+b.x"
    assert name("x", "y") == "x+y"


def shifted(layer: Layer, acc_shift: int) -> Layer:
    """Return a layer whose last summand is behind a shift of the sum."""
    *rest, last = layer.summands
    assert isinstance(last, LowRank)
    return dataclasses.replace(
        layer, summands=(*rest, dataclasses.replace(last, acc_shift=acc_shift))
    )


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            lambda layer: dataclasses.replace(layer, act_bits=9),
            ["activations of 9 bits", "act_bits is 8"],
        ),
        (lambda layer: shifted(layer, 5), ["acc_shift 5", "shift is 3"]),
    ],
)
def test_model_packed_for_another_engine(change, names, config, make_layer):
    layer = change(make_layer(config, name="mlp.up", rank=8))
    with pytest.raises(CompileError) as e:
        compile_layers([layer], config)
    assert all(text in str(e.value) for text in ["'mlp.up'", "compress it again", *names])


def test_no_shift_on_an_engine_that_has_one(config, make_layer):
    layer = shifted(make_layer(config, rank=8), 0)
    check_exact(config, [layer], random_tokens(config, 3, 24, seed=3))


def test_accumulators_that_could_overflow(config, make_layer):
    narrow = dataclasses.replace(config, acc_bits=20)
    with pytest.raises(CompileError, match=r"can need \d+ bits, but the engine's acc_bits is 20"):
        compile_layers([make_layer(narrow, k=300, bits=8)], narrow)


def test_intermediates_of_one_tile_beyond_the_activation_memory(make_layer):
    config = EngineConfig(rows=1, cols=64, depth=8, stream_bits=32, act_depth=8, acc_depth=16)
    with pytest.raises(CompileError, match="act_depth of at least 9"):
        compile_layers([make_layer(config, rank=4)], config)
    check_exact(config, [make_layer(config, k=100)], random_tokens(config, 2, 100, seed=4))


def test_layers_that_cannot_share_an_input(config, make_layer):
    layers = [make_layer(config, name="a"), make_layer(config, name="b", k=25)]
    with pytest.raises(CompileError, match="'b'.* 25 input features.*'a', which has 24"):
        compile_layers(layers, config)
    with pytest.raises(CompileError, match="at least one layer"):
        compile_layers([], config)


def test_group_scales_that_the_engine_cannot_take_are_refused(roomy, make_layer):
    scaling = dataclasses.replace(roomy, scale_bits=6)
    layer = make_layer(scaling, k=64, group=32)
    with pytest.raises(CompileError, match="have 6 bits, but the engine's scale_bits is 0"):
        compile_layers([layer], roomy)
    deeper = dataclasses.replace(scaling, depth=64)
    with pytest.raises(CompileError, match="32 input features, which is no multiple of .* 64"):
        compile_layers([layer], deeper)
