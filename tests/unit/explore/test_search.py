"""The search: its parts against brute force and the cost law."""

import dataclasses
import functools
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.boards.library import find_board
from summand.compress.allocate.allocation import Candidate, allocate
from summand.explore.choices import ModelChoices, Shape
from summand.explore.engines import classes
from summand.explore.errors import ExploreError
from summand.explore.exact import count_cycles
from summand.explore.features import features_named, features_of
from summand.explore.fronts import Fronts, computes
from summand.explore.latency import Quick, group_kinds
from summand.explore.point import Found
from summand.explore.search import Search
from summand.explore.selection import spread, undominated
from summand.explore.workload import Limits, Workload
from summand.isa import EngineConfig
from summand.isa.packets import data_packet_bytes
from summand.isa.results import Extremes, limbs_for
from summand.recipe.options import Options
from summand.synth.coefficients import UnknownPartError
from summand.synth.estimate import estimate

K, N = 64, 128


def model(seed: int = 0, layers: int = 3) -> ModelChoices:
    """Return choices of a small model whose losses fall by four with each bit."""
    rng = np.random.default_rng(seed)
    shapes = {f"b.{i}.{n}": Shape(K, N, False) for i in range(layers) for n in ("q", "k")}
    shapes["head"] = Shape(K, 2 * N, True)
    groups = (*((f"b.{i}.q", f"b.{i}.k") for i in range(layers)), ("head",))
    bare = ModelChoices(groups=groups, shapes=shapes, losses={}, cuts={}, options=OPTIONS)
    losses = {}
    for name, shape in shapes.items():
        bits = np.array([_bits(c.sizes(shape.in_features, shape.out_features)) for c in OF[shape]])
        losses[name] = rng.lognormal() * 4.0**-bits
    return dataclasses.replace(bare, losses=losses)


def _bits(sizes) -> float:
    first = sizes.terms[0]
    return (first.planes + 0.1 * first.half_step) * (first.kept / first.block if first.block else 1)


OPTIONS = Options(scale_bits=4)
SHAPES = {Shape(K, N, False), Shape(K, 2 * N, True)}
OF = ModelChoices(
    groups=(),
    shapes={str(i): s for i, s in enumerate(SHAPES)},
    losses={},
    cuts={},
    options=OPTIONS,
).choices()


@functools.cache
def small_search() -> Found:
    """Return what a search of a small model finds."""
    return Search(model(), find_board("ulx3s-85f"), Workload(), Limits()).run()


