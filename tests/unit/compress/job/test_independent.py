import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from summand.compress import Choice, CompressError, Options, compress_layers, survey
from summand.recipe.choice import choices_of
from summand.schedule.terms import Direct, Factored
from summand.summands.dense import Dense
from summand.summands.dense.solve import RoundToNearest
from summand.summands.dense.solve.problem import DenseSolution
from summand.summands.lowrank.solve.named import LOW_RANK_SOLVERS


def mlp(seed=0, bias=True):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(48, 64, bias=bias), nn.ReLU(), nn.Linear(64, 40, bias=bias), nn.Linear(40, 50)
    )


def batches(seed=1, count=4):
    g = torch.Generator().manual_seed(seed)
    mix = torch.randn(48, 48, generator=g)
    return [torch.randn(60, 48, generator=g) @ mix for _ in range(count)]


def compress(module, options, rows=None, heads=(), **more):
    rows = batches() if rows is None else rows
    found = survey(module, rows[0])
    choices = choices_of(options, found.layers, heads=heads)
    return {
        layer.name: (layer, error)
        for layer, error in compress_layers(module, rows, found, choices, **more)
    }


def test_every_layer_is_compressed_as_asked():
    done = compress(mlp(), Options(bits=5, rank=3, rank_bits=6, head_bits=7), heads=("3",))
    assert list(done) == ["0", "2", "3"]
    for name in "02":
        assert done[name][0].sizes.terms == (
            Direct(planes=5),
            Factored(rank=3, first=6, second=6, shift=4),
        )
    assert done["3"][0].sizes.terms == (Direct(planes=7),)


def test_each_layer_may_get_something_else():
    module, rows = mlp(), batches()
    found = survey(module, rows[0])
    base = choices_of(Options(solver="rtn"), found.layers)
    choices = base | {
        "2": Choice.of(Options(bits=3, group=16, solver="gptq"), head=False),
        "3": Choice.of(Options(bits=2, rank=4), head=False),
    }
    done = {layer.name: layer for layer, _ in compress_layers(module, rows, found, choices)}
    first, second, third = (done[name].sizes for name in found.layers)
    assert first.terms == (Direct(planes=4),)
    assert second.terms == (Direct(planes=3, group=16, scale_bits=Options().scale_bits),)
    assert third.terms[0] == Direct(planes=2)
    assert [(i, term.rank) for i, term in third.factored] == [(1, 4)]


def test_the_solver_is_the_one_that_was_chosen():
    """GPTQ gives lower errors on the text that it was calibrated on."""
    rtn, gptq = (compress(mlp(), Options(bits=3, solver=s)) for s in ("rtn", "gptq"))
    for name in rtn:
        assert gptq[name][1] < rtn[name][1]


def test_the_module_is_left_as_it_is():
    module = mlp()
    before = {name: t.clone() for name, t in module.state_dict().items()}
    compress(module, Options(rank=2))
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())


@pytest.mark.parametrize("bias", [True, False])
def test_the_error_is_that_of_the_output(bias):
    module, rows = mlp(bias=bias), batches()
    layer, error = compress(module, Options(bits=3), rows)["0"]
    x = torch.cat(rows)[::16]
    added = 0 if layer.bias is None else torch.from_numpy(layer.bias)
    with torch.no_grad():
        want = module[0](x) - added
    got = torch.from_numpy(layer.forward(x.numpy())) - added
    assert error == pytest.approx(float((got - want).norm() / want.norm()), rel=1e-4)


def test_bits_and_rank_lower_the_error():
    def total(**options):
        return sum(error for _, error in compress(mlp(), Options(**options)).values())

    by_bits = [total(bits=b, head_bits=b, act_bits=10) for b in (2, 3, 4, 6, 8)]
    assert by_bits == sorted(by_bits, reverse=True)
    assert by_bits[-1] < 0.04
    by_rank = [total(bits=3, rank=r, rank_bits=8, acc_shift=2) for r in (0, 2, 8, 24)]
    assert by_rank == sorted(by_rank, reverse=True)


def test_the_same_every_time():
    a, b = (compress(mlp(), Options(rank=4)) for _ in range(2))
    for name, (layer, error) in a.items():
        other, same = b[name]
        assert error == same
        assert (layer.matrix() == other.matrix()).all()


