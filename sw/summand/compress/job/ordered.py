"""Whole-model error control: compression in order, as a pipeline of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import nn

from summand.compress.calibrate.walk import ModelWalk
from summand.compress.job.pipeline import check_rank, check_weights, fit_layer
from summand.compress.job.sequential import Fitting, compress_in_order
from summand.compress.network.survey import Batch, Survey, linear_of
from summand.compress.solve.balance import choose_transform
from summand.compress.solve.named import DENSE_SOLVERS, LOW_RANK_SOLVERS
from summand.compress.twin.error import output_error
from summand.model import Layer, Transform
from summand.recipe.choice import Choice

__all__ = ["compress_layers_in_order"]


def compress_layers_in_order(
    module: nn.Module,
    batches: Sequence[Batch],
    found: Survey,
    choices: Mapping[str, Choice],
    *,
    walk: ModelWalk | None = None,
    finished: Callable[[str], Layer | None] = lambda _: None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[tuple[Layer, float]]:
    """Compress a survey's layers, each on what those before it, compressed, feed it with.

    What :func:`~summand.compress.job.pipeline.compress_layers` does with layers that know nothing
    of each other; every layer's target is the uncompressed model's output, and a bias takes away
    its mean error.

    Parameters
    ----------
    module : nn.Module
        Left as it is.
    batches : sequence of batches
        What it is called with to calibrate.
    found : Survey
        Of the module.
    choices : mapping
        What each layer gets.
    walk : ModelWalk, optional
        Its stages and weights.
    finished : callable, optional
        Returns a layer that there is already; it is not yielded again.
    progress : callable, optional
        Called with what is being done, how much of it is done, and how much there is.

    Yields
    ------
    Layer, float
        In the survey's order, each with its relative output error on inputs of the uncompressed
        model.
    """
    walk = walk or ModelWalk()
    linears = {name: linear_of(module, name) for name in found.layers}
    for name, linear in linears.items():
        check_rank(name, linear, choices[name])
        if walk.weights is None:
            check_weights(name, linear)
    total = sum(linear.weight.numel() for linear in linears.values())
    done = sum(linears[name].weight.numel() for name in found.layers if finished(name))

    def transform(group: Sequence[str], energy: torch.Tensor) -> Transform | None:
        for name in group:
            check_weights(name, linears[name])
        choice = choices[group[0]]
        return choose_transform(
            [linears[name].weight.detach() for name in group],
            energy,
            balance=choice.balance,
            rotate=choice.rotate,
            seed=0,
        )

    def fit(name: str, fitting: Fitting) -> Layer:
        choice = choices[name]
        return fit_layer(
            name,
            fitting.weight,
            linears[name].bias,
            fitting.statistics,
            choice,
            dense_solver=DENSE_SOLVERS[choice.solver](),
            low_rank_solver=LOW_RANK_SOLVERS[choice.rank_solver],
            transform=fitting.transform,
        )

    layers = compress_in_order(
        module,
        batches,
        found.groups,
        blocks=walk.blocks,
        act_bits=choices[found.layers[0]].act_bits,
        transform=transform,
        fit=fit,
        loaded=walk.loaded,
        finished=finished,
    )
    for layer, sample in layers:
        yield layer, output_error(linears[layer.name], layer, sample[:256])
        done += layer.in_features * layer.out_features
        if progress:
            progress("compressing", done, total)
