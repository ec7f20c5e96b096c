import copy
import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from summand.compress import (
    CompressError,
    Options,
    Text,
    Workers,
    compress_layers,
    plan,
    survey,
)
from summand.compress.allocate.allocation import Candidate
from summand.compress.allocate.candidates import Space, choice_bits, estimate
from summand.compress.allocate.parts import Cut
from summand.compress.allocate.sensitivity import fisher
from summand.compress.calibrate.calibration import collect
from summand.compress.calibrate.statistics import StatisticsInMemory
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.evaluation.evaluate import load_integer
from summand.compress.job.allocated import allocated
from summand.compress.job.budget import Allocation, BitBudget, join_parts
from summand.compress.job.choose import choose
from summand.compress.solve.balance import choose_transform, transformed, transformed_weight
from summand.compress.twin.integer import IntegerLinear
from summand.isa import EngineConfig, SummandError
from summand.model import SummandModel
from summand.recipe.choice import Choice
from summand.runtime import Driver, GoldenDevice
from summand.runtime.load import load_model
from summand.schedule.terms import Direct, Sizes
from summand.schedule.traffic import layer_traffic
from summand.summands.dense import DenseChoice, DenseSpace
from summand.summands.lowrank import LowRankChoice, LowRankSpace
from summand.summands.outliers import OutliersChoice
from summand.summands.solving import output_errors

ENGINE = EngineConfig(depth=32, cols=4, stream_bits=128, scale_bits=4)


class Net(nn.Module):
    """Two layers that share an input, one of which has little effect, and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.loud = nn.Linear(96, 64)
        self.dull = nn.Linear(96, 64)
        self.head = nn.Linear(64, 80)

    def forward(self, x):
        return self.head(torch.tanh(self.loud(x) + 0.01 * self.dull(x)))


def batches(count=4):
    g = torch.Generator().manual_seed(1)
    mix = torch.randn(96, 96, generator=g) / 10
    return [torch.randn(150, 96, generator=g) @ mix for _ in range(count)]


def dense(choice):
    """Return what is chosen as the dense summand."""
    (found,) = (s for s in choice.summands if isinstance(s, DenseChoice))
    return found


def rank(choice):
    """Return the rank that is chosen, or 0."""
    return sum(s.rank for s in choice.summands if isinstance(s, LowRankChoice))


def outliers(choice):
    """Return the pattern of the outliers that are chosen, if there are any."""
    return next((s.pattern for s in choice.summands if isinstance(s, OutliersChoice)), None)


def found(module):
    return survey(module, batches()[0])


def allocation(target, *, fixed=("group",), options=None, **more):
    module = Net()
    options = options or Options(group=32)
    space = Space.of(options, fixed, target.engine)
    return choose(module, batches(), found(module), space, target, heads=("head",), **more)


def test_bits_are_within_the_target_as_they_are_counted():
    """The target applies to the layers' common stream, not to the sum over single layers."""
    beside = 3000  # for each layer with a low-rank summand, and once
    totals = []

    def count(choices):
        found = survey(Net(), batches()[0])
        bits = sum(choice_bits(choices[name], *sizes[name]) for name in found.layers)
        totals.append(bits + beside * (1 + sum(rank(c) > 0 for c in choices.values())))
        return totals[-1]

    sizes = {"loud": (96, 64), "dull": (96, 64), "head": (64, 80)}
    weights = sum(k * n for k, n in sizes.values())
    got = allocation(BitBudget(bits=4.0), count=count)
    assert totals[-1] <= 4.0 * weights
    assert totals[-1] > 3.7 * weights
    assert count(got.choices) == totals[-2]
    with pytest.raises(CompressError, match="cannot be met: what the layers may get takes"):
        allocation(BitBudget(bits=2.0), count=count)


def test_bits_are_within_the_target_and_near_it():
    for bits in (3.0, 4.0, 5.5):
        got = allocation(BitBudget(bits=bits))
        assert bits - 0.5 < got.bits_per_weight <= bits


