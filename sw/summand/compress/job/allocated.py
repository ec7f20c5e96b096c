"""A job's choices for a target: layers are cut into parts, and what these may get is tried out."""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from summand.compress.allocate.allocation import Candidate
from summand.compress.allocate.candidates import Space
from summand.compress.allocate.parts import Cut, cut_groups, of_parts, split_layers
from summand.compress.allocate.sensitivity import fisher
from summand.compress.calibrate.statistics import StatisticsInMemory, StatisticsStore
from summand.compress.errors import CompressError
from summand.compress.job.budget import Allocation, BitBudget, MetTarget, join_parts
from summand.compress.job.choose import check_target, choose
from summand.compress.job.compressor import Job
from summand.compress.job.trials import sampled, try_out
from summand.compress.network.survey import Survey, linear_of, replaced, survey
from summand.compress.sources.sources import head_layers
from summand.compress.workers.parallel import Workers
from summand.recipe.choice import Choice
from summand.recipe.options import Options

__all__ = ["Tried", "allocated", "try_candidates", "with_allocation"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tried:
    """What the layers of a model may get, some of them in parts.

    Parameters
    ----------
    groups : tuple of tuples of str
        Layers, or parts of layers, that share an input.
    sizes : mapping
        Input and output features of each.
    heads : frozenset of str
        Those of the output head.
    candidates : mapping
        Of each, in the order of the spaces' choices, with the loss that is estimated.
    cuts : mapping
        Layers that are in parts, each with these.
    """

    groups: tuple[tuple[str, ...], ...]
    sizes: Mapping[str, tuple[int, int]]
    heads: frozenset[str]
    candidates: Mapping[str, Sequence[Candidate[Choice]]]
    cuts: Mapping[str, Cut]


def allocated(
    job: Job,
    target: BitBudget,
    fixed: Collection[str] = (),
    *,
    workers: Workers | None = None,
    statistics: StatisticsStore | None = None,
    count: Callable[[nn.Module, Survey, Mapping[str, Choice]], int] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Job:
    """Return a job with choices for a target; options named in ``fixed`` stay as they are.

    Layers whose outputs matter differently are cut into parts, and the source's module with them,
    so that this is done once for a job. The model is calibrated; :meth:`Job.run` does not do so
    again.

    Parameters
    ----------
    job : Job
        Left as it is, but for its source's module.
    target : BitBudget
        What the compression is to come to.
    fixed : collection of str
        Names of options.
    workers : Workers, optional
        Who tries out what layers may get; threads by default.
    statistics : StatisticsStore, optional
        Where what calibration collects is kept, and taken from if it is there; memory by default.
    count : callable, optional
        Returns all bits that choices stream for a module's survey, for a target of bits.
    progress : callable, optional
        Called with what is being done, how much of it is done, and how much there is.

    Raises
    ------
    CompressError
        If the target cannot be met, or layers are taken over as they are.
    """
    if job.keeper is not None:
        raise CompressError(
            "layers that are taken over as they are cannot be allocated for a target; leave "
            "out the target or keep_quantised"
        )
    space = Space.of(job.options, fixed, target.engine)
    store = statistics or StatisticsInMemory()
    module, heads = job.source.module, head_layers(job.source.module)
    every = None if count is None else partial(count, module, job.survey)
    check_target(module, job.survey, space, target, heads, every)
    costs = _fisher(job, progress) if target.sensitivity == "fisher" else None
    with _in_parts(job, (space,), costs) as (cuts, found):
        allocation = choose(
            module,
            job.inputs,
            found,
            space,
            target,
            heads=head_layers(module),
            walk=job.walk(found, store),
            workers=workers,
            costs=None if costs is None else of_parts(costs, cuts),
            count=None if count is None else partial(count, module, found),
            progress=progress,
        )
    return with_allocation(job, space.options, target, allocation, cuts, store)


def with_allocation(
    job: Job,
    options: Options,
    target: BitBudget,
    allocation: Allocation,
    cuts: Mapping[str, Cut],
    store: StatisticsStore,
) -> Job:
    """Return a job with an allocation's choices; parts are put in the place of layers.

    Parameters
    ----------
    job : Job
        Left as it is, but for its source's module.
    options : Options
        What does not vary.
    target : BitBudget
        What the allocation is for.
    allocation : Allocation
        Of layers and their parts.
    cuts : mapping
        The layers that it has parts of.
    store : StatisticsStore
        What calibration collected.
    """
    allocation, joined = join_parts(allocation, cuts)
    split_layers(job.source.module, joined)
    return dataclasses.replace(
        job,
        options=options,
        survey=survey(job.source.module, job.example),
        choices=allocation.choices,
        cuts=joined,
        met=MetTarget(target=target, allocation=allocation, collected=store),
    )


def try_candidates(
    job: Job,
    spaces: Sequence[Space],
    *,
    workers: Workers | None = None,
    statistics: StatisticsStore | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Tried:
    """Return what layers may get of several spaces, and what it would lose; changes nothing.

    The model is calibrated, and layers cut into parts, as :func:`allocated` does.

    Parameters
    ----------
    job : Job
        Of the model.
    spaces : sequence of Space
        Of options that differ in no transform.
    workers, statistics, progress
        As in :func:`allocated`.

    Raises
    ------
    CompressError
        If summands cannot be tried out on these inputs.
    """
    module = job.source.module
    costs = _fisher(job, progress)
    with _in_parts(job, spaces, costs) as (cuts, found):
        heads = frozenset(head_layers(module))
        candidates = try_out(
            module,
            job.inputs,
            found,
            spaces,
            heads=heads,
            walk=job.walk(found, statistics or StatisticsInMemory()),
            workers=workers,
            costs=of_parts(costs, cuts),
            progress=progress,
        )
        linears = {name: linear_of(module, name) for name in found.layers}
        return Tried(
            groups=tuple(map(tuple, found.groups)),
            sizes={n: (each.in_features, each.out_features) for n, each in linears.items()},
            heads=heads & linears.keys(),
            candidates=candidates,
            cuts=cuts,
        )


def _fisher(
    job: Job, progress: Callable[[str, int, int], None] | None
) -> Mapping[str, torch.Tensor]:
    """Return how much each output of each layer matters."""
    return fisher(
        job.source.module,
        sampled(job.inputs, job.tokens),
        job.survey,
        progress=None if progress is None else lambda i, n: progress("sensitivity", i, n),
    )


@contextlib.contextmanager
def _in_parts(
    job: Job, spaces: Sequence[Space], costs: Mapping[str, torch.Tensor] | None
) -> Iterator[tuple[dict[str, Cut], Survey]]:
    """Put parts in the place of layers for a while; gives the cuts, and the survey with them.

    Layers are cut where outputs cost differently, if all spaces admit their parts.
    """
    module = job.source.module
    heads = head_layers(module)
    weights = {name: linear_of(module, name).weight.detach() for name in job.survey.layers}
    cuts = {
        name: cut
        for name, cut in cut_groups(job.survey.groups, weights, costs or {}, heads).items()
        # A rank that is fixed may be more than a part has outputs.
        if all(
            space.admits(weights[name].shape[1], min(cut.sizes), head=name in heads)
            for space in spaces
        )
    }
    with replaced(module, {name: module.get_submodule(name) for name in cuts}):
        split_layers(module, cuts)
        yield cuts, survey(module, job.example)
