"""Borders between channel groups: plans against NumPy, and the engines that they need."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.golden.arithmetic import requantise, wrap
from summand.isa import EngineConfig
from summand.isa.commands import Fence, Gemm
from summand.isa.planes import pack_planes
from summand.schedule.choice import alone, final, steady
from summand.schedule.errors import CompileError
from summand.schedule.fit import DEFAULT_CONFIG, Needs, fitting_engine, misfits
from summand.schedule.plan import plan
from summand.schedule.steps import Fetch, Input, PlanStep, Strip, Walk
from summand.schedule.terms import Direct, Factored, Sizes
from summand.schedule.tiling import Bundle, Tiling
from summand.schedule.traffic import group_traffic
from summand.stimulus.builder import ProgramBuilder

#: Little memory, so that inputs are cut in chunks, outputs in passes, and ranks in rounds.
TIGHT = EngineConfig(
    rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, requant_depth=16,
    shift=2, border_shift=3,
)  # fmt: skip
ROOMY = replace(TIGHT, acc_depth=256, act_depth=32)

Matrix = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Weights:
    """A term's: one matrix, or two with the requantisation between them."""

    first: Matrix
    second: Matrix
    mult: Matrix
    shift: Matrix


def random_weights(rng: np.random.Generator, sizes: Sizes) -> list[Weights]:
    def matrix(rows: int, columns: int, planes: int) -> Matrix:
        return rng.integers(-(1 << planes - 1), 1 << planes - 1, (rows, columns))

    found, (k, n), none = [], (sizes.in_features, sizes.out_features), np.zeros(0, np.int64)
    for term in sizes.terms:
        match term:
            case Direct():
                weights = matrix(k, n, term.planes)
                for start, stop in term.empty:
                    weights[start:stop] = 0
                found.append(Weights(weights, none, none, none))
            case Factored():
                a, b = matrix(k, term.rank, term.first), matrix(term.rank, n, term.second)
                mult = rng.integers(0, 1 << 16, term.rank)
                found.append(Weights(a, b, mult, rng.integers(18, 28, term.rank)))
    return found


def product(x: Matrix, sizes: Sizes, weights: Sequence[Weights], config: EngineConfig) -> Matrix:
    """Return what the accumulators hold in the end: each group's products at the last scale."""
    after = [sum(by for first, by in sizes.borders if first > k) for k in range(x.shape[1])]
    lifted = x << np.array(after)
    acc = np.zeros((len(x), sizes.out_features), np.int64)
    for term, w in zip(sizes.terms, weights, strict=True):
        match term:
            case Direct():
                acc += lifted @ w.first
            case Factored():
                t = wrap(lifted @ w.first, config.acc_bits)
                t = requantise(t, w.mult, w.shift, config.act_bits)
                acc = (acc << term.shift) + t @ w.second
    return wrap(acc, config.acc_bits)


def part_of(
    strip: Strip, walk: Walk, config: EngineConfig, weights: Sequence[Sequence[Weights]]
) -> Matrix:
    """Return the weights that a strip of a walk streams, filled up with zeros."""
    own = weights[strip.matrix.layer][strip.matrix.term]
    rows, columns = walk.slices * config.depth, strip.tiles * config.cols
    out = np.zeros((rows, columns), np.int64)
    source, first_row = own.first, walk.first * config.depth
    if strip.matrix.role == "first factor":
        (piece,) = strip.matrix.pieces
        source = source[:, piece.start : piece.stop]
    if strip.matrix.role == "second factor":
        base = (walk.from_slice - walk.first) * config.depth
        source = np.zeros((config.act_depth * config.depth, own.second.shape[1]), np.int64)
        for piece in strip.matrix.pieces:
            at = piece.at - base
            source[at : at + piece.stop - piece.start] = own.second[piece.start : piece.stop]
    part = source[first_row : first_row + rows, strip.first * config.cols :][:, :columns]
    out[: part.shape[0], : part.shape[1]] = part
    return out


