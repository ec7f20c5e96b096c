"""What an engine may have besides whole-layer weights, look-up tables and 32-bit results."""

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
    results : bool
        Whether it is about what the engine sends back, not about weights.
    """

    letter: str
    title: str
    field: str
    results: bool = False


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
