"""Each layer by itself: fitted to what the uncompressed model feeds it with."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.calibrate.moments import is_singular
from summand.compress.calibrate.walk import LoadedPart, ModelWalk
from summand.compress.errors import CompressError, is_out_of_memory
from summand.compress.importers import Keeper
from summand.compress.job.layer import compress_layer
from summand.compress.job.work import LayerWork
from summand.compress.network.survey import Batch, Survey
from summand.compress.twin.error import output_error
from summand.compress.workers.parallel import Workers
from summand.model import Layer, Transform
from summand.recipe.choice import Choice

__all__ = ["compress_layers"]


def compress_layers(
    module: nn.Module,
    batches: Sequence[Batch],
    found: Survey,
    choices: Mapping[str, Choice],
    *,
    solvers: Mapping[str, Any] | None = None,
    keeper: Keeper | None = None,
    walk: ModelWalk | None = None,
    workers: Workers | None = None,
    finished: Collection[str] = (),
    progress: Callable[[str, int, int], None] | None = None,
    notice: Callable[[str], None] | None = None,
) -> Iterator[tuple[Layer, float]]:
    """Compress every layer of a survey, one after another.

    Parameters
    ----------
    module : nn.Module
        Left as it is.
    batches : sequence of batches
        What it is called with to calibrate.
    found : Survey
        From :func:`~summand.compress.network.survey.survey`.
    choices : mapping
        What each layer of the survey gets; from
        :func:`~summand.recipe.choice.choices_of`.
    solvers : mapping, optional
        Solvers in the place of those that the choices name, by the kind of summand.
    keeper : Keeper, optional
        Takes over as they are what layers it can, from a quantised checkpoint. Their inputs, which
        other layers may share, are neither balanced nor rotated.
    walk : ModelWalk, optional
        How to go through the module; the whole of it at once by default.
    workers : Workers, optional
        Who compresses the layers, each as a job of its own; threads by default.
    finished : collection of str
        Layers to leave out.
    progress : callable, optional
        Called with what is being done, how much of it is done, and how much there is.
    notice : callable, optional
        Called with a sentence if inputs do not go in every direction on the text, so that damping
        decides what happens there.

    Yields
    ------
    Layer, float
        In the walk's order, which is the survey's without stages, each with its relative output
        error on calibration tokens.
    """
    walk = walk or ModelWalk()
    work = LayerWork(module=module, found=found, choices=choices, walk=walk, solvers=solvers)
    work.check()
    parts = walk.parts(
        module,
        batches,
        [group for group in found.groups if not all(name in finished for name in group)],
        moments=[group[0] for group in found.groups if work.needs_moments(group)],
        progress=None if progress is None else lambda i, n: progress("calibrating", i, n),
    )
    singular: list[str] = []

    def layers() -> Iterator[tuple[Layer, float]]:
        with workers or Workers() as working:
            for part in parts:
                for group in part.groups:
                    work.check_loaded(group)
                    moments = part.statistics[group[0]].moments
                    if notice and moments is not None and is_singular(moments):
                        singular.append(group[0])
                yield from working.map(_compress, _jobs(work, part, keeper, finished))
                del part  # before the next is collected

    yield from work.counted(layers(), finished, progress)
    if notice and singular:
        notice(
            f"the inputs of {len(singular)} of {len(found.groups)} groups of layers, the first of "
            f"them {singular[0]!r}, do not go in every direction on the calibration text; their "
            f"moments were damped; more text does better"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class _LayerJob:
    """The data needed to compress a layer, on any worker."""

    name: str
    linear: nn.Linear
    statistics: InputStatistics
    choice: Choice
    solvers: Mapping[str, Any] | None
    transform: Transform | None
    taken: Layer | None


def _compress(job: _LayerJob) -> tuple[Layer, float]:
    """Compress a layer, unless it was taken over as it is, and measure its error."""
    try:
        layer = job.taken or compress_layer(
            job.name,
            job.linear,
            job.statistics,
            job.choice,
            solvers=job.solvers,
            transform=job.transform,
        )
        return layer, output_error(job.linear, layer, job.statistics.sample[:256])
    except (MemoryError, RuntimeError) as e:
        if not is_out_of_memory(e):
            raise
        n, k = job.linear.weight.shape
        raise CompressError(
            f"out of memory at layer {job.name!r}, which is {n} x {k}; use fewer workers, or a "
            f"machine with more memory"
        ) from None


def _jobs(
    work: LayerWork, part: LoadedPart, keeper: Keeper | None, finished: Collection[str]
) -> Iterator[_LayerJob]:
    """Yield a job for each layer of a part that is not finished."""
    kept = keeper.kinds if keeper else {}
    for group in part.groups:
        seen = part.statistics[group[0]]
        if keeper is not None and any(name in kept for name in group):
            transform = keeper.transform(work.module, group, seen)
        else:
            transform = work.transform(group, seen)
        for name in group:
            if name in finished:
                continue
            taken = None
            if keeper is not None and name in kept:
                taken = keeper.take(work.module, name, seen.sample, transform)
            yield _LayerJob(
                name=name,
                linear=work.linear(name),
                statistics=seen,
                choice=work.choices[name],
                solvers=work.solvers,
                transform=transform,
                taken=taken,
            )
