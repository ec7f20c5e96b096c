"""The engine that a model needs, and the bits that it streams."""

from summand.isa import EngineConfig
from summand.model.manifest import Manifest
from summand.schedule.fit import DEFAULT_CONFIG, fitting_engine
from summand.schedule.traffic import Traffic, group_traffic

__all__ = ["engine_of", "model_traffic"]


def engine_of(manifest: Manifest, base: EngineConfig = DEFAULT_CONFIG) -> EngineConfig:
    """Return ``base`` with the widths that a model needs, and slices that its groups are made of.

    Raises
    ------
    CompileError
        If no engine has slices as short as the groups.
    """
    return fitting_engine((entry.needs for entry in manifest.layers), base)


def model_traffic(manifest: Manifest, config: EngineConfig, *, rows: int = 1) -> Traffic:
    """Return what a batch of ``rows`` tokens streams for all layers of a model."""
    sizes = {entry.name: entry.sizes for entry in manifest.layers}
    total = Traffic()
    for group in manifest.groups:
        total += group_traffic([sizes[name] for name in group], config, rows=rows)
    return total