def test_more_bits_lose_less():
    losses = [allocation(BitBudget(bits=bits)).kl for bits in (3.0, 4.0, 5.0, 6.0)]
    assert losses == sorted(losses, reverse=True)


def test_what_matters_gets_more():
    choices = allocation(BitBudget(bits=4.5)).choices
    assert dense(choices["loud"]).bits > dense(choices["dull"]).bits


def test_a_loss_is_met_with_few_bits():
    strict, lax = (allocation(BitBudget(kl=kl)) for kl in (0.01, 0.1))
    assert strict.kl <= 0.01
    assert lax.kl <= 0.1
    assert lax.bits_per_weight < strict.bits_per_weight


def test_both_sensitivities_agree_about_what_matters():
    choices = allocation(BitBudget(bits=4.5, sensitivity="differences")).choices
    assert dense(choices["loud"]).bits > dense(choices["dull"]).bits


def test_what_is_fixed_stays():
    options = Options(bits=5, group=32, rank=8, rank_bits=3, head_bits=6)
    fixed = ("group", "rank", "rank_bits", "head_bits")
    got = allocation(BitBudget(bits=6.0), fixed=fixed, options=options).choices
    for name in ("loud", "dull"):
        assert dense(got[name]).group == 32
        assert got[name].summands[1] == LowRankChoice(rank=8, bits=3)
    assert dense(got["head"]).bits == 6
    assert rank(got["head"]) == 0


def test_the_allocation_can_be_compressed():
    module = Net()
    got = allocation(BitBudget(bits=4.0))
    layers = list(compress_layers(module, batches(), found(module), got.choices))
    weights = bits = 0
    for layer, _ in layers:
        assert len(layer.sizes.direct) == 1
        weights += layer.in_features * layer.out_features
        bits += layer.bits + sum(32 * term.rank for _, term in layer.sizes.factored)
    assert bits / weights == got.bits_per_weight


def test_bits_below_everything_are_refused_with_the_least():
    with pytest.raises(CompressError, match=r"^1 bits a weight cannot be met.*takes 2\.\d\d\d at"):
        allocation(BitBudget(bits=1.0))
    least = str(pytest.raises(CompressError, allocation, BitBudget(bits=1.0)).value)
    least = float(least.split(" at least")[0].split()[-1])
    assert allocation(BitBudget(bits=least)).bits_per_weight <= least


def test_a_loss_below_everything_is_refused_with_the_least():
    with pytest.raises(CompressError, match=r"KL divergence of 1e-07 cannot be met.*to cost 0\.\d"):
        allocation(BitBudget(kl=1e-7))


def _too_many(choices):
    return 1 << 40


@pytest.mark.parametrize(
    ("options", "more", "match"),
    [
        ({"group": 12}, {}, "group must be a multiple of 8.* not 12: 16 would do"),
        ({"group": 4}, {}, "group must be a multiple of 8.* not 4: 8 would do"),
        ({"group": 32}, {"count": _too_many}, "cannot be met: what the layers may get takes"),
        ({"bits": 8}, {}, r"^4 bits a weight cannot be met.* takes 6\.\d\d\d at least"),
        ({"rank": 65}, {}, "rank must be at most 64, not 65: layer 'loud' is 64 x 96"),
    ],
)
def test_what_cannot_be_is_refused_before_calibration(options, more, match):
    seen = []
    with pytest.raises(SummandError, match=match):
        allocation(
            BitBudget(bits=4.0),
            fixed=tuple(options),
            options=Options(**options),
            progress=lambda what, *_: seen.append(what),
            **more,
        )
    assert seen == []


def test_the_model_is_calibrated_once(llama, tmp_path):
    source = replace(llama, module=copy.deepcopy(llama.module))
    job = plan(source, Options(group=16), Text("t", "once upon a time " * 40), tokens=200)
    seen = []

    def note(what, i, n):
        seen.append(what)

    job = allocated(job, BitBudget(bits=4.5), ("group",), progress=note)
    assert "calibrating" in seen
    seen.clear()
    job.run(tmp_path / "once", progress=note)
    assert set(seen) == {"compressing"}
    job.run(tmp_path / "twice", statistics=StatisticsInMemory(), progress=note)
    assert "calibrating" in seen
    once, twice = (tmp_path / name / "layers.safetensors" for name in ("once", "twice"))
    assert once.read_bytes() == twice.read_bytes()


