import pytest
import torch
from torch import nn

from summand.compress import CompressError
from summand.compress.calibrate.calibration import collect


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 5)
        self.second = nn.Linear(5, 3)

    def forward(self, x):
        y = self.first(x)
        return self.second(y.relu_())


GROUPS = [["first"], ["second"]]


def batches(count=3):
    g = torch.Generator().manual_seed(0)
    return [torch.randn(2, 7, 6, generator=g) for _ in range(count)]


def test_moments_are_those_of_every_token():
    module = TwoInputs()
    seen = collect(module, batches(), GROUPS, moments=True)
    x = torch.cat(batches()).reshape(-1, 6)
    with torch.no_grad():
        y = module.first(x).relu()
    for name, tokens in (("first", x), ("second", y)):
        moments = seen[name].moments
        assert moments is not None
        torch.testing.assert_close(moments, tokens.T @ tokens / len(tokens))
        torch.testing.assert_close(seen[name].energy, tokens.square().mean(dim=0))
        assert seen[name].tokens == 42


def test_without_moments_there_is_energy():
    with_, without = (collect(TwoInputs(), batches(), GROUPS, moments=m) for m in (True, False))
    assert without["first"].moments is None
    torch.testing.assert_close(without["first"].energy, with_["first"].energy)


def test_moments_of_some_only():
    seen = collect(TwoInputs(), batches(), GROUPS, moments=["second"])
    assert [seen[name].moments is None for name in ("first", "second")] == [True, False]


def test_ranges_are_those_of_every_token():
    seen = collect(TwoInputs(), batches(), GROUPS, moments=False)
    x = torch.cat(batches()).reshape(-1, 6)
    low, high = seen["first"].low, seen["first"].high
    assert low is not None
    assert high is not None
    assert torch.equal(low, x.amin(dim=0))
    assert torch.equal(high, x.amax(dim=0))


@pytest.mark.parametrize("stride", [1, 3, 5, 16])
def test_sampled_tokens_are_evenly_spread(stride):
    seen = collect(TwoInputs(), batches(), GROUPS, moments=False, stride=stride)
    x = torch.cat(batches()).reshape(-1, 6)
    assert torch.equal(seen["first"].sample, x[::stride])


def test_silent_features_count_a_little():
    silent = [torch.zeros(2, 6), torch.tensor([[1.0, 0, 0, 0, 0, 0]])]
    energy = collect(TwoInputs(), silent, GROUPS, moments=False)["first"].energy
    assert bool((energy > 0).all())
    assert float(energy[1:].max()) < float(energy[0]) / 100


def test_the_same_every_time(llama):
    rows = [{"input_ids": torch.arange(i, i + 40)[None]} for i in range(4)]
    groups = [["model.layers.1.mlp.down_proj"]]
    a, b = (collect(llama.module, rows, groups, moments=True) for _ in range(2))
    first, second = a[groups[0][0]].moments, b[groups[0][0]].moments
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_named(bad):
    rows = batches()
    rows[1][0, 3, 2] = bad
    threads = torch.get_num_threads()
    module = TwoInputs()
    with pytest.raises(CompressError, match="'first' is fed with numbers that are not finite"):
        collect(module, rows, GROUPS, moments=True)
    assert torch.get_num_threads() == threads
    assert not module.first._forward_pre_hooks


def test_no_token_is_refused():
    with pytest.raises(CompressError, match="'first' was fed no token"):
        collect(TwoInputs(), [], GROUPS, moments=True)


def test_progress_is_told():
    told = []
    collect(TwoInputs(), batches(), GROUPS, moments=True, progress=lambda i, n: told.append((i, n)))
    assert told == [(1, 3), (2, 3), (3, 3)]
