"""What the layers of a model may get, and what it would lose: one side of the search.

Calibration takes minutes, so the losses are kept in a file. The choices themselves follow from the
spaces, in order, and are made again.
"""

import json
import math
import zipfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from summand.compress.allocate.candidates import Space
from summand.compress.allocate.parts import Cut
from summand.compress.calibrate.statistics import StatisticsStore
from summand.compress.job.allocated import try_candidates
from summand.compress.job.compressor import Job
from summand.compress.workers.parallel import Workers
from summand.explore.errors import ExploreError
from summand.explore.features import FEATURES, Feature, features_of, limited
from summand.explore.files import written_whole
from summand.isa import EngineConfig
from summand.isa.distribution import VERSION
from summand.recipe.choice import Choice
from summand.recipe.options import Options

__all__ = ["ModelChoices", "Shape", "featured", "spaces_of"]

#: Slices that all groups are multiples of.
_DEPTH = 32
_SCALE_BITS, _SHIFT = 4, 4

#: Engines that have, between them, everything that layers may get. Ranks are tried beside half-step
#: weights; patterns and outliers beside plain ones, because no half-step weight is 0. Blocks are of
#: 4, the cheapest to decode.
_FEATURED: tuple[EngineConfig, ...] = (
    EngineConfig(cols=8, depth=_DEPTH, scale_bits=_SCALE_BITS, half_steps=True, shift=_SHIFT),
    EngineConfig(cols=8, depth=_DEPTH, scale_bits=_SCALE_BITS, sparse_block=4),
    EngineConfig(cols=8, depth=_DEPTH, half_steps=True),
)


def featured(features: Collection[Feature]) -> tuple[EngineConfig, ...]:
    """Return engines that have, between them, everything that layers may get with some features."""
    left = dict.fromkeys(limited(engine, features) for engine in _FEATURED)
    return tuple(engine for engine in left if not any(_covers(other, engine) for other in left))


def _covers(other: EngineConfig, engine: EngineConfig) -> bool:
    """Return whether an engine has more than another, with the same groups and patterns."""
    more = set(features_of(other)) > set(features_of(engine))
    same = (engine.scale_bits, engine.sparse_block)
    return more and (other.scale_bits, other.sparse_block) == same


def spaces_of(options: Options, features: Collection[Feature]) -> tuple[Space, ...]:
    """Return what layers may get, an engine of :func:`featured` after the other."""
    return tuple(
        Space.of(options, () if engine.shift else ("rank",), engine)
        for engine in featured(features)
    )


@dataclass(frozen=True, order=True)
class Shape:
    """The size of a layer or a part of one; layers of equal shapes have equal choices."""

    in_features: int
    out_features: int
    head: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelChoices:
    """What the layers of a model may get.

    Parameters
    ----------
    groups : tuple of tuples of str
        Layers, or parts of layers, that share an input.
    shapes : mapping
        Of each layer.
    losses : mapping of str to float64 array, shape ``[choices]``
        Nats a token that each choice of its shape costs a layer, estimated.
    cuts : mapping
        Layers that are in parts.
    options : Options
        What does not vary.
    features : tuple of Feature
        What engines may have, and so what layers may get.
    """

    groups: tuple[tuple[str, ...], ...]
    shapes: Mapping[str, Shape]
    losses: Mapping[str, npt.NDArray[np.float64]]
    cuts: Mapping[str, Cut]
    options: Options
    features: tuple[Feature, ...] = FEATURES

    @classmethod
    def find(
        cls,
        job: Job,
        features: tuple[Feature, ...],
        *,
        workers: Workers | None = None,
        statistics: StatisticsStore | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> "ModelChoices":
        """Calibrate a model, and estimate what each choice of each layer would lose.

        Raises
        ------
        CompressError
            If it cannot be calibrated.
        ExploreError
            If a loss is no number.
        """
        tried = try_candidates(
            job,
            spaces_of(job.options, features),
            workers=workers,
            statistics=statistics,
            progress=progress,
        )
        for name, each in tried.candidates.items():
            for candidate in each:
                if not math.isfinite(candidate.loss):
                    raise ExploreError(
                        f"the loss of {name} with {candidate.choice.label} is {candidate.loss}: "
                        f"inputs or weights are not finite, or too large to be estimated"
                    )
        return cls(
            groups=tried.groups,
            shapes={n: Shape(k, m, n in tried.heads) for n, (k, m) in tried.sizes.items()},
            losses={n: np.array([c.loss for c in each]) for n, each in tried.candidates.items()},
            cuts=tried.cuts,
            options=job.options,
            features=features,
        )

    @property
    def weights(self) -> int:
        """Weights of all layers."""
        return sum(shape.in_features * shape.out_features for shape in self.shapes.values())

    def choices(self) -> dict[Shape, list[Choice]]:
        """Return what layers of each shape may get, in the order of their losses."""
        spaces = spaces_of(self.options, self.features)
        return {
            shape: [
                choice
                for space in spaces
                for choice in space.choices(shape.in_features, shape.out_features, head=shape.head)
            ]
            for shape in sorted(set(self.shapes.values()))
        }

    def save(self, path: Path, key: Mapping[str, Any]) -> None:
        """Write the file, whole or not at all; ``key`` is what it depends on.

        Raises
        ------
        ExploreError
            If it cannot be written.
        """
        about = {
            "key": _keyed(key, self.features),
            "groups": self.groups,
            "shapes": {n: (s.in_features, s.out_features, s.head) for n, s in self.shapes.items()},
            "cuts": {name: cut.sizes for name, cut in self.cuts.items()},
        }
        arrays: dict[str, Any] = {f"loss:{name}": loss for name, loss in self.losses.items()}
        for name, cut in self.cuts.items():
            if cut.order is not None:
                arrays[f"order:{name}"] = cut.order.numpy()
        with written_whole(path) as file:
            np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)

    @classmethod
    def load(
        cls,
        path: Path,
        key: Mapping[str, Any],
        options: Options,
        features: tuple[Feature, ...] = FEATURES,
    ) -> "ModelChoices | None":
        """Return what a file holds; None if there is none, or it depends on something else.

        Raises
        ------
        ExploreError
            If the file is damaged.
        """
        if not path.exists():
            return None
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                if about["key"] != _keyed(key, features):
                    return None
                found = cls(
                    groups=tuple(map(tuple, about["groups"])),
                    shapes={name: Shape(*shape) for name, shape in about["shapes"].items()},
                    losses={name: file[f"loss:{name}"] for name in about["shapes"]},
                    cuts={
                        name: Cut(tuple(sizes), _order(file, name))
                        for name, sizes in about["cuts"].items()
                    },
                    options=options,
                    features=features,
                )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as e:
            raise ExploreError(
                f"{path} is damaged ({e}); remove it, and the model is calibrated again"
            ) from None
        for shape, choices in found.choices().items():
            for name, other in found.shapes.items():
                if other == shape and len(found.losses[name]) != len(choices):
                    raise ExploreError(f"{path} is of other choices; remove it")
        return found


def _order(file: Any, name: str) -> torch.Tensor | None:
    stored = f"order:{name}"
    return torch.from_numpy(file[stored]) if stored in file else None


def _keyed(key: Mapping[str, Any], features: Collection[Feature]) -> Any:
    """Return what a file depends on, as it reads from JSON."""
    engines = [engine.digest for engine in featured(features)]
    return json.loads(json.dumps({"version": VERSION, "features": engines, **key}))
