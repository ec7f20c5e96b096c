"""The outliers among which an allocation chooses."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from summand.isa import EngineConfig
from summand.summands.choosing import SummandSpace
from summand.summands.patterns import NO_PATTERN, check_engine, fits

__all__ = ["OutliersSpace"]


@dataclass(frozen=True, kw_only=True)
class OutliersSpace(SummandSpace):
    """The outliers that layers may get; the head gets none.

    Parameters
    ----------
    outliers : tuple of str
        Patterns.
    """

    outliers: tuple[str, ...] = (NO_PATTERN,)

    varied = ("outliers",)

    @classmethod
    def of(
        cls, options: Any, fixed: Collection[str], engine: EngineConfig | None
    ) -> "OutliersSpace":
        """Return what layers may get: none, or one in each of the engine's blocks."""
        if "outliers" in fixed:
            return cls(outliers=(options.outliers,))
        if engine is None or not engine.sparse_block:
            return cls()
        return cls(outliers=(NO_PATTERN, f"1:{engine.sparse_block}"))

    @classmethod
    def check(cls, options: Any, fixed: Collection[str], engine: EngineConfig) -> None:
        """Raise :class:`SolveError` for a pattern that the engine cannot read."""
        check_engine(options, "outliers", engine)

    def variants(
        self, in_features: int, out_features: int, *, head: bool
    ) -> Iterator[Mapping[str, int | str]]:
        """Yield patterns; those that the inputs are no blocks of are left out, unless fixed."""
        for outliers in (NO_PATTERN,) if head else self.outliers:
            if len(self.outliers) == 1 or fits(outliers, in_features):
                yield {"outliers": outliers}
