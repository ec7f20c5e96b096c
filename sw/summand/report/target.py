"""Bits that an allocation would stream, counted in the same way as for a written model."""

from collections.abc import Mapping

from torch import nn

from summand.compress.network.survey import Survey, linear_of
from summand.isa import EngineConfig
from summand.recipe.choice import Choice
from summand.schedule.fit import Needs, fitting_engine
from summand.schedule.terms import Sizes
from summand.schedule.traffic import Traffic, group_traffic

__all__ = ["streamed_bits"]


def streamed_bits(
    module: nn.Module,
    found: Survey,
    choices: Mapping[str, Choice],
    engine: EngineConfig | None = None,
) -> int:
    """Return the bits that one token streams for all layers, padding and headers included.

    Parameters
    ----------
    choices : mapping
        The choice for each layer of ``found``.
    engine : EngineConfig, optional
        The engine that it streams to; by default one that fits the choices, as in
        :class:`~summand.report.figures.ModelFigures`.
    """
    if engine is None:
        every = ((_sizes(module, name, c), c.act_bits) for name, c in choices.items())
        engine = fitting_engine(Needs(sizes=s, act_bits=a, acc_bits=0) for s, a in every)
    total = Traffic()
    for group in found.groups:
        total += group_traffic([_sizes(module, n, choices[n]) for n in group], engine)
    return total.weights


def _sizes(module: nn.Module, name: str, choice: Choice) -> Sizes:
    linear = linear_of(module, name)
    return choice.sizes(linear.in_features, linear.out_features)
