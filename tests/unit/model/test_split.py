import pytest
import torch
from torch import nn

from summand.model import ModelError
from summand.model.split import SplitLinear, split, split_as


def net(*, bias=True):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Sequential(nn.Linear(8, 20, bias=bias)))


@pytest.mark.parametrize("bias", [True, False])
def test_parts_together_are_the_layer(bias):
    whole, parts = net(bias=bias), net(bias=bias)
    split(parts, "1.0", [9, 4, 7])
    found = parts.get_submodule("1.0")
    assert isinstance(found, SplitLinear)
    assert [name for name, _ in found.named_children()] == ["0", "1", "2"]
    assert [part.out_features for part in found.children()] == [9, 4, 7]
    weights = tuple(parts.get_parameter(f"1.0.{i}.weight") for i in range(3))
    assert torch.equal(torch.cat(weights), whole.get_parameter("1.0.weight"))
    x = torch.randn(2, 3, 6)
    assert torch.allclose(parts(x), whole(x), atol=1e-6)


def test_parts_share_the_layers_memory():
    module = net()
    weight = module.get_parameter("1.0.weight")
    split(module, "1.0", [10, 10])
    with torch.no_grad():
        weight.fill_(3)
    assert set(module.get_parameter("1.0.1.weight").flatten().tolist()) == {3}


@pytest.mark.parametrize("bias", [True, False])
def test_parts_of_an_order_together_are_the_layer(bias):
    whole, parts = net(bias=bias), net(bias=bias)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    split(parts, "1.0", [9, 4, 7], order)
    weights = tuple(parts.get_parameter(f"1.0.{i}.weight") for i in range(3))
    assert torch.equal(torch.cat(weights), whole.get_parameter("1.0.weight")[order])
    x = torch.randn(2, 3, 6)
    assert torch.allclose(parts(x), whole(x), atol=1e-6)
    assert torch.equal(parts.state_dict()["1.0.output_order"], order)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (
            torch.arange(19),
            r"^1.0.output_order must be int64 of shape \(20,\), not torch.int64 of \(19,\)",
        ),
        (torch.arange(20.0), r"must be int64 of shape \(20,\), not torch.float32 of \(20,\)"),
        (torch.arange(20) // 2, "^1.0.output_order must name each of 20 outputs once"),
        (torch.arange(20) - 1, "^1.0.output_order must name each of 20 outputs once"),
    ],
)
def test_what_is_no_order_is_refused(order, why):
    with pytest.raises(ModelError, match=why):
        split(net(), "1.0", [9, 11], order)


@pytest.mark.parametrize("name", ["1", "1.1", "1.0"])
def test_what_cannot_be_split_is_named(name):
    with pytest.raises(ModelError, match=rf"no layer '{name}' of 19 outputs"):
        split(net(), name, [9, 10])


def test_layers_are_split_as_they_were():
    module = net()
    outputs = {f"1.0.{i}": 1 for i in range(11)} | {"0": 8, "1.0.11": 9}
    split_as(module, ["1.0"], outputs, {})
    sizes = [part.out_features for part in module.get_submodule("1.0").children()]
    assert sizes == [1] * 11 + [9]
    assert isinstance(module[0], nn.Linear)
