"""A report as plain data: a model's bits, its errors, and its figures on texts."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from summand.isa import EngineConfig
from summand.model import LayerEntry, Manifest
from summand.model.engine import engine_of, model_traffic
from summand.report.texts import TextFigures, text_figures
from summand.schedule.traffic import Traffic

__all__ = ["BaselineFigures", "ModelFigures", "Report"]


@dataclass(frozen=True, kw_only=True)
class BaselineFigures:
    """A published method at the model's number of bits.

    Parameters
    ----------
    name : str
        The method.
    bits_per_weight : float
        Bits of weights, scales and factors, without padding.
    streamed_bits_per_weight : float
        Everything that is streamed, counted in the same way as for the model.
    texts : tuple of TextFigures
        One for each text.
    seconds : float
        Time for compressing and evaluating.
    """

    name: str
    bits_per_weight: float
    streamed_bits_per_weight: float
    texts: tuple[TextFigures, ...]
    seconds: float

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "BaselineFigures":
        """Undo ``dataclasses.asdict``."""
        texts = tuple(text_figures(text) for text in raw["texts"])
        return cls(**{**raw, "texts": texts})


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelFigures:
    """A compressed model's size, layer by layer and as streamed.

    Parameters
    ----------
    manifest : Manifest
        Of the model.
    engine : EngineConfig
        The engine that it is streamed to.
    traffic : Traffic
        Of one token.
    """

    manifest: Manifest
    engine: EngineConfig
    traffic: Traffic

    @classmethod
    def of(cls, manifest: Manifest) -> "ModelFigures":
        """Count a model's bits on the engine that fits it."""
        engine = engine_of(manifest)
        return cls(manifest=manifest, engine=engine, traffic=model_traffic(manifest, engine))

    @property
    def layers(self) -> tuple[LayerEntry, ...]:
        """The compressed layers, in call order."""
        return self.manifest.layers

    @property
    def weights(self) -> int:
        """Weights before compression."""
        return sum(e.weights for e in self.layers)

    @property
    def bits_per_weight(self) -> float:
        """Bits of weights, scales and factors, without padding."""
        return sum(e.bits for e in self.layers) / self.weights

    @property
    def streamed_bits_per_weight(self) -> float:
        """All bits of one token except its activations, padding and headers included."""
        return self.traffic.weights / self.weights

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON holds them."""
        return {
            "weights": self.weights,
            "bits_per_weight": self.bits_per_weight,
            "streamed_bits_per_weight": self.streamed_bits_per_weight,
            "streamed_bytes": self.traffic.in_bytes(),
            "engine": dataclasses.asdict(self.engine),
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """All figures of a compressed model.

    Parameters
    ----------
    name : str
        The name that the user gave.
    model : ModelFigures
        Its size.
    texts : tuple of TextFigures
        Figures on each text; empty before the model was evaluated.
    baselines : tuple of BaselineFigures
        Published methods at as many bits.
    """

    name: str
    model: ModelFigures
    texts: tuple[TextFigures, ...] = ()
    baselines: tuple[BaselineFigures, ...] = ()
