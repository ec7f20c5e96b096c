"""Layers whose inputs have a few loud channels, which get groups of their own."""

import numpy as np
import pytest
import torch
from torch import nn

from summand.compress import Options, compress_layers, survey
from summand.compress.job.in_order import compress_layers_in_order
from summand.compress.twin.integer import replace
from summand.model import Layer
from summand.recipe.choice import choices_of

PLAIN = {"bits": 8, "head_bits": 8, "act_bits": 5, "balance": False, "rotate": False}
GROUPED = {**PLAIN, "act_groups": 8, "act_block": 8}


class Net(nn.Module):
    """Two layers that share an input, and one behind them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.out = nn.Linear(48, 40), nn.Linear(48, 40), nn.Linear(40, 24)
        with torch.no_grad():  # what is loud means no more than what is not
            self.a.weight[:, ::12] /= 64
            self.b.weight[:, ::12] /= 64

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.a(x).relu() * self.b(x))


def batches(seed: int) -> list[torch.Tensor]:
    """Return inputs some channels of which are 64 times as loud, around a centre of their own."""
    g = torch.Generator().manual_seed(seed)
    loud = torch.ones(48)
    loud[::12] = 64
    return [torch.randn(60, 48, generator=g) * loud + 2 * loud.roll(1) for _ in range(4)]


def compressed(options: Options) -> list[Layer]:
    module, rows = Net(), batches(1)
    found = survey(module, rows[0])
    choices = choices_of(options, found.layers)
    way = compress_layers_in_order if options.sequential else compress_layers
    return [layer for layer, _ in way(module, rows, found, choices)]


def error(layers: list[Layer]) -> float:
    plain, ours = Net(), Net()
    for layer in layers:
        replace(ours, layer)
    with torch.no_grad():
        want, got = (torch.cat([module(x) for x in batches(2)]) for module in (plain, ours))
    return float((got - want).norm() / want.norm())


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("more", [{}, {"rank": 4, "rank_bits": 8}])
def test_quiet_channels_are_rounded_finely(sequential, more):
    plain, grouped = (
        compressed(Options(**{**options, **more}, sequential=sequential))
        for options in (PLAIN, GROUPED)
    )
    assert all(layer.groups is None for layer in plain)
    first = grouped[0].groups
    assert first is not None
    assert grouped[0].transform is grouped[1].transform
    assert not np.any(np.array([at for at, _ in first.borders]) % 8)
    assert error(grouped) < 0.5 * error(plain)


def test_narrow_accumulators_are_kept():
    layers = compressed(Options(**GROUPED, acc_bits=20))
    assert max(layer.acc_bits for layer in layers) <= 20
    wide = compressed(Options(**GROUPED))
    assert max(layer.acc_bits for layer in wide) > 20
