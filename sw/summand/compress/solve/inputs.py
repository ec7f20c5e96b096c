"""What solvers see of a layer's input."""

import torch

from summand.compress.calibrate.calibration import InputStatistics
from summand.model import Transform
from summand.summands.integers import quantise
from summand.summands.solving import Inputs

__all__ = ["inputs_of"]


def inputs_of(
    statistics: InputStatistics, act_bits: int, transform: Transform | None = None
) -> Inputs:
    """Return a layer's inputs for solvers; ``statistics`` are of those behind ``transform``."""
    groups = None if transform is None else transform.groups
    x, lift = statistics.sample.numpy(), None
    if groups is None:
        whole, scales = quantise(x, act_bits)
    else:
        whole, scales = groups.quantise(x, act_bits)
        lift = torch.from_numpy(groups.lift)
    xq = torch.from_numpy(whole).float()
    return Inputs(
        energy=statistics.energy,
        moments=statistics.moments,
        xq=xq if lift is None else xq * lift.float(),
        s_x=torch.from_numpy(scales),
        act_bits=act_bits,
        lift=lift,
    )