@settings(deadline=None, max_examples=25)
@given(
    bits=st.integers(1, 8),
    rank=st.integers(0, 6),
    rank_bits=st.integers(1, 8),
    act_bits=st.integers(4, 10),
    acc_shift=st.integers(0, 8),
    acc_bits=st.integers(24, 32),
)
@example(bits=8, rank=1, rank_bits=1, act_bits=4, acc_shift=8, acc_bits=24)  # a weight of -128
def test_no_accumulator_can_overflow(bits, rank, rank_bits, act_bits, acc_shift, acc_bits):
    options = Options(
        bits=bits,
        rank=rank,
        rank_bits=rank_bits,
        act_bits=act_bits,
        acc_shift=acc_shift,
        acc_bits=acc_bits,
    )
    for layer, _ in compress(mlp(), options, batches(count=1)).values():
        assert layer.acc_bits <= acc_bits
        assert layer.act_bits == act_bits


def test_narrow_accumulators_stretch_the_scale():
    """Sums of 48 8-bit weights do not fit 18 bits; coarser ones do, with a larger error."""
    wide, wide_error = compress(mlp(), Options(bits=8))["0"]
    narrow, narrow_error = compress(mlp(), Options(bits=8, acc_bits=18))["0"]
    assert wide.acc_bits > 18
    assert narrow.acc_bits <= 18
    assert wide_error < narrow_error < 0.2


def test_hopeless_accumulators_are_refused():
    options = Options(rank=40, rank_bits=8, acc_bits=16)
    # Both layers are refused; whichever of two threads comes to it first is told of.
    with pytest.raises(CompressError, match=r"layer '[02]': no scale keeps.*raise acc_bits"):
        compress(mlp(), options)


@pytest.mark.parametrize("what", ["weight", "bias"])
@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_numbers_that_are_not_finite_are_named(what, bad):
    module = mlp()
    with torch.no_grad():
        getattr(module[2], what)[3] = bad
    count = {"weight": "64 of 2560", "bias": "1 of 40"}[what]
    found = survey(module, batches()[0])
    with pytest.raises(CompressError, match=f"layer '2': {count} numbers of its {what}"):
        list(compress_layers(module, batches(), found, choices_of(Options(), found.layers)))


def test_a_rank_above_the_matrix_is_refused_first():
    told = []
    with pytest.raises(CompressError, match=r"at most 40, not 41: layer '2' is 40 x 64"):
        compress(mlp(), Options(rank=41), progress=lambda *args: told.append(args))
    assert told == []


def test_inputs_that_do_not_go_everywhere_are_said():
    module, said = mlp(), []
    compress(module, Options(bits=3), notice=said.append)
    few = [batches()[0][:20]]
    assert said == []
    compress(module, Options(bits=3), few, notice=said.append)
    (text,) = said
    assert text.startswith("the inputs of 3 of 3 groups of layers, the first of them '0', do not")


@pytest.mark.parametrize("rank_solver", list(LOW_RANK_SOLVERS))
@pytest.mark.parametrize("rank_order", ["after", "before", "alternating"])
def test_every_way_to_a_low_rank_summand_lowers_the_error(rank_solver, rank_order):
    module = mlp()
    plain = compress(module, Options(bits=2))["0"][1]
    options = Options(bits=2, rank=12, rank_bits=6, rank_solver=rank_solver, rank_order=rank_order)
    layer, error = compress(module, options)["0"]
    assert len(layer.sizes.factored) == 1
    assert error < plain


def test_a_low_rank_summand_may_be_alone():
    options = Options(bits=0, rank=30, rank_bits=8, rank_solver="iterative", group=16)
    done = compress(mlp(), options, heads=("3",))
    layer, error = done["0"]
    assert layer.sizes.terms == (Factored(rank=30, first=8, second=8),)
    assert error < 0.5
    assert done["3"][0].sizes.direct


def test_any_solver_will_do():
    class Ternary:
        name = "ternary"
        needs_moments = True

        def solve(self, problem):
            assert problem.moments is not None
            scale = problem.weight.abs().mean(dim=1)
            q = (problem.weight / scale[:, None]).round().clamp(-1, 1)
            return DenseSolution(q.to(torch.int8), scale)

    layer, _ = compress(mlp(), Options(bits=2), solvers={"dense": Ternary()})["0"]
    (summand,) = layer.summands
    assert isinstance(summand, Dense)
    assert set(summand.weights.flatten().tolist()) == {-1, 0, 1}
    assert not RoundToNearest().needs_moments


def test_progress_ends_at_the_end():
    told = []
    compress(mlp(), Options(), progress=lambda *args: told.append(args))
    weights = 48 * 64 + 64 * 40 + 40 * 50
    assert told[3] == ("calibrating", 4, 4)
    assert told[-1] == ("compressing", weights, weights)
