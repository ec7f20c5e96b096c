"""What solvers see of a layer's input."""

import torch

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.twin.integer import quantise_tokens
from summand.model import Transform
from summand.summands.solving import Inputs

__all__ = ["inputs_of"]


def inputs_of(
    statistics: InputStatistics, act_bits: int, transform: Transform | None = None
) -> Inputs:
    """Return a layer's inputs for solvers; ``statistics`` are of those behind ``transform``."""
    groups = None if transform is None else transform.groups
    xq, s_x = quantise_tokens(statistics.sample, act_bits, groups)
    return Inputs(
        energy=statistics.energy,
        moments=statistics.moments,
        xq=xq,
        s_x=s_x,
        act_bits=act_bits,
        lift=None if groups is None else torch.from_numpy(groups.lift),
    )
