"""Prompts by way of pseudo-tokens, on the golden engine: the integers that they stand for."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.decompose import Decomposer
from summand.decompose.programs import Programs
from summand.isa import EngineConfig
from summand.isa.commands import Cast
from summand.model import ChannelGroups, Layer, Transform
from summand.model.decomposed import decomposed, exact, pseudo_tokens
from summand.model.decomposition import EXACT, Decomposition, Requantisation
from summand.runtime import Driver, GoldenDevice, compile_layers
from summand.schedule.errors import CompileError
from summand.schedule.operand import OperandTiling
from summand.summands.dense import Dense
from summand.summands.errors import LayerError
from summand.summands.lowrank import LowRank

#: Memories are too small for most of what is drawn.
ENGINE = EngineConfig(
    rows=3,
    cols=4,
    depth=16,
    stream_bits=64,
    acc_depth=32,
    act_depth=16,
    requant_depth=16,
    shift=3,
    operand_depth=256,
)


def layers_of(rng: np.random.Generator, k: int, outputs: tuple[int, ...]) -> list[Layer]:
    """Return random layers, some with a low-rank summand."""

    def matrix(*shape: int) -> np.ndarray:
        return rng.integers(-8, 8, shape).astype(np.int8)

    found = []
    for i, n in enumerate(outputs):
        rest = LowRank(
            a=matrix(k, 5),
            a_bits=4,
            b=matrix(5, n),
            b_bits=4,
            mult=np.full(5, 40000, np.uint16),
            shift=np.full(5, 20, np.uint8),
            acc_shift=3,
        )
        summands = (Dense(matrix(k, n), 4), rest)[: 1 + int(rng.integers(2))]
        scale = rng.uniform(1e-3, 1e-2, n).astype(np.float32)
        found.append(Layer(f"x.{i}", k, n, 8, summands, scale))
    return found


def decomposition(
    rng: np.random.Generator,
    layers: list[Layer],
    rank: int,
    span: int,
    x: np.ndarray,
    *,
    steps: int = 1,
) -> Decomposition:
    """Return one with units that suit the tokens ``x``."""
    k, sketches = layers[0].in_features, -(-rank // steps) + int(rng.integers(4))
    of = Decomposition(
        layers=tuple(layer.name for layer in layers),
        rank=rank,
        span=span,
        steps=steps,
        directions=rng.integers(-4, 4, (k, sketches)).astype(np.int8),
        scale=rng.uniform(0.5, 2, sketches).astype(np.float32),
        sketch_bits=3,
        token_bits=int(rng.integers(3, 9)),
        bits=int(rng.integers(3, 9)),
        requantisations=tuple(Requantisation.of(np.ones(n.out_features)) for n in layers),
    )
    rows = pseudo_tokens(*layers[0].quantise(x), of, 8, exact).rows
    units = [
        np.sqrt(np.square(layer.accumulate(rows).astype(float)).mean(axis=0) + 1) * 8 / 2**of.bits
        for layer in layers
    ]
    return replace(of, requantisations=tuple(map(Requantisation.of, units)))


def units_of(of: Decomposition) -> list[np.ndarray]:
    """Return the units of what layers' products are rounded to."""
    return [by.unit for by in of.requantisations if by is not None]


def hosting(of: Decomposition, places: Collection[int]) -> Decomposition:
    """Return one whose layers at some places are put together by the host."""
    kept = (None if i in places else by for i, by in enumerate(of.requantisations))
    return replace(of, requantisations=tuple(kept))


def prompt(rng: np.random.Generator, tokens: int, k: int, rank: int) -> np.ndarray:
    """Return tokens of about a rank."""
    whole = rng.standard_normal((tokens, rank)) @ rng.standard_normal((rank, k))
    return (whole + 0.02 * rng.standard_normal((tokens, k))).astype(np.float32)