def test_parts_of_a_large_head_are_allocated_bits_of_their_own(llama, tmp_path, monkeypatch):
    """The text's bytes are in two of the head's four parts; the model is read as it was written."""
    monkeypatch.setattr("summand.compress.allocate.parts._LARGE_HEAD", 256)
    monkeypatch.setattr("summand.compress.allocate.parts._HEAD_PARTS", 4)
    monkeypatch.setattr("summand.compress.allocate.parts._GROUP_PARTS", 1)
    text, options = Text("t", "once upon a time " * 40), Options(group=16)
    source = replace(llama, module=copy.deepcopy(llama.module))
    job = plan(source, options, text, tokens=200)
    assert job.survey.groups[-1] == ("lm_head",)
    job = allocated(job, BitBudget(bits=4.0), ("group", "rank"))
    parts = job.survey.groups[-1]
    assert parts == tuple(f"lm_head.{i}" for i in range(len(parts)))
    manifest = job.run(tmp_path / "m")
    assert manifest.split == ("lm_head",)
    outputs = [e.out_features for e in manifest.layers[-len(parts) :]]
    assert sum(outputs) == 256
    assert all(n % 64 == 0 for n in outputs)
    bits = [dense(job.choices[name]).bits for name in parts]
    assert len(bits) > 1
    assert all(a != b for a, b in itertools.pairwise(bits))  # parts of equal bits are one
    assert all(rank(job.choices[name]) == 0 for name in parts)

    model = SummandModel(tmp_path / "m")
    whole, ids = llama.module, job.batches[0]
    loaded = load_integer(model)
    with torch.no_grad():
        hidden = loaded.get_submodule("model")(ids).last_hidden_state
        each = [IntegerLinear(model.layer(name))(hidden) for name in parts]
        assert torch.equal(loaded(ids).logits, torch.cat(each, dim=-1))
        engine = Driver(GoldenDevice(EngineConfig(depth=16, stream_bits=64, scale_bits=6)))
        run = load_model(model, engine)
        assert len(run.groups[-1].layers) == len(parts)
        assert torch.equal(run.model(ids).logits, loaded(ids).logits)
        away = (loaded(ids).logits - whole(ids).logits).norm() / whole(ids).logits.norm()
    assert away < 0.5


def test_a_small_head_stays_whole(llama):
    text = Text("t", "once upon a time " * 40)
    source = replace(llama, module=copy.deepcopy(llama.module))
    job = plan(source, Options(group=16), text, tokens=200)
    job = allocated(job, BitBudget(bits=4.5), ("group",))
    assert "lm_head" not in job.cuts
    assert job.survey.groups[-1] == ("lm_head",)


