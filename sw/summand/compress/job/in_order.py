"""Layers in order, each fitted to what the compressed ones before it feed it with."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import nn

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.job.layer import fit_layer
from summand.compress.job.sequential import Fitting, compress_in_order
from summand.compress.job.work import LayerWork
from summand.compress.network.survey import Batch, Survey
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
    """Compress a survey's layers in order, each on what the compressed ones before it feed it with.

    :func:`~summand.compress.job.independent.compress_layers` fits each layer by itself. Here the
    target of every layer is the uncompressed model's output, and a bias takes away the mean error.

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
    work = LayerWork(module=module, found=found, choices=choices, walk=walk)
    work.check()

    def transform(group: Sequence[str], seen: InputStatistics) -> Transform | None:
        work.check_loaded(group)
        return work.transform(group, seen)

    def fit(name: str, fitting: Fitting) -> Layer:
        return fit_layer(
            name,
            fitting.weight,
            work.linear(name).bias,
            fitting.statistics,
            choices[name],
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
    with_errors = (
        (layer, output_error(work.linear(layer.name), layer, sample[:256]))
        for layer, sample in layers
    )
    before = [name for name in found.layers if finished(name)]
    yield from work.counted(with_errors, before, progress)
