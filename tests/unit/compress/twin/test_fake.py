"""Layers with trained scales: exact forwards, and gradients against layers that round nothing."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from summand.compress.twin.fake import TrainedLinear
from summand.compress.twin.integer import IntegerLinear
from summand.model import Layer, Transform
from summand.summands.base import Summand
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank

from .conftest import differing

K, N, R = 48, 20, 5


def layer(
    *, dense: bool = True, group: int = 0, rank: bool = True, bias: bool = False, act_bits: int = 8
) -> Layer:
    """Return a layer whose T uses most of its range and never saturates."""
    rng = np.random.default_rng(0)
    scales = {}
    if group:
        numbers = rng.integers(1, 16, (-(-K // group), N)).astype(np.uint8)
        scales = {"scales": numbers, "scale_bits": 4, "group": group}
    factors = LowRank(
        a=rng.integers(-8, 8, (K, R)).astype(np.int8),
        a_bits=4,
        b=rng.integers(-8, 8, (R, N)).astype(np.int8),
        b_bits=4,
        mult=rng.integers(30000, 60000, R).astype(np.uint16),
        shift=np.full(R, 22, np.uint8),
        acc_shift=4 if dense else 0,
    )
    summands: list[Summand] = []
    if dense:
        summands.append(Dense(rng.integers(-4, 4, (K, N)).astype(np.int8), 3, **scales))
    if rank:
        summands.append(factors)
    return Layer(
        name="layer",
        in_features=K,
        out_features=N,
        act_bits=act_bits,
        summands=tuple(summands),
        scale=(rng.normal(size=N) / 1000).astype(np.float32),
        bias=rng.normal(size=N).astype(np.float32) if bias else None,
        transform=Transform(K, np.exp(rng.normal(size=K) / 4).astype(np.float32), 7),
    )


KINDS = [
    {"rank": False},
    {"rank": False, "group": 16},
    {"bias": True},
    {"dense": False},
    {"group": 20, "bias": True, "act_bits": 10},
]


def tokens() -> torch.Tensor:
    return torch.randn(2, 9, K, generator=torch.Generator().manual_seed(1))


def gain(trained: TrainedLinear, index: int) -> nn.Parameter:
    """Return what a summand's twin trains."""
    found = trained.twins[index].gain
    assert isinstance(found, nn.Parameter)
    return found


def changed(begin: Layer, *, bias: bool = True) -> TrainedLinear:
    """Return a layer that was trained in some way."""
    trained = TrainedLinear(begin, bias=bias)
    trained(tokens())
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for p in trained.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) / 3)
    return trained


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_trained_is_what_is_written(kind):
    begin = layer(**kind)
    trained = changed(begin)
    after = trained.trained(begin)
    y = trained(tokens()).detach()
    assert torch.equal(y, IntegerLinear(after)(tokens()))
    np.testing.assert_array_equal(after.forward(tokens().reshape(-1, K).numpy()), y.reshape(-1, N))
    assert not np.array_equal(after.scale, begin.scale)
    assert after.bias is not None


@pytest.mark.parametrize("kind", KINDS)
def test_integers_stay(kind):
    begin = layer(**kind)
    after = changed(begin).trained(begin)
    assert (after.bits, after.acc_bits) == (begin.bits, begin.acc_bits)
    for old, new in zip(begin.summands, after.summands, strict=True):
        assert differing(old, new) == ({"mult"} if isinstance(old, LowRank) else set())


@pytest.mark.parametrize("kind", KINDS)
def test_at_first_nothing_is_changed(kind):
    begin = layer(**kind)
    trained = TrainedLinear(begin, bias=False)
    assert torch.equal(trained(tokens()), IntegerLinear(begin)(tokens()))
    after = trained.trained(begin)
    np.testing.assert_array_equal(after.scale, begin.scale)
    if begin.bias is None:
        assert after.bias is None
    else:
        np.testing.assert_array_equal(after.bias, begin.bias)
    for old, new in zip(begin.summands, after.summands, strict=True):
        assert differing(old, new) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_a_layer_that_rounds_nothing(kind):
    begin = layer(**kind)
    trained = TrainedLinear(begin, bias=False)
    x = tokens().requires_grad_()
    pull = torch.randn(2, 9, N, generator=torch.Generator().manual_seed(3))
    trained(x).backward(pull)
    assert begin.transform is not None
    mix = torch.from_numpy(begin.transform.apply(np.eye(K, dtype=np.float32)))
    smooth = tokens().double().requires_grad_()
    scale = torch.from_numpy(begin.scale).double().requires_grad_()
    matrix = torch.zeros(K, N, dtype=torch.float64)
    mults: dict[int, torch.Tensor] = {}
    for i, summand in enumerate(begin.summands):
        matrix = matrix * 2.0**summand.acc_shift
        if isinstance(summand, LowRank):
            mults[i] = torch.from_numpy(summand.mult.astype(float)).requires_grad_()
            factor = mults[i] * torch.from_numpy(np.ldexp(1.0, -summand.shift.astype(int)))
            a, b = (torch.from_numpy(m.astype(float)) for m in (summand.a, summand.b))
            matrix = matrix + (a * factor) @ b
        else:
            matrix = matrix + torch.from_numpy(summand.matrix())
    y = smooth @ mix.double() @ matrix * scale
    y.backward(pull.double())
    assert x.grad is not None
    assert smooth.grad is not None
    torch.testing.assert_close(x.grad.double(), smooth.grad, rtol=1e-4, atol=1e-6)
    # Those of scales are of sums over rounded tokens.
    assert trained.gain.grad is not None
    assert scale.grad is not None
    torch.testing.assert_close(
        trained.gain.grad.double(), scale.grad * scale.detach(), rtol=0.1, atol=0.05
    )
    assert mults.keys() == {i for i, _ in begin.sizes.factored}
    for i, mult in mults.items():
        assert mult.grad is not None
        want = (mult.grad * mult.detach()).float()
        torch.testing.assert_close(gain(trained, i).grad, want, rtol=0.1, atol=0.05)


def test_no_gradient_comes_through_a_saturated_intermediate():
    begin = layer()
    dense, factors = begin.summands
    assert isinstance(factors, LowRank)
    loud = dataclasses.replace(factors, shift=np.full(R, 8, np.uint8))
    trained = TrainedLinear(dataclasses.replace(begin, summands=(dense, loud)))
    alone = TrainedLinear(dataclasses.replace(begin, summands=(dense,)))
    x, other = tokens().requires_grad_(), tokens().requires_grad_()
    trained(x).sum().backward()
    (alone(other).sum() * 16).backward()
    torch.testing.assert_close(x.grad, other.grad)
    found = gain(trained, 1).grad
    assert found is not None
    assert not found.any()


def test_multipliers_stay_within_sixteen_bits():
    begin = layer()
    trained = TrainedLinear(begin)
    with torch.no_grad():
        gain(trained, 1).fill_(10.0)
    factors = trained.trained(begin).summands[1]
    assert isinstance(factors, LowRank)
    assert (factors.mult == 65535).all()


@pytest.mark.parametrize(("asked", "has", "trains"), [(True, False, True), (False, True, True),
                                                      (False, False, False)])  # fmt: skip
def test_which_layers_train_a_bias(asked, has, trains):
    trained = TrainedLinear(layer(bias=has), bias=asked)
    assert (trained.offset is not None) == trains