@given(st.integers(0, 1 << 30))
@settings(max_examples=25)
def test_outputs_are_those_of_the_integer_meaning(seed):
    rng = np.random.default_rng(seed)
    k, rank = int(rng.integers(8, 100)), int(rng.integers(1, 40))
    outputs = tuple(int(n) for n in rng.integers(1, 90, rng.integers(1, 4)))
    layers = layers_of(rng, k, outputs)
    x = prompt(rng, EXACT + int(rng.integers(1, 90)), k, int(rng.integers(1, 20)))
    span, steps = int(rng.integers(20, 100)), int(rng.integers(1, 4))
    of = decomposition(rng, layers, rank, span, x[EXACT:], steps=steps)
    of = hosting(of, [i for i in range(len(outputs)) if rng.integers(2)])
    loud = rng.permutation(k)[: rng.integers(4)]
    x[:, loud] *= 100
    of = replace(of, loud=tuple(sorted(loud.tolist())))
    with Driver(GoldenDevice(ENGINE)) as driver:
        found = Decomposer(driver, layers, compile_layers(layers, ENGINE), of).rows(x)
    for got, want in zip(found, decomposed(layers, of, x), strict=True):
        assert (got == want).all()


def test_outputs_of_tokens_of_low_rank_are_near_those_of_all_tokens():
    rng = np.random.default_rng(3)
    layers = layers_of(rng, 96, (40, 24))
    x = prompt(rng, 120, 96, 10)
    drawn = decomposition(rng, layers, 16, 120, x)
    finer = [Requantisation.of(unit * 2.0 ** (drawn.bits - 8)) for unit in units_of(drawn)]
    of = replace(drawn, token_bits=8, bits=8, requantisations=tuple(finer))
    found = decomposed(layers, of, x)
    for layer, y in zip(layers, found, strict=True):
        want = layer.forward(x)
        assert (y[:EXACT] == want[:EXACT]).all()
        assert np.linalg.norm(y - want) < 0.1 * np.linalg.norm(want)


@given(st.integers(0, 1 << 30))
@settings(max_examples=25)
def test_what_the_host_puts_together_is_what_is_not_rounded(seed):
    rng = np.random.default_rng(seed)
    (layer,) = layers = layers_of(rng, 48, (20,))
    x = prompt(rng, EXACT + 40, 48, 10)
    drawn = decomposition(rng, layers, 12, 40, x[EXACT:])
    pseudo = pseudo_tokens(*layer.quantise(x[EXACT:]), drawn, 8, exact)
    products = layer.accumulate(pseudo.rows)
    by = Requantisation.of(np.abs(products).max(axis=0) / 100 + 1)  # nothing saturates
    rounded = replace(drawn, bits=8, requantisations=(by,))
    (want,) = decomposed(layers, rounded, x)
    with Driver(GoldenDevice(ENGINE)) as driver:
        whole = hosting(rounded, {0})
        (found,) = Decomposer(driver, layers, compile_layers(layers, ENGINE), whole).rows(x)
    assert (found[:EXACT] == want[:EXACT]).all()
    steps = np.abs(pseudo.tokens).sum(axis=1, keepdims=True) * pseudo.scale * by.unit * layer.scale
    off = np.abs(found - want)[EXACT:]
    assert (off <= steps * 0.5001 + 1e-5 * np.abs(want[EXACT:])).all()
    assert off.any()


def test_loud_channels_that_go_around_leave_the_others_their_bits():
    rng = np.random.default_rng(10)
    layers = layers_of(rng, 96, (40,))
    weights = layers[0].matrix().astype(np.float32)
    x = prompt(rng, EXACT + 120, 96, 10)
    x[:, [3, 50]] *= 100
    quiet = x.copy()
    quiet[:, [3, 50]] = 0
    drawn = decomposition(rng, layers, 16, 120, quiet[EXACT:])
    drawn = replace(hosting(drawn, {0}), token_bits=4)
    want = x @ weights

    def error(of: Decomposition) -> float:
        (found,) = decomposed(layers, of, x)
        off = (found - want)[EXACT:]
        return float(np.linalg.norm(off) / np.linalg.norm((quiet @ weights)[EXACT:]))

    assert error(replace(drawn, loud=(3, 50))) < 0.3
    assert error(drawn) > 1


