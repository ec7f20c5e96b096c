"""The low-rank summands among which an allocation chooses."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from summand.isa import EngineConfig
from summand.summands.choosing import SummandSpace, refuse

__all__ = ["LowRankSpace"]


@dataclass(frozen=True, kw_only=True)
class LowRankSpace(SummandSpace):
    """The low-rank summands that layers may get; the head gets none.

    Parameters
    ----------
    ranks : tuple of int
        0 for none.
    bits : tuple of int
        Of the factors.
    """

    ranks: tuple[int, ...] = (0, 8, 16, 32, 64)
    bits: tuple[int, ...] = (3, 4, 6, 8)

    varied = ("rank", "rank_bits")

    @classmethod
    def of(
        cls, options: Any, fixed: Collection[str], engine: EngineConfig | None
    ) -> "LowRankSpace":
        """Return what layers may get; ranks that waste the engine's slices are left out."""
        ranks = cls.ranks
        if engine is not None:
            ranks = (0, *(engine.depth * i for i in (1, 2)))
        return cls(
            ranks=(options.rank,) if "rank" in fixed else ranks,
            bits=(options.rank_bits,) if "rank_bits" in fixed else cls.bits,
        )

    @classmethod
    def adopted(cls, options: Any, engine: EngineConfig) -> Mapping[str, int]:
        """Return the shift."""
        return {"acc_shift": engine.shift}

    @classmethod
    def check(cls, options: Any, fixed: Collection[str], engine: EngineConfig) -> None:
        """Raise :class:`SolveError` for a shift that the engine does not have."""
        if options.acc_shift not in (0, engine.shift):
            refuse(options, "acc_shift", f"0 or the engine's shift, {engine.shift}")

    def variants(
        self, in_features: int, out_features: int, *, head: bool
    ) -> Iterator[Mapping[str, int]]:
        """Yield ranks and widths; ranks that save nothing are left out."""
        most = in_features * out_features // (in_features + out_features)
        for rank in (0,) if head else self.ranks:
            if rank > most and len(self.ranks) > 1:
                continue
            for bits in self.bits if rank else self.bits[:1]:
                yield {"rank": rank, "rank_bits": bits}
