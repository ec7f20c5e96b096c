"""A small network, what allocation chooses for it, and what is read from choices."""

import torch
from torch import nn

from summand.compress import Options, survey
from summand.compress.allocate.candidates import Space
from summand.compress.job.choose import choose
from summand.summands.dense import DenseChoice
from summand.summands.lowrank import LowRankChoice
from summand.summands.outliers import OutliersChoice


class Net(nn.Module):
    """Two layers that share an input, one of which has little effect, and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.loud = nn.Linear(96, 64)
        self.dull = nn.Linear(96, 64)
        self.head = nn.Linear(64, 80)

    def forward(self, x):
        return self.head(torch.tanh(self.loud(x) + 0.01 * self.dull(x)))


def batches(count=4):
    g = torch.Generator().manual_seed(1)
    mix = torch.randn(96, 96, generator=g) / 10
    return [torch.randn(150, 96, generator=g) @ mix for _ in range(count)]


def found(module):
    return survey(module, batches()[0])


def allocation(target, *, fixed=("group",), options=None, **more):
    module = Net()
    options = options or Options(group=32)
    space = Space.of(options, fixed, target.engine)
    return choose(module, batches(), found(module), space, target, heads=("head",), **more)


def dense(choice):
    """Return what is chosen as the dense summand."""
    (found,) = (s for s in choice.summands if isinstance(s, DenseChoice))
    return found


def rank(choice):
    """Return the rank that is chosen, or 0."""
    return sum(s.rank for s in choice.summands if isinstance(s, LowRankChoice))


def outliers(choice):
    """Return the pattern of the outliers that are chosen, if there are any."""
    return next((s.pattern for s in choice.summands if isinstance(s, OutliersChoice)), None)
