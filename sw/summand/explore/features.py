"""What an engine may have besides whole-layer weights, look-up tables and 32-bit results."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass

from summand.explore.errors import ExploreError
from summand.isa import EngineConfig

__all__ = ["FEATURES", "Feature", "features_named", "features_of", "limited"]


@dataclass(frozen=True)
class Feature:
    """Something that engines have or have not.

    Parameters
    ----------
    letter : str
        In a narrow table.
    title : str
        In words.
    field : str
        The configuration's, which is not 0 in engines that have it.
    results : bool
        Whether it is about what the engine sends back, not about weights.
    """

    letter: str
    title: str
    field: str
    results: bool = False

    def __str__(self) -> str:
        return f"{self.letter} ({self.title})"


FEATURES = (
    Feature("g", "group scales", "scale_bits"),
    Feature("h", "half-steps", "half_steps"),
    Feature("n", "N:M", "sparse_block"),
    Feature("r", "low rank", "shift"),
    Feature("d", "DSP blocks", "digit_bits"),
    Feature("l", "results in limbs", "limb_bits", results=True),
    Feature("b", "the head's extremes", "bin_tiles", results=True),
)


def features_of(engine: EngineConfig) -> tuple[Feature, ...]:
    """Return what an engine has."""
    return tuple(feature for feature in FEATURES if getattr(engine, feature.field))


def features_named(letters: str) -> tuple[Feature, ...]:
    """Return the features of some letters, in the order of :data:`FEATURES`.

    Raises
    ------
    ExploreError
        If a letter is that of none.
    """
    if set(letters) - {feature.letter for feature in FEATURES}:
        allowed = ", ".join(map(str, FEATURES))
        raise ExploreError(f"features must be letters of {allowed}, not {letters!r}")
    return tuple(feature for feature in FEATURES if feature.letter in letters)


def limited(engine: EngineConfig, features: Collection[Feature]) -> EngineConfig:
    """Return an engine without what is not among features."""
    others = (feature for feature in features_of(engine) if feature not in features)
    absent = {feature.field: type(getattr(engine, feature.field))() for feature in others}
    return dataclasses.replace(engine, **absent)
