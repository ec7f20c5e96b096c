import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from summand.isa import SummandError
from summand.model import Layer, Transform
from summand.runtime import Driver, GoldenDevice
from summand.runtime.modules import LayerGroup, SummandLinear, replace_linears
from summand.schedule.errors import CompileError
from summand.summands.errors import LayerError


class CountingDriver(Driver):
    """A driver that counts its calls."""

    runs = 0

    def run(self, program, xq):
        self.runs += 1
        return super().run(program, xq)


@pytest.fixture
def driver(config) -> CountingDriver:
    return CountingDriver(GoldenDevice(config))


@pytest.fixture
def pair(config, make_layer, driver) -> tuple[SummandLinear, SummandLinear]:
    """Two layers that share an input."""
    group = LayerGroup(
        driver, [make_layer(config, name="m.q", rank=4), make_layer(config, name="m.k", n=9)]
    )
    return SummandLinear(group, 0), SummandLinear(group, 1)


def expected(linear: SummandLinear, x: torch.Tensor) -> np.ndarray:
    layer = linear._group.layers[linear._index]
    flat = x.detach().float().reshape(-1, x.shape[-1]).numpy()
    return layer.forward(flat).reshape(*x.shape[:-1], layer.out_features)


def same(linear: SummandLinear, x: torch.Tensor) -> None:
    np.testing.assert_array_equal(linear(x).float().numpy(), expected(linear, x))


@pytest.mark.parametrize("shape", [(24,), (3, 24), (2, 5, 24), (0, 24), (1, 1, 24)])
def test_any_leading_shape(pair, shape):
    same(pair[0], torch.randn(shape, generator=torch.Generator().manual_seed(1)))


def test_bias_and_output_features(config, make_layer, driver):
    layer = make_layer(config, n=7)
    layer = dataclasses.replace(layer, bias=np.arange(7, dtype=np.float32))
    linear = SummandLinear(LayerGroup(driver, [layer]), 0)
    same(linear, torch.randn(2, 24))
    assert (linear.in_features, linear.out_features) == (24, 7)


def test_inputs_are_transformed_for_the_whole_group(config, make_layer, driver):
    balance = np.linspace(0.5, 2, 24, dtype=np.float32)
    layers = [
        dataclasses.replace(
            make_layer(config, name=name, rank=2), transform=Transform(24, balance.copy(), 5)
        )
        for name in ("m.q", "m.k")
    ]
    group = LayerGroup(driver, layers)
    x = torch.randn(3, 24, generator=torch.Generator().manual_seed(1))
    for index in range(2):
        same(SummandLinear(group, index), x)
    assert driver.runs == 1
    other = dataclasses.replace(layers[1], transform=Transform(24, balance, 6))
    with pytest.raises(CompileError, match="'m.k': its input is balanced, rotated or grouped in"):
        LayerGroup(driver, [layers[0], other])


def test_result_has_the_inputs_type(pair):
    x = torch.randn(2, 24).to(torch.bfloat16)
    assert pair[0](x).dtype == torch.bfloat16
    assert pair[0](x.double()).dtype == torch.float64


def test_rows_of_zeros_and_of_tiny_numbers(pair):
    x = torch.zeros(3, 24)
    x[1] = 1e-44
    x[2, 3] = -7.0
    same(pair[0], x)
    assert not pair[0](x)[0].any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_activations_that_are_not_finite_are_refused_by_name(pair, value):
    x = torch.zeros(2, 24)
    x[1, 5] = value
    with pytest.raises(LayerError, match=r"'m\.q': activations must be finite"):
        pair[0](x)
    same(pair[0], torch.ones(2, 24))


def test_one_run_serves_all_layers_of_a_group(pair, driver):
    for _ in range(3):
        x = torch.randn(2, 24)
        for linear in pair:
            same(linear, x)
    assert driver.runs == 3


