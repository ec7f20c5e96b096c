import pytest
import torch
from torch import nn
from torch.nn import functional

from summand.compress import CompressError, survey


class Block(nn.Module):
    """Two layers on one tensor, one on the same tensor after it was changed, one unused."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.a = nn.Linear(4, 3)
        self.b = nn.Linear(4, 5, bias=False)
        self.late = nn.Linear(4, 2)
        self.copy = nn.Linear(4, 2)
        self.unused = nn.Linear(4, 2)
        self.by_hand = nn.Linear(4, 2)
        self.conv = nn.Conv1d(1, 1, 1)

    def forward(self, x):
        x = self.norm(x)
        first = self.a(x).sum() + self.b(x).sum() + self.copy(x.clone()).sum()
        x += 1
        y = functional.linear(x, self.by_hand.weight, self.by_hand.bias)
        return first + self.late(x).sum() + y.sum() + self.conv(x[:, None]).sum()


def test_layers_are_grouped_by_their_input():
    found = survey(Block(), torch.randn(2, 4))
    assert found.groups == (("a", "b"), ("copy",), ("late",))
    assert found.layers == ("a", "b", "copy", "late")


def test_what_stays_on_the_host_has_a_reason():
    found = survey(Block(), torch.randn(2, 4))
    assert {(e.name, e.kind, e.parameters): e.reason for e in found.host} == {
        ("norm", "LayerNorm", 8): "works element by element",
        ("unused", "Linear", 10): "never called with the calibration input",
        ("by_hand", "Linear", 10): "never called with the calibration input",
        ("conv", "Conv1d", 2): "not an nn.Linear",
    }


def test_every_parameter_is_somewhere(llama):
    module = llama.module
    found = survey(module, {"input_ids": torch.arange(5)[None]})
    layers = sum(module.get_submodule(n).weight.numel() for n in found.layers)
    host = sum(e.parameters for e in found.host)
    # The head shares its weights with the embedding, which stays.
    assert layers + host == sum(p.numel() for p in module.parameters()) + 256 * 48


def test_a_llama_has_the_groups_it_is_known_for(llama):
    found = survey(llama.module, {"input_ids": torch.arange(5)[None]})
    block = "model.layers.1."
    assert found.groups[4:] == (
        tuple(f"{block}self_attn.{p}_proj" for p in "qkv"),
        (f"{block}self_attn.o_proj",),
        (f"{block}mlp.gate_proj", f"{block}mlp.up_proj"),
        (f"{block}mlp.down_proj",),
        ("lm_head",),
    )


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x,), lambda x: {"input": x}])
def test_inputs_may_come_in_any_way(wrap):
    assert survey(nn.Sequential(nn.Linear(4, 2)), wrap(torch.zeros(1, 4))).layers == ("0",)


def test_layers_that_are_called_twice_are_compressed_once():
    shared = nn.Linear(4, 4)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = shared

        def forward(self, x):
            return self.shared(self.shared(x))

    assert survey(Twice(), torch.zeros(1, 4)).groups == (("shared",),)


def test_layers_of_two_names_are_left_alone():
    linear = nn.Linear(4, 4)
    found = survey(nn.Sequential(linear, linear, nn.Linear(4, 4)), torch.zeros(1, 4))
    assert found.layers == ("2",)
    assert [(e.name, e.reason) for e in found.host] == [
        ("0", "also called 1; a layer of several names is left alone")
    ]


def test_layers_that_compute_something_else_are_left_alone():
    class Doubled(nn.Linear):
        def forward(self, input):
            return 2 * super().forward(input)

    found = survey(nn.Sequential(nn.Linear(4, 4), Doubled(4, 4)), torch.zeros(1, 4))
    assert found.layers == ("0",)
    assert [e.reason for e in found.host] == ["a kind of nn.Linear with a forward of its own"]


def test_hooks_are_taken_away_again():
    module = nn.Sequential(nn.Linear(4, 4))
    survey(module, torch.zeros(1, 4))
    assert not module[0]._forward_pre_hooks


def test_nothing_to_compress():
    with pytest.raises(CompressError, match="nothing to compress"):
        survey(nn.Sequential(nn.ReLU()), torch.zeros(1, 4))
    with pytest.raises(CompressError, match=r"wrap it in nn\.Sequential"):
        survey(nn.Linear(4, 4), torch.zeros(1, 4))
