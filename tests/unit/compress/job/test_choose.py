import pytest

from summand.compress import CompressError, Options, compress_layers, survey
from summand.compress.allocate.candidates import choice_bits
from summand.compress.job.budget import BitBudget
from summand.isa import SummandError
from summand.summands.lowrank import LowRankChoice

from .conftest import Net, allocation, batches, dense, found, rank


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
