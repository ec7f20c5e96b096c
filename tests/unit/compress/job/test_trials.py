import pytest
import torch

from summand.compress import Options, Workers, compress_layers
from summand.compress.allocate.candidates import Space, estimate
from summand.compress.allocate.sensitivity import fisher
from summand.compress.calibrate.calibration import collect
from summand.compress.calibrate.statistics import StatisticsInMemory
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.job.budget import BitBudget
from summand.compress.job.choose import choose
from summand.compress.solve.balance import choose_transform, transformed, transformed_weight
from summand.summands.dense import DenseSpace
from summand.summands.lowrank import LowRankSpace
from summand.summands.solving import output_errors

from .conftest import Net, allocation, batches, found


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