def test_equal_values_in_another_tensor_are_computed(pair, driver):
    x = torch.randn(2, 24)
    same(pair[0], x)
    same(pair[1], x.clone())
    assert driver.runs == 2


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_tensor_changed_in_place_is_computed_anew(pair, driver, mode):
    with mode():
        x = torch.randn(2, 24)
        same(pair[0], x)
        x.mul_(-0.5)
        same(pair[1], x)
        same(pair[0], x)
    assert driver.runs == 2


def test_inference_mode_shares(pair, driver):
    with torch.inference_mode():
        x = torch.randn(2, 24)
        for linear in pair:
            same(linear, x)
    assert driver.runs == 1


def test_result_is_handed_out_once(pair, driver):
    """A caller may change the tensor that it gets."""
    x = torch.randn(2, 24)
    pair[0](x).zero_()
    same(pair[0], x)
    same(pair[1], x)
    assert driver.runs == 2


def test_nothing_is_kept_once_all_results_are_fetched(pair):
    x = torch.randn(2, 24)
    for linear in pair:
        linear(x)
    assert pair[0]._group._shared._x is None


def test_wrong_number_of_features(pair):
    with pytest.raises(CompileError, match=r"'m\.k': the input must have 24 features, not 23"):
        pair[1](torch.zeros(2, 23))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(24, 20, bias=False)
        self.gate = nn.Linear(24, 20, bias=False)
        self.down = nn.Linear(20, 24, bias=False)
        self.norm = nn.LayerNorm(24)

    def forward(self, x):
        return self.norm(x + self.down(torch.tanh(self.up(x)) * self.gate(x)))


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(Block(), Block())


@pytest.fixture
def layers(model, config, make_layer) -> dict[str, Layer]:
    """Compressed layers in the place of all linear ones."""
    return {
        name: make_layer(config, name=name, k=m.in_features, n=m.out_features, seed=i)
        for i, (name, m) in enumerate(model.named_modules())
        if isinstance(m, nn.Linear)
    }


def test_linears_of_a_module_are_replaced(model, layers, driver):
    named: list[str] = []
    groups = [("0.up", "0.gate"), ("1.up", "1.gate")]
    made = replace_linears(model, layers, groups, driver, progress=named.append)
    assert named == ["0.up+gate", "0.down", "1.up+gate", "1.down"]
    assert [len(group.layers) for group in made] == [2, 1, 2, 1]
    assert "SummandLinear(in_features=24, out_features=20, dense 4 bits)" in repr(model)

    reference = nn.Sequential(Block(), Block())
    reference.load_state_dict(model.state_dict(), strict=False)
    for name, layer in layers.items():
        forward = layer.forward
        reference.get_submodule(name).forward = lambda x, f=forward: torch.from_numpy(f(x.numpy()))
    x = torch.randn(3, 24)
    with torch.no_grad():
        torch.testing.assert_close(model(x), reference(x), rtol=0, atol=0)
    assert driver.runs == 4


def test_repr_names_both_summands(config, make_layer, driver):
    group = LayerGroup(driver, [make_layer(config, bits=0, rank=3)])
    assert repr(SummandLinear(group, 0)) == (
        "SummandLinear(in_features=24, out_features=20, rank 3, 4 bits)"
    )


def test_layers_of_another_model(model, layers, config, make_layer, driver):
    def replace(name, **sizes):
        replace_linears(model, {name: make_layer(config, name=name, **sizes)}, [], driver)

    with pytest.raises(SummandError, match="no module '7.up'"):
        replace("7.up")
    with pytest.raises(SummandError, match="'0.norm' is a LayerNorm"):
        replace("0.norm")
    with pytest.raises(SummandError, match="'0.up' maps 24 features to 20, .* 24 to 21"):
        replace("0.up", n=21)
    with pytest.raises(SummandError, match="'0.up' is in two groups"):
        replace_linears(model, layers, [("0.up",), ("0.gate", "0.up")], driver)
    assert not any(isinstance(m, SummandLinear) for m in model.modules())
