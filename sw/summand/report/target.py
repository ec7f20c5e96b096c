"""What an allocation would stream, counted as it is once a model is written."""

from collections.abc import Mapping

from torch import nn

from summand.compress.network.survey import Survey, linear_of
from summand.isa import EngineConfig
from summand.options.compression import Choice
from summand.runtime.tiling import Sizes
from summand.runtime.traffic import Traffic, fitting_engine, group_traffic

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
        What each layer of ``found`` gets.
    engine : EngineConfig, optional
        Where to; one that fits the choices by default, as
        :class:`~summand.report.figures.ModelFigures` has it.
    """
    if engine is None:
        every = choices.values()
        engine = fitting_engine(
            groups=[c.group for c in every],
            scale_bits=max(c.scale_bits for c in every),
            act_bits=max(c.act_bits for c in every),
            acc_bits=0,
            shift=max(c.acc_shift for c in every),
        )
    total = Traffic()
    for group in found.groups:
        total += group_traffic([_sizes(module, n, choices[n]) for n in group], engine)
    return 8 * total.weights


def _sizes(module: nn.Module, name: str, choice: Choice) -> Sizes:
    linear = linear_of(module, name)
    rank = min(choice.rank, linear.in_features, linear.out_features)
    return Sizes(
        in_features=linear.in_features,
        out_features=linear.out_features,
        bits=choice.bits,
        group=choice.group,
        rank=rank,
        a_bits=choice.rank_bits if rank else 0,
        b_bits=choice.rank_bits if rank else 0,
        shifts=bool(choice.acc_shift),
    )