@given(seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_a_front_is_as_good_as_an_integer_program(seed):
    choices = model(seed)
    fronts = Fronts(choices)
    engine = EngineConfig(cols=4, depth=32, stream_bits=128, scale_bits=4, half_steps=True)
    front = fronts.front(engine)
    assert front is not None
    for place in (12, 36):
        candidates = {
            name: [
                Candidate(i, fronts.plain_bits(name, i), float(choices.losses[name][i]))
                for i in range(len(OF[shape]))
                if computes(engine, fronts.sizes(name, i))
            ]
            for name, shape in choices.shapes.items()
        }
        spent = sum(fronts.plain_bits(n, int(p[place])) for n, p in front.picks.items())
        best = sum(c.loss for c in allocate(candidates, spent).values())
        assert front.loss[place] == pytest.approx(best, rel=2e-3)


@pytest.mark.parametrize("rows", [1, 4, 8])
@pytest.mark.parametrize(
    "engine",
    [
        EngineConfig(cols=8, depth=32, scale_bits=4, half_steps=True),
        EngineConfig(cols=4, depth=32, stream_bits=128, scale_bits=4, half_steps=True),
        EngineConfig(cols=2, depth=32, stream_bits=64, table_share=2, half_steps=True),
        EngineConfig(cols=4, depth=32, stream_bits=128, scale_bits=4, digit_bits=2),
        EngineConfig(cols=4, depth=32, stream_bits=128, half_steps=True, digit_bits=4),
        EngineConfig(cols=4, depth=32, stream_bits=128, half_steps=True, limb_bits=8),
        EngineConfig(cols=4, depth=64, stream_bits=256, half_steps=True, limb_bits=4),
    ],
)
def test_estimated_cycles_are_near_the_laws(engine, rows):
    """On one block of a small language model, one token and three full batches."""
    engine = dataclasses.replace(engine, rows=rows)
    q, gate, down = (Shape(576, 576, False), Shape(576, 1536, False), Shape(1536, 576, False))
    shapes = {"q": q, "k": q, "o": q, "gate": gate, "up": gate, "down": down}
    bare = ModelChoices(
        groups=(("q", "k"), ("o",), ("gate", "up"), ("down",)),
        shapes=shapes,
        losses={},
        cuts={},
        options=OPTIONS,
    )
    losses = {
        shape: np.array([4.0 ** -_bits(c.sizes(shape.in_features, 64)) for c in each])
        for shape, each in bare.choices().items()
    }
    choices = dataclasses.replace(bare, losses={name: losses[s] for name, s in shapes.items()})
    fronts = Fronts(choices)
    front = fronts.front(engine)
    assert front is not None
    workload = Workload(prefill=3 * rows, decode=1)
    quick = Quick(find_board("ulx3s-85f"), workload, group_kinds(choices))
    times = quick.times(engine, np.array([rows]), _traffic(choices, fronts, front, engine))
    rough = 0.15 if engine.limb_bits else 0.06  # rows wait for their results
    for place in (len(front.loss) // 4, len(front.loss) // 2):
        sizes = {name: fronts.sizes(name, int(p[place])) for name, p in front.picks.items()}
        heads = [False] * len(choices.groups)
        counted = reduce(add, count_cycles(engine, choices.groups, heads, sizes, workload))
        assert times.decode_cycles[0, place] == pytest.approx(counted.decode_cycles, rel=0.04)
        assert times.prefill_cycles[0, place] == pytest.approx(counted.prefill_cycles, rel=rough)


@pytest.mark.parametrize("digit_bits", [2, 4])
def test_whole_digits_are_what_a_front_pays_for(digit_bits):
    """So no layer gets planes that take as long as more of them."""
    choices = model()
    fronts = Fronts(choices)
    engine = EngineConfig(cols=4, depth=32, stream_bits=128, half_steps=True, digit_bits=digit_bits)
    plain = dataclasses.replace(engine, digit_bits=0)
    front = fronts.front(engine)
    assert front is not None
    for name, picks in front.picks.items():
        for pick in set(picks.tolist()):
            planes = [term.planes for _, term in fronts.sizes(name, pick).direct]
            assert all(count % digit_bits == 0 for count in planes)
    traffic = _traffic(choices, fronts, front, engine)
    assert (traffic.walked == traffic.bits).all()  # because whole digits are paid for
    front = fronts.front(plain)
    assert front is not None
    whole, bits = (_traffic(choices, fronts, front, each) for each in (engine, plain))
    assert (bits.walked == bits.bits).all()
    assert (whole.bits == bits.bits).all()
    assert (whole.walked >= whole.bits).all()
    assert (whole.walked > whole.bits).any()


def test_engines_with_parts_that_the_model_does_not_know_are_left_out(monkeypatch):
    def known(config, *rest):
        if config.digit_bits:
            raise UnknownPartError("digits")
        return estimate(config, *rest)

    monkeypatch.setattr("summand.explore.search.estimate", known)
    found = Search(model(), find_board("ulx3s-85f"), Workload(), Limits()).run()
    assert set(found.trace["digit_bits"].tolist()) == {0}


def _traffic(choices, fronts, front, engine):
    return fronts.traffic(front, engine, [kind.names for kind in group_kinds(choices)])


def test_a_search_finds_what_trying_everything_finds():
    """Every engine and allocation by itself, without arrays, against the front."""
    choices, board = model(), find_board("ulx3s-85f")
    workload, limits = Workload(prefill=4, decode=2), Limits(kl=0.05, luts=6000)
    found = Search(choices, board, workload, limits).run()
    fronts = Fronts(choices)
    quick = Quick(board, workload, group_kinds(choices))
    rate = board.memory.reached_bytes_s / board.clock.engine_hz
    best = np.inf
    for each in classes(K, rate):
        front = fronts.front(each.base)
        if front is None:
            continue
        for way in each.answering(head=True):
            traffic = _traffic(choices, fronts, front, way.base)
            for member in way.members():
                for rows in range(1, 65):
                    engine = dataclasses.replace(member, rows=rows)
                    if estimate(engine, board.family).luts > 6000:
                        break
                    times = quick.times(member, np.array([rows]), traffic).total(workload)[0]
                    best = min(best, times[front.loss <= 0.05].min())
    quickest = min(p.total_s for p in found.front if p.loss <= 0.05)
    assert quickest == pytest.approx(best, rel=1e-12)
    assert best <= found.chosen.total_s <= 1.01 * best
    assert found.chosen.resources.luts <= 6000


def test_what_is_not_allowed_is_not_found_and_the_rest_is_as_before():
    """Half-steps of weights alone, results as they like."""
    allowed, board = features_named("hlb"), find_board("ulx3s-85f")
    everything = model()
    fewer = dataclasses.replace(everything, features=allowed)
    assert fewer.choices().keys() == OF.keys()
    losses = {}
    for name, shape in fewer.shapes.items():
        places = [OF[shape].index(choice) for choice in fewer.choices()[shape]]
        assert len(places) == len(set(places)) == 8  # widths, a scale an output
        losses[name] = everything.losses[name][places]
    found = Search(dataclasses.replace(fewer, losses=losses), board, Workload(), Limits()).run()
    whole = small_search()
    assert found.features.keys() < whole.features.keys()
    assert all(set(features_of(point.engine)) <= set(allowed) for point in found.front)
    mine, same = found.features["half-steps"], whole.features["half-steps"]
    assert (mine.engine, mine.loss, mine.total_s) == (same.engine, same.loss, same.total_s)
    assert mine.total_s >= whole.front[0].total_s


#: Rows, columns, depth, stream and accumulators of engines made by hand.
LARGE = ((8, 4, 32, 128, 1024), (16, 4, 32, 128, 1024), (8, 8, 32, 256, 1024))
SMALL = ((2, 4, 32, 64, 1024), (4, 2, 32, 64, 1024), (4, 4, 32, 128, 256))


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        *((name, LARGE) for name in ("ulx3s-85f", "ecpix5-85f", "orangecrab-85f")),
        *((name, LARGE) for name in ("pynq-z2", "tang-mega-138k")),
        ("tang-primer-20k", SMALL),
    ],
)
def test_nothing_that_is_made_by_hand_is_quicker(name, by_hand):
    choices, board = model(), find_board(name)
    found = Search(choices, board, Workload(), Limits()).run()
    quickest = min(p.total_s for p in found.front if p.loss <= Limits().kl)
    made = [
        EngineConfig(
            rows=rows,
            cols=cols,
            depth=depth,
            stream_bits=stream,
            acc_depth=outputs,
            scale_bits=4,
            half_steps=True,
        )
        for rows, cols, depth, stream, outputs in by_hand
    ]
    made += [dataclasses.replace(e, limb_bits=8, bin_tiles=128 // e.cols) for e in made]
    for engine in (board.engine, *made):
        mine = dataclasses.replace(board, engine=engine)
        own = Search(choices, mine, Workload(), Limits()).own()
        assert own is not None
        assert quickest <= own.total_s


def test_more_room_is_never_slower():
    choices, board = model(), find_board("ecpix5-85f")
    times = [
        min(p.total_s for p in Search(choices, board, Workload(), Limits(luts=luts)).run().front)
        for luts in (4000, 8000, 30000)
    ]
    assert times == sorted(times, reverse=True)


@given(
    points=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1),
    seed=st.integers(0, 99),
)
def test_undominated_are_those_that_no_other_beats(points, seed):
    first, second = np.array(points, float).T
    allowed = np.random.default_rng(seed).random(len(points)) < 0.8
    if not allowed.any():
        return
    kept = undominated(first, second, allowed)
    for i in np.flatnonzero(allowed):
        assert any(first[j] <= first[i] and second[j] <= second[i] for j in kept)
    for i in kept:
        assert allowed[i]
        others = [j for j in kept if j != i]
        assert not any(first[j] <= first[i] and second[j] <= second[i] for j in others)


@given(count=st.integers(1, 40), place=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_points_are_spread_over_a_front(count, place):
    found = small_search()
    front = found.front
    chosen = front[int(place * (len(front) - 1))]
    points = spread(front, chosen, count)
    assert len(points) == min(count, len(front))
    assert len({id(point) for point in points}) == len(points)
    assert sum(point is chosen for point in points) == 1
    times = [point.total_s for point in points]
    assert times == sorted(times)
    if count > 2:  # an end is left out for a chosen point that is nearer to it than any goal
        step = (front[-1].total_s - front[0].total_s) / (count - 1)
        for end in (front[0], front[-1]):
            assert end in points or abs(chosen.total_s - end.total_s) <= step / 2


def test_a_chosen_point_beside_the_front_is_spread_too():
    found = small_search()
    chosen = dataclasses.replace(found.front[3], engine=EngineConfig(rows=63))
    points = spread(found.front, chosen, 4)
    assert len(points) == 4
    assert chosen in points


def test_choices_are_kept_in_a_file(tmp_path):
    choices, path = model(), tmp_path / "c.npz"
    assert ModelChoices.load(path, {"a": 1}, OPTIONS) is None
    choices.save(path, {"a": 1})
    again = ModelChoices.load(path, {"a": 1}, OPTIONS)
    assert again is not None
    assert (again.groups, again.shapes) == (choices.groups, choices.shapes)
    assert all((again.losses[n] == loss).all() for n, loss in choices.losses.items())
    assert ModelChoices.load(path, {"a": 2}, OPTIONS) is None
    assert ModelChoices.load(path, {"a": 1}, OPTIONS, features_named("gh")) is None
    short = dataclasses.replace(choices, losses={**choices.losses, "head": np.zeros(3)})
    short.save(path, {"a": 1})
    with pytest.raises(ExploreError, match="is of other choices"):
        ModelChoices.load(path, {"a": 1}, OPTIONS)


@pytest.mark.parametrize(
    ("cols", "stream_bits", "limb_bits", "bin_tiles"),
    [(2, 64, 0, 0), (4, 256, 0, 0), (8, 128, 0, 0), (2, 64, 4, 0), (4, 256, 8, 4), (2, 64, 0, 64)],
)
def test_a_link_carries_results_as_packets_do(cols, stream_bits, limb_bits, bin_tiles):
    """They follow each other without gaps, whether a tile is narrower than a beat or wider."""
    board, tokens = find_board("ulx3s-85f"), 5
    engine = EngineConfig(
        rows=2,
        cols=cols,
        depth=128,
        stream_bits=stream_bits,
        limb_bits=limb_bits,
        bin_tiles=bin_tiles,
        scale_bits=4,
    )
    choices = model(layers=2)
    quick = Quick(board, Workload(prefill=tokens, decode=1, batch=1), group_kinds(choices))
    fronts = Fronts(choices)
    front = fronts.front(engine)
    assert front is not None
    traffic = _traffic(choices, fronts, front, engine)
    nothing = dataclasses.replace(traffic, bits=np.zeros_like(traffic.bits))
    got = quick.times(engine, np.array([2]), nothing).prefill_s[0]
    got -= quick.times(engine, np.array([2]), nothing).prefill_cycles[0] / board.clock.engine_hz
    head = data_packet_bytes(engine, rows=0, tiles=1)

    def sent(name, group, place):
        """Return the bytes of a layer's results, of which all of a group are as wide."""
        tiles = choices.shapes[name].out_features // cols
        widths = [fronts.sizes(each, int(front.picks[each][place])).acc_bits for each in group]
        limbs = limbs_for(max(widths), engine)
        size = data_packet_bytes(engine, rows=1, tiles=tiles, limbs=limbs)
        if name == "head" and bin_tiles:
            bins = data_packet_bytes(engine, rows=1, tiles=tiles, extremes=Extremes.GREATEST)
            size = min(size, bins)
        return size - head

    for place in (0, 40):
        results = sum(
            sent(name, group, place) * (1 if name == "head" else tokens)
            for group in choices.groups
            for name in group
        )
        # K filled up to a slice; of the head the last token alone is computed
        activations = ((len(choices.groups) - 1) * tokens + 1) * engine.depth
        want = (results + activations) / board.link.bytes_s
        assert got[place] == pytest.approx(want + len(choices.groups) * board.link.round_trip_s)


def test_limbs_and_bins_are_found_where_the_link_takes_the_time():
    """A serial line carries SmolLM2-like results for far longer than they take to compute."""
    found = small_search()
    assert found.chosen.engine.limb_bits
    features = {name: point.total_s for name, point in found.features.items()}
    assert features["results in limbs, the head's extremes"] < features["results of 32 bits"]


def test_limbs_are_not_chosen_where_results_would_wait():
    """Many rows of few columns: a limb a cycle takes longer than the weights."""
    engine = EngineConfig(rows=27, cols=2, depth=64, stream_bits=128, acc_depth=64, scale_bits=4)
    choices = model()
    fronts = Fronts(choices)
    front = fronts.front(engine)
    assert front is not None
    quick = Quick(find_board("ulx3s-85f"), Workload(prefill=270, decode=1), group_kinds(choices))
    cycles = []
    for limb_bits in (0, 4):
        config = dataclasses.replace(engine, limb_bits=limb_bits)
        traffic = _traffic(choices, fronts, front, config)
        cycles.append(quick.times(config, np.array([27]), traffic).prefill_cycles[0])
    assert (cycles[1] > cycles[0]).all()
