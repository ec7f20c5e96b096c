"""From an adapter's factors and statistics of a layer's input to the integers of a summand."""

from dataclasses import dataclass

import torch

from summand.compress.adapt.peft_folder import LoraFactors
from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.errors import CompressError
from summand.compress.solve.balance import transformed, transformed_weight
from summand.compress.solve.inputs import inputs_of
from summand.model import Layer
from summand.recipe.adapting import AdaptOptions
from summand.summands.base import Summand
from summand.summands.errors import SolveError
from summand.summands.lowrank import LOW_RANK, LowRankChoice, LowRankOptions
from summand.summands.registry import kind_of
from summand.summands.solving import Task

__all__ = ["Fitted", "fit_factors"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A summand, and how far its outputs are off on sampled tokens, relative to their size."""

    summand: Summand
    error: float


def fit_factors(
    layer: Layer, factors: LoraFactors, statistics: InputStatistics, options: AdaptOptions
) -> Fitted:
    """Return the low-rank summand that stands for an adapter's factors beside a layer.

    The product of the factors is decomposed anew for the calibration text's outputs, and rounded
    rank by rank as any low-rank summand is. The accumulator is shifted where that loses less, if
    the layer's summands have neither a shift nor group scales.

    Parameters
    ----------
    layer : Layer
        Whose accumulators the summand adds to.
    factors : LoraFactors
        What is to be added.
    statistics : InputStatistics
        Of the layer's input with second moments, before the layer's transform.
    options : AdaptOptions
        Bits of factors and accumulators; ``acc_shift`` is the engine's.

    Raises
    ------
    CompressError
        If accumulators of ``acc_bits`` could overflow, or the layer has an output of no unit.
    """
    if not layer.scale.all():
        raise CompressError(
            f"layer {layer.name!r}: an output's scale is 0, so that nothing can be added to it; "
            f"compress the model again"
        )
    weight = transformed_weight(factors.delta, layer.transform)
    seen = transformed(statistics, layer.transform)
    inputs = inputs_of(seen, layer.act_bits, layer.transform)
    room = ((1 << (options.acc_bits - 1)) - 1) >> (layer.act_bits - 1)
    task = Task(
        weight=weight,
        inputs=inputs,
        room=room,
        limit=room,
        unit=torch.from_numpy(layer.scale),
    )
    want = seen.sample @ weight.T
    best: Fitted | None = None
    for choice in _choices(layer, factors, options):
        try:
            part = LOW_RANK.method(choice, None).solve(task)
        except SolveError as e:
            raise CompressError(f"layer {layer.name!r}: {e}") from None
        if layer.plus(part.summand).acc_bits > options.acc_bits:
            continue
        lift = None if layer.groups is None else layer.groups.lift
        twin = kind_of(part.summand).twin(part.summand, layer.act_bits, lift)
        with torch.no_grad():
            got = twin(inputs.xq).float() * inputs.s_x * part.unit
        error = float((got - want).norm() / want.norm().clamp_min(1e-30))
        if best is None or error < best.error:
            best = Fitted(part.summand, error)
    if best is None:
        raise CompressError(
            f"layer {layer.name!r} with the adapter needs accumulators of more than "
            f"{options.acc_bits} bits; raise acc_bits if the engine has more, or lower bits"
        )
    return best


def _choices(layer: Layer, factors: LoraFactors, options: AdaptOptions) -> list[LowRankChoice]:
    """Return what to try: without a shift, and with it where the unit is not fine already."""
    rank = min(factors.rank, layer.in_features, layer.out_features)
    made = LowRankOptions(rank=rank, rank_bits=options.bits, acc_shift=options.acc_shift)
    chosen = LowRankChoice.of(made, head=False, before=layer.entries)
    assert chosen is not None
    return [
        LowRankChoice(rank=rank, bits=options.bits, acc_shift=shift)
        for shift in sorted({0, chosen.acc_shift})
    ]
