import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from summand.model.architectures import as_linears


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = Conv1D(12, 5)
        self.down = nn.Linear(12, 5)

    def forward(self, x):
        return self.down(self.up(x))


def test_a_conv1d_becomes_the_same_linear_layer():
    torch.manual_seed(0)
    block = Block()
    module = nn.Sequential(block, nn.ReLU())
    x = torch.randn(3, 4, 5)
    want, weight = module(x), block.up.weight
    assert as_linears(module) == ("0.up",)
    up = module.get_submodule("0.up")
    assert isinstance(up, nn.Linear)
    assert (up.in_features, up.out_features) == (5, 12)
    assert up.weight.data_ptr() == weight.data_ptr()
    torch.testing.assert_close(module(x), want)


def test_weights_on_the_meta_device_stay_there():
    module = Block().to("meta")
    as_linears(module)
    assert module.up.weight.is_meta
    assert module.up.weight.shape == (12, 5)


def test_other_layers_stay_as_they_are():
    module = nn.Sequential(nn.Linear(4, 4), nn.Conv1d(2, 2, 1))
    before = list(module)
    assert as_linears(module) == ()
    assert list(module) == before
