"""What an engine may have besides dense whole-layer weights and look-up tables."""

from dataclasses import dataclass

from summand.isa import EngineConfig

__all__ = ["FEATURES", "Feature", "features_of"]


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
    """

    letter: str
    title: str
    field: str


FEATURES = (
    Feature("g", "group scales", "scale_bits"),
    Feature("h", "half-steps", "half_steps"),
    Feature("n", "N:M", "sparse_block"),
    Feature("r", "low rank", "shift"),
    Feature("d", "DSP blocks", "digit_bits"),
)


def features_of(engine: EngineConfig) -> tuple[Feature, ...]:
    """Return what an engine has."""
    return tuple(feature for feature in FEATURES if getattr(engine, feature.field))
