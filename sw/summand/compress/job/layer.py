"""One layer: from its weight and statistics to its summands."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.errors import CompressError
from summand.compress.solve.balance import transformed, transformed_weight
from summand.compress.solve.inputs import inputs_of
from summand.compress.solve.summands import solve_summands
from summand.model import Layer, Transform
from summand.recipe.choice import Choice
from summand.summands.errors import SolveError
from summand.summands.registry import kind_of
from summand.summands.solving import Method

__all__ = [
    "check_fits",
    "check_weights",
    "compress_layer",
    "fit_layer",
    "methods_of",
]


def check_fits(name: str, linear: nn.Linear, choice: Choice) -> None:
    """Refuse what a layer of this size cannot have, such as a high rank, naming the layer."""
    n, k = linear.weight.shape
    for summand in choice.summands:
        try:
            summand.check(k, n)
        except SolveError as e:
            raise CompressError(f"{e}: layer {name!r} is {n} x {k}") from None


def methods_of(choice: Choice, solvers: Mapping[str, Any] | None = None) -> tuple[Method, ...]:
    """Return what finds each summand of a choice.

    Parameters
    ----------
    solvers : mapping, optional
        Solvers in the place of those that the choice names, by the kind of summand.
    """
    kinds = [kind_of(summand) for summand in choice.summands]
    return tuple(
        kind.method(summand, (solvers or {}).get(kind.name))
        for kind, summand in zip(kinds, choice.summands, strict=True)
    )


def check_weights(name: str, linear: nn.Linear) -> None:
    """Refuse numbers that are not finite, naming the layer."""
    for what, p in linear.named_parameters(recurse=False):
        if bad := p.numel() - int(torch.isfinite(p).sum()):
            raise CompressError(
                f"layer {name!r}: {bad} of {p.numel()} numbers of its {what} are not finite; "
                f"the checkpoint is damaged, or was saved from a run that diverged"
            )


def compress_layer(
    name: str,
    linear: nn.Linear,
    statistics: InputStatistics,
    choice: Choice,
    *,
    solvers: Mapping[str, Any] | None = None,
    transform: Transform | None = None,
) -> Layer:
    """Compress one layer; depends on nothing else.

    ``statistics`` are of the layer's input as the model has it, before ``transform``; ``solvers``
    are as in :func:`methods_of`.

    Raises
    ------
    CompressError
        If its rank is above the matrix's, or no scale keeps its accumulators from overflowing.
    """
    check_fits(name, linear, choice)
    return fit_layer(
        name,
        transformed_weight(linear.weight.detach().to("cpu", torch.float32), transform),
        linear.bias,
        transformed(statistics, transform),
        choice,
        solvers=solvers,
        transform=transform,
    )


def fit_layer(
    name: str,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    statistics: InputStatistics,
    choice: Choice,
    *,
    solvers: Mapping[str, Any] | None = None,
    transform: Transform | None,
) -> Layer:
    """Compress a weight ``[N, K]``; ``transform`` has been applied to it and to ``statistics``.

    Raises as :func:`compress_layer` does.
    """
    methods = methods_of(choice, solvers)
    try:
        solved = solve_summands(
            weight,
            inputs_of(statistics, choice.act_bits, transform),
            tuple(zip(choice.summands, methods, strict=True)),
            acc_bits=choice.acc_bits,
        )
    except (CompressError, SolveError) as e:
        raise CompressError(f"layer {name!r}: {e}") from None
    n, k = weight.shape
    layer = Layer(
        name=name,
        in_features=k,
        out_features=n,
        act_bits=choice.act_bits,
        summands=solved.summands,
        scale=solved.unit.numpy(),
        bias=None if bias is None else bias.detach().to("cpu", torch.float32).numpy(),
        transform=transform,
    )
    layer = layer.with_centre(layer.matrix())
    if layer.acc_bits > choice.acc_bits:
        raise CompressError(
            f"layer {name!r} needs accumulators of {layer.acc_bits} bits, more than the "
            f"{choice.acc_bits} there are; raise acc_bits, or lower acc_shift or act_bits"
        )
    return layer
