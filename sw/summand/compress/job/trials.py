"""What each layer may get, tried out on the inputs that calibration has seen."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from summand.compress.allocate.allocation import Candidate
from summand.compress.allocate.candidates import Space, estimate
from summand.compress.allocate.sensitivity import differences, fisher
from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.network.survey import Batch, Survey, linear_of
from summand.compress.solve.balance import choose_transform, transformed, transformed_weight
from summand.compress.workers.parallel import Workers
from summand.isa import EngineConfig
from summand.recipe.choice import Choice
from summand.summands.dense.solve import RoundToNearest

__all__ = ["sampled", "try_out"]

#: Calibration tokens that sensitivity takes, about. A quarter would do for layers, where twice the
#: sensitivity is worth half a bit; outputs of one layer need more kinds of text to be told apart.
_TOKENS = 8192


def try_out(
    module: nn.Module,
    batches: Sequence[Batch],
    found: Survey,
    spaces: Sequence[Space],
    *,
    sensitivity: str = "fisher",
    engine: EngineConfig | None = None,
    heads: Collection[str] = (),
    walk: ModelWalk | None = None,
    workers: Workers | None = None,
    costs: Mapping[str, torch.Tensor] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, list[Candidate[Choice]]]:
    """Return what each layer may get, with its streamed bits and its estimated loss.

    Parameters
    ----------
    spaces : sequence of Space
        What layers may get; the choices of one follow those of the one before.
    sensitivity : str
        How ``costs`` are found if they are not given.
    engine : EngineConfig, optional
        Whose slices and tiles are filled up where bits are counted.

    The others are as in :func:`~summand.compress.job.choose.choose`.

    Raises
    ------
    CompressError
        If summands cannot be tried out on these inputs.
    """

    def report(what: str) -> Callable[[int, int], None]:
        return lambda i, n: progress(what, i, n) if progress else None

    statistics: dict[str, InputStatistics] = {}
    for part in (walk or ModelWalk()).parts(
        module, batches, found.groups, moments=found.layers, progress=report("calibrating")
    ):
        statistics |= part.statistics
    if costs is None:
        some = sampled(batches, max(seen.tokens for seen in statistics.values()))
        if sensitivity == "fisher":
            costs = fisher(module, some, found, progress=report("sensitivity"))
        else:
            costs = differences(
                module,
                some,
                found,
                statistics,
                solver=RoundToNearest(steps=8, refinements=1),
                progress=report("sensitivity"),
            )
    trials = (
        _Trial(
            weights={name: _weight(module, name) for name in group},
            statistics=statistics[group[0]],
            costs={name: costs[name] for name in group},
            spaces=tuple(spaces),
            heads=heads,
            engine=engine,
        )
        for group in found.groups
    )
    candidates: dict[str, list[Candidate[Choice]]] = {}
    with workers or Workers() as working:
        for i, each in enumerate(working.map(_try, trials)):
            candidates |= each
            report("estimating")(i + 1, len(found.groups))
    return candidates


def sampled(batches: Sequence[Batch], tokens: int) -> Sequence[Batch]:
    """Return the batches that sensitivity takes, evenly from all of them, ``tokens`` in all."""
    count = min(len(batches), max(1, _TOKENS * len(batches) // tokens))
    return [batches[i * len(batches) // count] for i in range(count)]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Trial:
    """The data needed to try out a group's choices, on any worker."""

    weights: Mapping[str, torch.Tensor]
    statistics: InputStatistics
    costs: Mapping[str, torch.Tensor]
    spaces: tuple[Space, ...]
    heads: Collection[str]
    engine: EngineConfig | None


def _try(trial: _Trial) -> dict[str, list[Candidate[Choice]]]:
    """Estimate what each choice of each layer costs."""
    options = trial.spaces[0].options
    transform = choose_transform(
        list(trial.weights.values()),
        trial.statistics,
        balance=options.balance,
        rotate=options.rotate,
        seed=0,
        grouping=None if options.rotate else options.grouping,
    )
    behind = transformed(trial.statistics, transform)
    weights = {name: transformed_weight(w, transform) for name, w in trial.weights.items()}
    choices = {
        name: [
            choice
            for space in trial.spaces
            for choice in space.choices(w.shape[1], w.shape[0], head=name in trial.heads)
        ]
        for name, w in weights.items()
    }
    return estimate(weights, behind, trial.costs, choices, trial.engine)


def _weight(module: nn.Module, name: str) -> torch.Tensor:
    return linear_of(module, name).weight.detach().to("cpu", torch.float32)
