"""Choose what every layer gets, under a budget of streamed bits or of KL divergence."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from summand.compress.allocate.allocation import Candidate, allocate, allocate_loss
from summand.compress.allocate.candidates import Space, choice_bits, estimate
from summand.compress.allocate.parts import Cut
from summand.compress.allocate.sensitivity import differences, fisher
from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.calibrate.statistics import StatisticsStore
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.errors import CompressError
from summand.compress.job.layer import check_fits
from summand.compress.network.survey import Batch, Survey, linear_of
from summand.compress.solve.balance import choose_transform, transformed, transformed_weight
from summand.compress.workers.parallel import Workers
from summand.isa import EngineConfig
from summand.recipe.choice import Choice
from summand.schedule.terms import Direct
from summand.summands.dense.solve import RoundToNearest

__all__ = [
    "SENSITIVITIES",
    "Allocation",
    "BitBudget",
    "MetTarget",
    "check_target",
    "choose",
    "join_parts",
    "sampled",
    "try_out",
]

#: How sensitivity is found: see :mod:`~summand.compress.allocate.sensitivity`.
SENSITIVITIES = ("fisher", "differences")

#: Calibration tokens that sensitivity takes, about. A quarter would do for layers, where twice the
#: sensitivity is worth half a bit; outputs of one layer need more kinds of text to be told apart.
_TOKENS = 8192


@dataclass(frozen=True, kw_only=True)
class BitBudget:
    """The limit that a compression must keep: either of bits or of KL divergence.

    Parameters
    ----------
    bits : float, optional
        Streamed bits a weight at most, everything counted.
    kl : float, optional
        KL divergence from the source at most, in nats a token, as estimated.
    sensitivity : str
        How an error's cost is estimated: ``"fisher"`` or ``"differences"``.
    engine : EngineConfig, optional
        Whose slices and tiles are filled up; without it padding does not count.
    """

    bits: float | None = None
    kl: float | None = None
    sensitivity: str = "fisher"
    engine: EngineConfig | None = None

    def __post_init__(self):
        if (self.bits is None) == (self.kl is None):
            raise CompressError("a target is either of bits or of KL divergence, not both")
        for name in ("bits", "kl"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise CompressError(f"target {name} must be above 0, not {value}")
        if self.sensitivity not in SENSITIVITIES:
            known = " or ".join(SENSITIVITIES)
            raise CompressError(f"sensitivity must be {known}, not {self.sensitivity!r}")


@dataclass(frozen=True)
class Allocation:
    """The choice of every layer, with its estimated cost.

    Parameters
    ----------
    candidates : mapping
        Choice, streamed bits and loss of each layer, by its name.
    weights : int
        Of all layers.
    """

    candidates: Mapping[str, Candidate[Choice]]
    weights: int

    @property
    def choices(self) -> dict[str, Choice]:
        """What each layer gets."""
        return {name: c.choice for name, c in self.candidates.items()}

    @property
    def bits_per_weight(self) -> float:
        """Streamed bits a weight."""
        return sum(c.bits for c in self.candidates.values()) / self.weights

    @property
    def kl(self) -> float:
        """Estimated KL divergence in nats a token."""
        return sum(c.loss for c in self.candidates.values())


@dataclass(frozen=True, eq=False, kw_only=True)
class MetTarget:
    """A target, and how it is met.

    Parameters
    ----------
    target : BitBudget
        What the choices were allocated for.
    allocation : Allocation
        The choices, and their estimated cost.
    collected : StatisticsStore
        What calibration for the target collected.
    """

    target: BitBudget
    allocation: Allocation
    collected: StatisticsStore

    @property
    def record(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {
            "bits": self.target.bits,
            "kl": self.target.kl,
            "sensitivity": self.target.sensitivity,
            "engine": self.target.engine and self.target.engine.digest,
            "bits_per_weight": self.allocation.bits_per_weight,
            "estimated_kl": self.allocation.kl,
        }


def choose(
    module: nn.Module,
    batches: Sequence[Batch],
    found: Survey,
    space: Space,
    target: BitBudget,
    *,
    heads: Collection[str] = (),
    walk: ModelWalk | None = None,
    workers: Workers | None = None,
    costs: Mapping[str, torch.Tensor] | None = None,
    count: Callable[[Mapping[str, Choice]], int] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Allocation:
    """Allocate bits, groups and ranks to all layers.

    Parameters
    ----------
    batches : sequence of batches
        Text to calibrate on; sensitivity takes some of them only (:func:`sampled`).
    space : Space
        What layers may get.
    heads : collection of str, optional
        Layers of the output head.
    walk : ModelWalk, optional
        How to calibrate; what is in its store is not collected again.
    workers : Workers, optional
        Who tries out what layers may get, a group of layers as a job; threads by default.
    costs : mapping of str to float32 tensor, shape ``[N]``, optional
        Sensitivity of each layer's outputs, if it is known already.
    count : callable, optional
        Returns all bits that choices stream. A target of bits is met by this count; by default by
        the sum over layers, each on its own.

    Raises
    ------
    CompressError
        If the target cannot be met; the text names the nearest that can. What the smallest choices
        come to is known before anything is calibrated.
    """
    check_target(module, found, space, target, heads, count)
    candidates = try_out(
        module,
        batches,
        found,
        (space,),
        sensitivity=target.sensitivity,
        engine=target.engine,
        heads=heads,
        walk=walk,
        workers=workers,
        costs=costs,
        progress=progress,
    )
    weights = sum(linear_of(module, name).weight.numel() for name in found.layers)
    return Allocation(_within(candidates, target, weights, count), weights)


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

    The others are as in :func:`choose`.

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


def join_parts(
    allocation: Allocation, cuts: Mapping[str, Cut]
) -> tuple[Allocation, dict[str, Cut]]:
    """Make one part of neighbouring parts that got the same, which then is the same sum.

    A low-rank summand is of its part, so parts with one stay apart.
    """
    candidates, joined = dict(allocation.candidates), {}
    for name, cut in cuts.items():
        sizes: list[int] = []
        found: list[Candidate[Choice]] = []
        for i, size in enumerate(cut.sizes):
            mine = candidates.pop(f"{name}.{i}")
            each_alone = all(isinstance(e.term(), Direct) for e in mine.choice.entries)
            if found and each_alone and mine.choice == found[-1].choice:
                last = found.pop()
                mine = Candidate(mine.choice, last.bits + mine.bits, last.loss + mine.loss)
                size += sizes.pop()
            sizes.append(size)
            found.append(mine)
        candidates |= {f"{name}.{i}": each for i, each in enumerate(found)}
        joined[name] = Cut(tuple(sizes), cut.order if len(sizes) > 1 else None)
    return Allocation(candidates, allocation.weights), joined


def sampled(batches: Sequence[Batch], tokens: int) -> Sequence[Batch]:
    """Return the batches that sensitivity takes, evenly from all of them, ``tokens`` in all."""
    count = min(len(batches), max(1, _TOKENS * len(batches) // tokens))
    return [batches[i * len(batches) // count] for i in range(count)]


def check_target(
    module: nn.Module,
    found: Survey,
    space: Space,
    target: BitBudget,
    heads: Collection[str],
    count: Callable[[Mapping[str, Choice]], int] | None,
) -> None:
    """Refuse ranks above a layer's, what cannot be streamed, and bits that are too few for all.

    Raises
    ------
    CompressError
        Likewise.
    """
    smallest: dict[str, Choice] = {}
    known: dict[tuple[int, int, bool], Choice] = {}
    weights = total = 0
    for name in found.layers:
        linear = linear_of(module, name)
        n, k = linear.weight.shape
        size = k, n, name in heads
        if size not in known:
            known[size] = space.smallest(k, n, head=name in heads, engine=target.engine)
        choice = smallest[name] = known[size]
        check_fits(name, linear, choice)
        weights += k * n
        total += choice_bits(choice, k, n, target.engine)
    if count is not None:
        total = count(smallest)
    if target.bits is not None and total > int(target.bits * weights):
        raise _too_few(target.bits, total, weights)


def _too_few(bits: float, total: int, weights: int) -> CompressError:
    return CompressError(
        f"{bits:g} bits a weight cannot be met: what the layers may get takes "
        f"{_up(total / weights):.3f} at least; raise the target, or fix fewer options"
    )


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


def _within(
    candidates: Mapping[str, Sequence[Candidate[Choice]]],
    target: BitBudget,
    weights: int,
    count: Callable[[Mapping[str, Choice]], int] | None,
) -> dict[str, Candidate[Choice]]:
    """Allocate, or raise an error in the budget's own unit."""
    if target.bits is not None:
        return _within_bits(candidates, target.bits, weights, count)
    assert target.kl is not None
    least = sum(min(c.loss for c in each) for each in candidates.values())
    if target.kl < least:
        raise CompressError(
            f"a KL divergence of {target.kl:g} cannot be met: the best that the layers may get is "
            f"estimated to cost {_up(least):.3f}; raise the target, or fix fewer options"
        )
    return allocate_loss(candidates, target.kl)


def _within_bits(
    candidates: Mapping[str, Sequence[Candidate[Choice]]],
    bits: float,
    weights: int,
    count: Callable[[Mapping[str, Choice]], int] | None,
) -> dict[str, Candidate[Choice]]:
    limit = int(bits * weights)
    least = sum(min(c.bits for c in each) for each in candidates.values())
    budget = max(limit, least)
    while True:
        found = allocate(candidates, budget)
        total = count({n: c.choice for n, c in found.items()}) if count else budget
        if total <= limit:
            return found
        if budget == least:
            raise _too_few(bits, total, weights)
        # What comes on top, padding above all, is about in proportion.
        budget = max(least, min(budget - 1, budget * limit // total))


def _up(value: float) -> float:
    """Round up to three digits, so that a budget of the value that is printed can be met."""
    return -(-value * 1000 // 1) / 1000


def _weight(module: nn.Module, name: str) -> torch.Tensor:
    return linear_of(module, name).weight.detach().to("cpu", torch.float32)
