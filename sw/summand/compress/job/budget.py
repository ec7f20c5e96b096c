"""The limit that a compression must keep, and the choices that keep it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from summand.compress.allocate.allocation import Candidate
from summand.compress.allocate.parts import Cut
from summand.compress.calibrate.statistics import StatisticsStore
from summand.compress.errors import CompressError
from summand.isa import EngineConfig
from summand.recipe.choice import Choice
from summand.schedule.terms import Direct

__all__ = ["SENSITIVITIES", "Allocation", "BitBudget", "MetTarget", "join_parts"]

#: How sensitivity is found: see :mod:`~summand.compress.allocate.sensitivity`.
SENSITIVITIES = ("fisher", "differences")


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