def test_loud_channels_alone_are_exact():
    rng = np.random.default_rng(11)
    layers = layers_of(rng, 32, (12, 9))
    layers = [replace(layer, summands=layer.summands[:1]) for layer in layers]
    x = np.zeros((EXACT + 30, 32), np.float32)
    x[:, [0, 31]] = rng.standard_normal((len(x), 2))
    of = decomposition(rng, layers, 8, 40, prompt(rng, 40, 32, 4))
    with Driver(GoldenDevice(ENGINE)) as driver:
        program = compile_layers(layers, ENGINE)
        found = Decomposer(driver, layers, program, replace(of, loud=(0, 31))).rows(x)
    for layer, y in zip(layers, found, strict=True):
        assert np.allclose(y, layer.forward(x), rtol=1e-6, atol=0)


def test_the_host_needs_no_operand_memory_for_what_it_puts_together():
    rng = np.random.default_rng(8)
    layers = layers_of(rng, 64, (30, 20))
    x = prompt(rng, 60, 64, 4)
    of = decomposition(rng, layers, 8, 60, x)
    engine = replace(ENGINE, operand_depth=0)
    program = compile_layers(layers, engine)
    with Driver(GoldenDevice(engine)) as driver:
        found = Decomposer(driver, layers, program, hosting(of, {0, 1})).rows(x)
        with pytest.raises(CompileError, match="has no operand memory"):
            Decomposer(driver, layers, program, hosting(of, {1}))
    for got, want in zip(found, decomposed(layers, hosting(of, {0, 1}), x), strict=True):
        assert (got == want).all()


def test_of_what_the_host_puts_together_pseudo_tokens_alone_cross_the_link():
    rng = np.random.default_rng(9)
    layers = layers_of(rng, 64, (30, 50))
    of = decomposition(rng, layers, 8, 60, prompt(rng, 60, 64, 4))

    def results(each: Decomposition) -> int:
        calls = Programs(compile_layers(layers, ENGINE), each).calls(EXACT + 60)
        return sum(
            rows * sum(o.features for o in program.outputs)
            for program, rows in calls
            if program.name.endswith(("expansion", "pseudo-tokens"))
        )

    assert results(of) == 60 * (30 + 50)
    assert results(hosting(of, {1})) == 60 * 30 + 8 * 50


@pytest.mark.parametrize("x", [np.zeros((40, 32)), np.ones((40, 32)), np.eye(40, 32)])
def test_tokens_that_are_alike_or_zero_are_computed(x):
    rng = np.random.default_rng(4)
    layers = layers_of(rng, 32, (12,))
    x = x.astype(np.float32)
    of = decomposition(rng, layers, 8, 40, prompt(rng, 40, 32, 4))
    with Driver(GoldenDevice(ENGINE)) as driver:
        (found,) = Decomposer(driver, layers, compile_layers(layers, ENGINE), of).rows(x)
    (want,) = decomposed(layers, of, x)
    assert (found == want).all()
    if not x.any():
        assert not found.any()


def test_weights_that_are_there_for_one_call_are_not_kept():
    rng = np.random.default_rng(5)
    layers = layers_of(rng, 32, (12,))
    x = prompt(rng, 60, 32, 4)
    of = decomposition(rng, layers, 8, 30, x)
    with Driver(GoldenDevice(ENGINE)) as driver:
        decomposer = Decomposer(driver, layers, compile_layers(layers, ENGINE), of)
        decomposer.rows(x)
        calls = dict(driver.calls)
        decomposer.rows(x + 1)
        assert driver.calls == {call: 2 * times for call, times in calls.items()}


@pytest.mark.parametrize(
    ("tokens", "taken"), [(EXACT, False), (EXACT + 2, False), (EXACT + 60, True), (10_000, True)]
)
def test_prompts_are_taken_that_stream_less(tokens, taken):
    rng = np.random.default_rng(6)
    layers = layers_of(rng, 64, (200,))
    of = replace(decomposition(rng, layers, 4, 60, prompt(rng, 40, 64, 4)), bits=4, token_bits=4)
    with Driver(GoldenDevice(ENGINE)) as driver:
        program = compile_layers(layers, ENGINE)
        assert Decomposer(driver, layers, program, of).takes(tokens) is taken