def run(
    steps: Sequence[PlanStep],
    layers: Sequence[Sizes],
    config: EngineConfig,
    x: Matrix,
    weights: Sequence[Sequence[Weights]],
) -> list[Matrix]:
    """Execute a plan on the golden engine; return each layer's accumulators as fetched."""
    builder = ProgramBuilder(config)
    depth, cols, rows = config.depth, config.cols, len(x)
    whole = np.zeros((rows, -(-x.shape[1] // depth) * depth), np.int64)
    whole[:, : x.shape[1]] = x
    tiles = [-(-layer.out_features // cols) for layer in layers]
    fetched = [np.full((rows, n * cols), 1 << 40) for n in tiles]
    for step in steps:
        match step:
            case Input():
                values = whole[:, step.first * depth : (step.first + step.slices) * depth]
                builder.load(0, values)
            case Walk():
                words = [
                    pack_planes(part_of(strip, step, config, weights), strip.planes, config)
                    for strip in step.strips
                ]
                flat = [w.reshape(step.slices, -1) for w in words]
                builder.gemm(step.command(rows), np.concatenate(flat, axis=1).tobytes())
            case Bundle():
                mult, shift = np.zeros(step.tiles * cols, np.int64), np.ones(step.tiles * cols, int)
                for piece in step.pieces:
                    own = weights[piece.layer][piece.term]
                    at = (piece.tile - step.tile) * cols
                    size = piece.stop - piece.start
                    mult[at : at + size] = own.mult[piece.start : piece.stop]
                    shift[at : at + size] = own.shift[piece.start : piece.stop]
                builder.requantise(step.command(rows), mult, shift)
            case Fetch():
                for r in step.runs:
                    acc = builder.engine.accumulators[:rows, r.tile * cols :][:, : r.tiles * cols]
                    fetched[r.layer][:, r.first * cols :][:, : r.tiles * cols] = acc
    builder.fence(Fence())
    assert builder.engine.read_register("status") == 0
    return [f[:, : layer.out_features] for f, layer in zip(fetched, layers, strict=True)]


@st.composite
def direct_terms(draw: st.DrawFn, k: int) -> Direct:
    """Draw a direct term of ``k`` input features, some of whose slices may be empty."""
    places = sorted(draw(st.sets(st.integers(0, -(-k // 8)), max_size=6)))
    ends = [min(8 * place, k) for place in places]
    empty = tuple((a, b) for a, b in zip(ends[::2], ends[1::2], strict=False) if a < b)
    return Direct(planes=draw(st.integers(1, 8)), empty=empty)


@st.composite
def groups(draw: st.DrawFn) -> tuple[tuple[Sizes, ...], int]:
    """Draw layers that share an input of some channel groups; how many slices may be deferred."""
    slices = draw(st.integers(1, 9))
    k = slices * TIGHT.depth - draw(st.integers(0, TIGHT.depth - 1))
    places = draw(st.sets(st.integers(1, slices - 1), max_size=slices - 1)) if slices > 1 else ()
    borders = tuple((p * TIGHT.depth, draw(st.integers(1, 3))) for p in sorted(places))
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        direct = [draw(direct_terms(k)) for _ in range(draw(st.integers(0, 2)))]
        ranks = draw(st.sampled_from([(), (), (3,), (20,), (5, 9)]))
        shift = TIGHT.shift if direct else 0
        low = [
            Factored(rank=rank, first=4, second=3, shift=shift * (n == 0))
            for n, rank in enumerate(ranks or ((2,) if not direct else ()))
        ]
        layers.append(Sizes(k, draw(st.integers(1, 12)), (*direct, *low), borders))
    return tuple(layers), draw(st.integers(0, slices))


@settings(deadline=None, derandomize=True, max_examples=150)
@given(groups(), st.sampled_from([TIGHT, ROOMY]), st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_plans_compute_what_numpy_does(drawn, config, rows, seed):
    layers, deferred = drawn
    rng = np.random.default_rng(seed)
    x = rng.integers(config.act_min, config.act_max + 1, (rows, layers[0].in_features))
    weights = [random_weights(rng, layer) for layer in layers]
    want = [product(x, s, w, config) for s, w in zip(layers, weights, strict=True)]
    tiling = Tiling.of(layers, config)
    pair = steady(layers, config)
    plans = {
        "deferred": plan(layers, tiling, tiling.passes(tiling.even()), config, deferred=deferred),
        "alone": alone(layers, config, rows),
        "steady": pair[0],
        "final": final(layers, config, rows, odd=True),
    }
    for name, steps in plans.items():
        got = run(steps, layers, config, x, weights)
        for n, (one, other) in enumerate(zip(got, want, strict=True)):
            np.testing.assert_array_equal(one, other, err_msg=f"{name} {n}")


def walks(layers: Sequence[Sizes], config: EngineConfig) -> list[Gemm]:
    commands = [step.command(1) for step in alone(tuple(layers), config, 1)]
    return [c for c in commands if isinstance(c, Gemm)]


def test_one_direct_term_is_one_walk_whatever_the_borders():
    layers = [Sizes(96, n, (Direct(planes=2),), ((16, 1), (64, 2))) for n in (4, 6)]
    (gemm,) = walks(layers, ROOMY)
    assert [(b.slice, b.shift) for b in gemm.borders] == [(1, 1), (4, 2)]


def test_of_several_direct_terms_only_the_first_ones_walks_shift():
    layer = Sizes(96, 4, (Direct(planes=2), Direct(planes=3)), ((32, 1), (48, 3)))
    found = [
        (g.from_slice, g.slices, g.segments[0].planes, [b.shift for b in g.borders])
        for g in walks([layer], ROOMY)
    ]
    assert found[:4] == [(0, 2, 2, []), (0, 2, 3, []), (2, 1, 2, [1]), (2, 1, 3, [])]
    assert sum(sum(shifts) for *_, shifts in found) == 4


def test_borders_are_counted_in_the_traffic():
    bare = Sizes(96, 4, (Direct(planes=2),))
    plain, bordered = (
        group_traffic([layer], ROOMY) for layer in (bare, replace(bare, borders=((16, 1), (64, 2))))
    )
    assert bordered == replace(plain, headers=plain.headers + 2 * 64)


def needs(*borders: tuple[int, int], terms: tuple[Direct, ...] = (Direct(planes=4),)) -> Needs:
    return Needs(sizes=Sizes(640, 40, terms, borders), act_bits=8, acc_bits=24)


BORDERED = replace(DEFAULT_CONFIG, border_shift=2)


@pytest.mark.parametrize(
    ("layer", "config", "message"),
    [
        (needs((64, 1)), DEFAULT_CONFIG, r"2\^1 apart, but the engine's border_shift is 0; use an"),
        (needs((64, 1), (128, 3)), BORDERED, "use an engine with border_shift 3, or compress"),
        (needs((64, 1), (100, 1), (130, 1)), BORDERED, "with input feature 100, which is no mul"),
        (
            needs(*((64 * n, 1) for n in range(1, 17))),
            BORDERED,
            "16 borders between channel groups, but a walk at most 15; compress it with fewer",
        ),
        (
            needs((64, 1), terms=(Direct(planes=4), Direct(planes=2, shift=4))),
            BORDERED,
            "shifted between two direct terms, but with channel groups .* compress it without",
        ),
    ],
)
def test_what_does_not_fit_an_engine_is_named(layer, config, message):
    (said,) = misfits(layer, config)
    assert pytest.RaisesExc(CompileError, match=message).matches(CompileError(said))


def test_borders_that_fit_are_taken():
    assert list(misfits(needs((64, 2), (128, 1)), BORDERED)) == []
    shifted = (Direct(planes=4), Direct(planes=2, shift=4))
    assert list(misfits(needs(terms=shifted), BORDERED)) == []


def test_an_engine_is_fitted_to_borders():
    assert fitting_engine([needs()]) == DEFAULT_CONFIG
    assert fitting_engine([needs((64, 1)), needs((128, 3))]) == replace(
        DEFAULT_CONFIG, border_shift=3
    )
    config = fitting_engine([needs((64, 1), (96, 2))])
    assert (config.depth, config.border_shift) == (32, 2)
    assert list(misfits(needs((64, 1), (96, 2)), config)) == []


def test_channel_groups_that_fit_no_engine_are_named():
    with pytest.raises(CompileError, match="feature 100 fits no engine: .* multiple of 8"):
        fitting_engine([needs((64, 1), (100, 1))])