@pytest.mark.parametrize("sensitivity", ["fisher", "differences"])
def test_outputs_that_matter_more_get_more(llama, tmp_path, monkeypatch, sensitivity):
    """Layers are cut by gradients only, which tell outputs apart."""
    monkeypatch.setattr("summand.compress.allocate.parts._WHOLE", 16)
    text, options = Text("t", "once upon a time " * 40), Options(group=16)
    source = replace(llama, module=copy.deepcopy(llama.module))
    name = "model.layers.0.mlp.up_proj"
    with torch.no_grad():
        source.module.get_submodule(name).weight[1::2] *= 0.02
    want = copy.deepcopy(source.module)
    job = plan(source, options, text, tokens=200)
    target = BitBudget(bits=4.0, sensitivity=sensitivity)
    job = allocated(job, target, ("group", "rank"))
    assert (name in job.cuts) == (sensitivity == "fisher")
    manifest = job.run(tmp_path / "m")
    assert manifest.split == tuple(job.cuts)
    model = SummandModel(tmp_path / "m")
    assert list(model.output_orders) == sorted(job.cuts)
    if sensitivity == "differences":
        return
    parts = [n for n in model.names if n.startswith(f"{name}.")]
    bits = [dense(job.choices[part]).bits for part in parts]
    assert bits == sorted(set(bits), reverse=True)
    assert len(bits) > 1
    assert (model.output_orders[name][: len(model.output_orders[name]) // 2] % 2 == 0).all()

    ids = job.batches[0]
    loaded = load_integer(model)
    engine = Driver(GoldenDevice(EngineConfig(depth=16, stream_bits=64, scale_bits=6)))
    run = load_model(model, engine)
    with torch.no_grad():
        assert torch.equal(run.model(ids).logits, loaded(ids).logits)
        away = (loaded(ids).logits - want(ids).logits).norm() / want(ids).logits.norm()
    assert away < 0.5


def test_a_layer_is_not_cut_below_a_rank_that_is_fixed(llama, monkeypatch):
    """Outputs of all parts are fewer than the rank, which the whole layer can have."""
    monkeypatch.setattr("summand.compress.allocate.parts._WHOLE", 16)
    source = replace(llama, module=copy.deepcopy(llama.module))
    options = Options(group=16, rank=20)
    job = plan(source, options, Text("t", "once upon a time " * 40), tokens=200)
    job = allocated(job, BitBudget(bits=7.5), ("group", "rank"))
    ranked = [name for name, choice in job.choices.items() if rank(choice)]
    assert {rank(job.choices[name]) for name in ranked} == {20}
    assert all(len(source.module.get_submodule(name).weight) >= 20 for name in ranked)


def test_parts_that_got_the_same_are_joined():
    three, four = (Choice.of(Options(bits=b), head=False) for b in (3, 4))
    ranks = Choice.of(Options(bits=3, rank=4), head=False)
    got = {
        "a": [(three, 10, 1.0), (three, 20, 0.5), (four, 40, 0.25), (three, 5, 2.0)],
        "b": [(ranks, 1, 1.0), (ranks, 1, 1.0)],
        "c": [(four, 7, 1.0), (four, 8, 2.0)],
    }
    candidates = {
        f"{name}.{i}": Candidate(*each) for name, all_ in got.items() for i, each in enumerate(all_)
    }
    candidates["whole"] = Candidate(three, 9, 9.0)
    orders = {name: torch.arange(64 * len(each)).flip(0) for name, each in got.items()}
    cuts = {name: Cut((64,) * len(each), orders[name]) for name, each in got.items()}
    joined, cut = join_parts(Allocation(candidates, 1000), cuts)
    assert joined.candidates == {
        "whole": Candidate(three, 9, 9.0),
        "a.0": Candidate(three, 30, 1.5),
        "a.1": Candidate(four, 40, 0.25),
        "a.2": Candidate(three, 5, 2.0),
        "b.0": Candidate(ranks, 1, 1.0),
        "b.1": Candidate(ranks, 1, 1.0),
        "c.0": Candidate(four, 15, 3.0),
    }
    assert {name: each.sizes for name, each in cut.items()} == {
        "a": (128, 64, 64),
        "b": (64, 64),
        "c": (128,),
    }
    assert cut["a"].order is orders["a"]
    assert cut["c"].order is None  # nothing to put in order
    assert joined.weights == 1000


def test_another_cut_is_another_job(llama, tmp_path):
    """An interrupted compression does not go on with parts of other outputs."""
    job = plan(llama, Options(group=16), Text("t", "once upon a time " * 40), tokens=200)
    described = [
        replace(job, cuts={"a": Cut((2, 1), order)}).description
        for order in (None, torch.tensor([2, 0, 1]), torch.tensor([1, 0, 2]))
    ]
    assert len({str(each["parts"]) for each in described}) == 3


@pytest.mark.parametrize(("count", "taken"), [(4, [0, 1, 2, 3]), (84, [0, 1, 3, 4, 6, 7])])
def test_sensitivity_takes_tokens_evenly_from_all_of_the_text(monkeypatch, count, taken):
    seen = []

    def note(module, some, found, **_):
        seen.extend(next(i for i, row in enumerate(rows) if row is each) for each in some)
        return fisher(module, some, found)

    module, rows = Net(), batches(count)
    monkeypatch.setattr("summand.compress.job.trials.fisher", note)
    space = Space.of(Options(group=32, rank=0), ("group", "rank"))
    choose(module, rows, found(module), space, BitBudget(bits=4.5), heads=("head",))
    assert seen[: len(taken)] == taken
    assert len(seen) == min(count, 8192 // 150)


def test_what_was_collected_before_is_taken():
    store, seen = StatisticsInMemory(), []
    first = allocation(BitBudget(bits=4.5), walk=ModelWalk(store=store))
    again = allocation(
        BitBudget(bits=4.5),
        walk=ModelWalk(store=store),
        progress=lambda what, *_: seen.append(what),
    )
    assert again.candidates == first.candidates
    assert set(seen) == {"sensitivity", "estimating"}


def test_workers_try_out_what_layers_may_get():
    class Counted(Workers):
        tried = 0

        def map(self, work, items):
            for out in super().map(work, items):
                self.tried += 1
                yield out

    workers = Counted("loky", 2)
    got = allocation(BitBudget(bits=4.5), workers=workers)
    assert workers.tried == 2
    assert got.candidates == allocation(BitBudget(bits=4.5)).candidates


def test_progress_names_every_part():
    seen = []
    allocation(BitBudget(bits=4.0), progress=lambda what, i, n: seen.append((what, i == n)))
    parts = ("calibrating", "sensitivity", "estimating")
    assert [what for what, last in seen if last] == list(parts)


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ({}, "either of bits or of KL"),
        ({"bits": 4.0, "kl": 0.1}, "either of bits or of KL"),
        ({"bits": 0.0}, "target bits must be above 0"),
        ({"kl": float("nan")}, "target kl must be above 0, not nan"),
        ({"bits": 4.0, "sensitivity": "guess"}, "fisher or differences, not 'guess'"),
    ],
)
def test_impossible_targets_are_named(kind, match):
    with pytest.raises(CompressError, match=match):
        BitBudget(**kind)


def test_no_dense_summand_is_refused():
    with pytest.raises(CompressError, match="needs a dense summand"):
        allocation(BitBudget(bits=4.0), fixed=("bits", "rank"), options=Options(bits=0, rank=8))


def test_dense_alone_is_always_there():
    for engine in (None, ENGINE):
        choices = Space.of(Options(), (), engine).choices(576, 1536, head=False)
        assert {dense(c).bits for c in choices if not rank(c)} == {2, 3, 4, 5, 6, 7, 8}
        assert {rank(c) for c in choices} > {0}


def test_ranks_that_take_more_than_the_matrix_are_left_out():
    space = Space.of(Options(), ())
    assert {rank(c) for c in space.choices(40, 40, head=False)} == {0, 8, 16}


def test_an_engine_says_which_groups_and_ranks():
    choices = Space.of(Options(), (), ENGINE).choices(576, 1536, head=False)
    assert {dense(c).group for c in choices} == {32, 64, 128}
    assert {dense(c).scale_bits for c in choices} == {4}
    assert {rank(c) for c in choices} == {0, 32, 64}
    plain = EngineConfig(depth=32, cols=4, stream_bits=128)
    assert {dense(c).group for c in Space.of(Options(), (), plain).choices(64, 64, head=False)} == {
        0
    }


def test_an_engine_says_which_patterns():
    engine = replace(ENGINE, sparse_block=8)

    def patterns(options: Options, fixed: tuple[str, ...], k: int, *, head: bool) -> set[str]:
        choices = Space.of(options, fixed, engine).choices(k, 64, head=head)
        return {f"{dense(c).pattern} {outliers(c)}" for c in choices}

    some = {f"{p} {o}" for p in (None, "2:8", "4:8", "6:8") for o in (None, "1:8")}
    assert patterns(Options(), (), 64, head=False) == some
    assert patterns(Options(), (), 60, head=False) == {"None None"}
    assert patterns(Options(), (), 64, head=True) == {"None None"}
    halves = replace(engine, half_steps=True)
    both = {
        (dense(c).half_step, dense(c).pattern is None)
        for c in Space.of(Options(), (), halves).choices(64, 64, head=False)
    }
    assert both == {(True, True), (False, False)}
    held = Space.of(Options(half_step=True), ("half_step",), halves).choices(64, 64, head=False)
    assert {dense(c).pattern for c in held} == {None}
    fixed = Options(sparsity="2:4", outliers="none")
    assert patterns(fixed, ("sparsity", "outliers"), 64, head=False) == {"2:4 None"}


def test_an_engine_says_which_widths():
    engine = replace(ENGINE, act_bits=10, acc_bits=24, shift=3)
    space = Space.of(Options(), (), engine)
    (choice,) = {
        (c.act_bits, c.acc_bits, dense(c).scale_bits) for c in space.choices(576, 1536, head=False)
    }
    assert choice == (10, 24, 4)
    assert space.options.acc_shift == 3
    fixed = Space.of(Options(acc_bits=20, scale_bits=3), ("acc_bits", "scale_bits"), engine).options
    assert (fixed.act_bits, fixed.acc_bits, fixed.scale_bits) == (10, 20, 3)


@pytest.mark.parametrize(
    ("options", "changes", "match"),
    [
        ({"act_bits": 10}, {}, "act_bits must be the engine's, 8, not 10; leave act_bits out"),
        ({"acc_bits": 32}, {"acc_bits": 24}, "acc_bits must be at most the engine's, 24, not 32"),
        ({"acc_shift": 4}, {"shift": 3}, "acc_shift must be 0 or the engine's shift, 3, not 4"),
        ({"scale_bits": 6}, {}, "scale_bits must be at most the engine's, 4, not 6"),
        ({"group": 32}, {"scale_bits": 0}, "group must be 0 on an engine without scale_bits"),
        ({"sparsity": "2:4"}, {}, "sparsity must be none on an engine without sparse_block"),
        ({"outliers": "1:16"}, {"sparse_block": 8}, "sparse_block, 8, not 1:16; leave outliers"),
        ({"group": 48}, {}, "group must be a multiple of the engine's depth, 32, not 48"),
    ],
)
def test_what_an_engine_cannot_compute_is_refused(options, changes, match):
    with pytest.raises(CompressError, match=match):
        Space.of(Options(**options), tuple(options), replace(ENGINE, **changes))


def test_padding_counts_with_an_engine():
    choice = Space.of(Options(), ()).choices(70, 70, head=False)[0]
    assert choice_bits(choice, 70, 70) < choice_bits(choice, 70, 70, ENGINE)
    sizes = Sizes(70, 70, (Direct(planes=2, group=32, scale_bits=6),))
    assert choice_bits(choice, 70, 70) == layer_traffic(sizes).total
    assert choice_bits(choice, 70, 70, ENGINE) == layer_traffic(sizes, ENGINE).total


def test_estimates_are_near_what_compressing_loses():
    module, rows = Net(), batches()
    groups = found(module).groups
    seen = collect(module, rows, groups, moments=found(module).layers)["loud"]
    weight = module.loud.weight.detach()
    transform = choose_transform(
        [weight, module.dull.weight.detach()], seen, balance=True, rotate=True, seed=0
    )
    space = Space(
        options=Options(),
        summands=(
            DenseSpace(bits=(3, 6), groups=(32, 96)),
            LowRankSpace(ranks=(0, 16), bits=(4,)),
        ),
    )
    choices = space.choices(96, 64, head=False)
    candidates = estimate(
        {"loud": transformed_weight(weight, transform)},
        transformed(seen, transform),
        {"loud": torch.ones(64)},
        {"loud": choices},
    )
    for candidate in candidates["loud"]:
        given = dict.fromkeys(found(module).layers, candidate.choice)
        layers = compress_layers(module, rows, found(module), given)
        layer = next(layer for layer, _ in layers if layer.name == "loud")
        lost = transformed_weight(weight, transform) - torch.from_numpy(layer.matrix()).T.float()
        behind = transformed(seen, transform)
        real = float(output_errors(lost, behind.energy, behind.moments).sum()) / 2
        assert 0.5 < candidate.loss / real < 2
