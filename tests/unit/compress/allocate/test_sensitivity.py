import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from summand.compress import CompressError, survey
from summand.compress.allocate.sensitivity import differences, fisher, output_errors
from summand.compress.calibrate.calibration import collect
from summand.summands.dense.solve import RoundToNearest


class Net(nn.Module):
    """Predicts a token from each row of numbers; ``dull`` has a tenth of the effect of ``loud``."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(12, 16)
        self.loud = nn.Linear(16, 10)
        self.dull = nn.Linear(16, 10)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        return SimpleNamespace(logits=self.loud(h) + 0.1 * self.dull(h))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Linear(6, 4)

    def forward(self, x):
        return self.layer(x) * torch.tensor([1.0, 2.0, 3.0, 0.0])


def batches(count=6, size=200, features=12):
    g = torch.Generator().manual_seed(5)
    return [torch.randn(size, features, generator=g) for _ in range(count)]


def kl(module, other, rows):
    with torch.no_grad():
        total = 0.0
        for x in rows:
            p, q = (m(x).logits.log_softmax(-1) for m in (module, other))
            total += float((p.exp() * (p - q)).sum(-1).mean()) / len(rows)
        return total


def test_fisher_predicts_the_divergence():
    module, rows = Net(), batches()
    found = survey(module, rows[0])
    f = fisher(module, rows, found)
    statistics = collect(module, rows, found.groups, moments=found.layers)
    heads = {name: group[0] for group in found.groups for name in group}
    for name in ("first", "loud", "dull"):
        noisy = copy.deepcopy(module)
        linear = getattr(noisy, name)
        lost = 0.02 * torch.randn(linear.weight.shape, generator=torch.Generator().manual_seed(2))
        linear.weight.data += lost
        predicted = float(output_errors(lost, statistics[heads[name]]) @ f[name]) / 2
        assert predicted == pytest.approx(kl(module, noisy, rows), rel=0.25)


def test_a_tenth_of_the_say_is_a_hundredth_of_the_sensitivity():
    module, rows = Net(), batches()
    f = fisher(module, rows, survey(module, rows[0]))
    torch.testing.assert_close(f["dull"], f["loud"] / 100)


def test_numbers_count_by_their_square_error():
    module, rows = Plain(), batches(features=6)
    f = fisher(module, rows, survey(module, rows[0]))
    torch.testing.assert_close(f["layer"], torch.tensor([1.0, 4.0, 9.0, 0.0]))


def test_all_that_an_encoder_returns_counts():
    class Encoder(Plain):
        def __init__(self):
            super().__init__()
            self.pooler = nn.Linear(4, 3)

        def forward(self, x):
            hidden = super().forward(x)
            return {"hidden": hidden, "pooled": 2 * self.pooler(hidden[..., :1, :]), "steps": 3}

    module, rows = Encoder(), batches(2, features=6)
    found = survey(module, rows[0])
    f = fisher(module, rows, found)
    torch.testing.assert_close(f["pooler"], torch.full((3,), 4.0))
    assert float(f["layer"][0]) > 1
    statistics = collect(module, rows, found.groups, moments=found.layers)
    d = differences(module, rows, found, statistics, solver=RoundToNearest(), bits=6)
    assert float(d["pooler"][0]) == pytest.approx(4, rel=0.2)


def test_the_module_is_left_as_it_is():
    module, rows = Net(), batches(2)
    module.first.weight.requires_grad_(False)
    before = {name: t.clone() for name, t in module.state_dict().items()}
    found = survey(module, rows[0])
    fisher(module, rows, found)
    statistics = collect(module, rows, found.groups, moments=found.layers)
    differences(module, rows, found, statistics, solver=RoundToNearest())
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())
    assert [p.requires_grad for p in module.first.parameters()] == [False, True]
    assert all(p.grad is None for p in module.parameters())


def test_finite_differences_are_near_fisher():
    module, rows = Net(), batches()
    found = survey(module, rows[0])
    statistics = collect(module, rows, found.groups, moments=found.layers)
    f = fisher(module, rows, found)
    d = differences(module, rows, found, statistics, solver=RoundToNearest(), bits=5)
    for name in ("first", "loud", "dull"):
        assert float(d[name].mean()) == pytest.approx(float(f[name].mean()), rel=0.4)
    assert 60 < float(d["loud"][0] / d["dull"][0]) < 160


def test_a_shared_embedding_is_left_alone():
    class Tied(nn.Module):
        def __init__(self, shared):
            super().__init__()
            torch.manual_seed(3)
            self.embedding = nn.Embedding(20, 12)
            self.head = nn.Linear(12, 20, bias=False)
            weight = self.embedding.weight
            self.head.weight = weight if shared else nn.Parameter(weight.detach().clone())

        def forward(self, ids):
            return SimpleNamespace(logits=self.head(self.embedding(ids)))

    rows = [torch.arange(20).repeat(5)]
    found_ = []
    for shared in (True, False):
        module = Tied(shared)
        found = survey(module, rows[0])
        statistics = collect(module, rows, found.groups, moments=found.layers)
        solver = RoundToNearest()
        found_.append(differences(module, rows, found, statistics, solver=solver)["head"])
        assert (module.head.weight is module.embedding.weight) == shared
    assert torch.equal(*found_)


def test_progress_ends_at_the_end():
    module, rows = Net(), batches(3)
    seen = []
    fisher(module, rows, survey(module, rows[0]), progress=lambda i, n: seen.append((i, n)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_layer_without_influence_is_named():
    class Dead(Net):
        def forward(self, x):
            self.dull(x @ torch.zeros(12, 16))
            return SimpleNamespace(logits=self.loud(torch.tanh(self.first(x))))

    module, rows = Dead(), batches(1)
    with pytest.raises(CompressError, match="'dull' has no influence"):
        fisher(module, rows, survey(module, rows[0]))