@given(st.integers(1, 200), st.integers(1, 8), st.integers(1, 100), st.integers(0, 5))
@settings(max_examples=60)
def test_each_word_of_the_operand_is_written_once_for_each_of_its_rows(rank, planes, n, more):
    layers = layers_of(np.random.default_rng(0), 20, (n, 7 * more + 1))
    program = compile_layers(layers, ENGINE)
    slices = -(-rank // ENGINE.depth)
    if slices * planes > ENGINE.operand_depth or slices > ENGINE.act_depth:
        with pytest.raises(CompileError):
            OperandTiling(program.layers, rank, planes, ENGINE)
        return
    tiling = OperandTiling(program.layers, rank, planes, ENGINE)
    outputs = [0, 0]
    for chunk in tiling.chunks:
        seen = np.zeros((ENGINE.operand_depth, ENGINE.depth), int)
        for rows, steps in tiling.making(chunk):
            casts = [c for s in steps if isinstance(c := s.command(rows), Cast)]
            for cast in casts:
                cast.validate(ENGINE)
                words = slice(cast.to_word, cast.to_word + cast.words)
                seen[words, cast.lane : cast.lane + rows] += 1
        words = slices * sum(chunk.sizes) * planes
        lanes = np.arange(slices * ENGINE.depth).reshape(slices, -1) < rank
        assert seen.max() == 1
        assert seen.sum() == sum(chunk.sizes) * planes * lanes.sum()
        assert not seen[words:].any()
        for layer, low, high in tiling.outputs(chunk):
            assert low == outputs[layer]
            outputs[layer] = high
    assert outputs == [layer.out_features for layer in layers]


def test_an_engine_without_an_operand_memory_is_refused():
    layers = layers_of(np.random.default_rng(0), 20, (8,))
    config = replace(ENGINE, operand_depth=0)
    program = compile_layers(layers, config)
    with pytest.raises(CompileError, match="its operand_depth is 0; use an engine with one"):
        OperandTiling(program.layers, 4, 4, config)


def test_a_rank_that_the_operand_memory_does_not_hold_is_refused():
    layers = layers_of(np.random.default_rng(0), 20, (8,))
    program = compile_layers(layers, ENGINE)
    with pytest.raises(CompileError, match="takes 264 words, but the engine's operand_depth is 25"):
        OperandTiling(program.layers, 16 * 33, 8, ENGINE)
    with pytest.raises(CompileError, match="take 17 slices of activations"):
        OperandTiling(program.layers, 16 * 17, 2, ENGINE)


def test_inputs_whose_channels_are_in_groups_are_refused():
    groups = ChannelGroups(np.arange(32, dtype=np.int32), ((16, 1),))
    transform = Transform(32, groups=groups)
    layers = [
        replace(layer, transform=transform)
        for layer in layers_of(np.random.default_rng(0), 32, (8,))
    ]
    x = prompt(np.random.default_rng(0), 40, 32, 4)
    plain = [replace(layer, transform=None) for layer in layers]
    of = decomposition(np.random.default_rng(0), plain, 4, 40, x)
    with pytest.raises(LayerError, match="tokens cannot stand as weights"):
        decomposed(layers, of, x)


@pytest.mark.parametrize("steps", [2, 3])
def test_further_steps_find_what_directions_miss(steps):
    rng = np.random.default_rng(8)
    layers = layers_of(rng, 96, (40,))
    x = prompt(rng, 200, 96, 12)
    drawn = decomposition(rng, layers, 12, 200, x)
    blind = replace(
        drawn,
        steps=steps,
        directions=drawn.directions[:, : 12 // steps + 1],
        scale=drawn.scale[: 12 // steps + 1],
        token_bits=8,
        bits=8,
        requantisations=tuple(
            Requantisation.of(unit * 2.0 ** (drawn.bits - 8)) for unit in units_of(drawn)
        ),
    )
    (found,) = decomposed(layers, blind, x)
    (fewer,) = decomposed(layers, replace(blind, rank=12 // steps, steps=1), x)
    want = layers[0].forward(x)
    assert np.linalg.norm(found - want) < 0.5 * np.linalg.norm(fewer - want)
