"""Decompositions in a folder: their sizes in the manifest, their tensors in a file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.isa import limits
from summand.isa.limits import Limits
from summand.model.decomposition import Decomposition, Requantisation
from summand.model.errors import ModelError
from summand.model.reading import check_size
from summand.model.stored import StoredTensors
from summand.summands.errors import LayerError

__all__ = ["DECOMPOSITIONS", "DecompositionEntry", "read_decompositions", "write_decompositions"]

DECOMPOSITIONS = "decompositions.safetensors"

_RANGES = {
    "rank": Limits(1, 1 << 31),
    "span": Limits(1, 1 << 31),
    "steps": Limits(1, 1 << 31),
    "sketch_bits": limits.PLANES,
    "token_bits": limits.PLANES,
    "bits": limits.PLANES,
}


@dataclass(frozen=True, kw_only=True)
class DecompositionEntry:
    """The sizes of a :class:`~summand.model.decomposition.Decomposition`.

    ``layers`` are those of a group, and the host puts together the outputs of those that are
    ``hosted``; ``rank`` pseudo-tokens, found in ``steps``, take the place of ``span`` tokens of a
    prompt.
    """

    layers: tuple[str, ...]
    hosted: tuple[str, ...]
    rank: int
    span: int
    steps: int
    sketch_bits: int
    token_bits: int
    bits: int

    def __post_init__(self):
        if not self.layers:
            raise LayerError("layers must hold one at least")
        for name in self.hosted:
            if name not in self.layers or self.hosted.count(name) > 1:
                raise LayerError(f"hosted must name some of the layers, each once, not {name!r}")
        for name, allowed in _RANGES.items():
            if (value := getattr(self, name)) not in allowed:
                raise LayerError(f"{name} must be {allowed}, not {value}")

    @classmethod
    def of(cls, made: Decomposition) -> "DecompositionEntry":
        """Return a decomposition's."""
        return cls(
            layers=made.layers,
            hosted=tuple(made.layers[i] for i in made.hosted),
            rank=made.rank,
            span=made.span,
            steps=made.steps,
            sketch_bits=made.sketch_bits,
            token_bits=made.token_bits,
            bits=made.bits,
        )


def write_decompositions(
    made: Iterable[Decomposition], folder: Path
) -> tuple[DecompositionEntry, ...]:
    """Write decompositions' tensors to a folder; returns their entries. None write no file."""
    from safetensors.numpy import save_file

    tensors: dict[str, npt.NDArray[Any]] = {}
    entries = []
    for each in made:
        entries.append(DecompositionEntry.of(each))
        tensors[f"{each.layers[0]}.directions"] = np.ascontiguousarray(each.directions)
        tensors[f"{each.layers[0]}.scale"] = each.scale
        tensors[f"{each.layers[0]}.loud"] = np.array(each.loud, np.int32)
        for name, by in zip(each.layers, each.requantisations, strict=True):
            if by is not None:
                tensors |= {f"{name}.mult": by.mult, f"{name}.shift": by.shift}
    if tensors:
        save_file(tensors, folder / DECOMPOSITIONS)
    return tuple(entries)


def read_decompositions(
    path: Path, entries: Sequence[DecompositionEntry], remedy: str
) -> tuple[Decomposition, ...]:
    """Read decompositions from their file.

    Raises
    ------
    ModelError
        If it is damaged; the text ends with ``remedy``.
    """
    from safetensors import SafetensorError, safe_open

    try:
        check_size(path)
        with safe_open(path, framework="numpy") as file:
            return tuple(_read(entry, file) for entry in entries)
    except (OSError, SafetensorError, LayerError, ValueError) as e:
        raise ModelError(f"{path}: {e}; {remedy}") from None


def _indices(found: npt.NDArray[np.int32]) -> tuple[int, ...]:
    if found.ndim != 1:
        raise ValueError(f"loud must have one axis, not {found.ndim}")
    return tuple(found.tolist())


def _read(entry: DecompositionEntry, file: Any) -> Decomposition:
    own = StoredTensors(file, entry.layers[0])

    def requantisation(name: str) -> Requantisation | None:
        if name in entry.hosted:
            return None
        stored = StoredTensors(file, name)
        return Requantisation(stored.tensor("mult", "U16"), stored.tensor("shift", "U8"))

    return Decomposition(
        layers=entry.layers,
        rank=entry.rank,
        span=entry.span,
        steps=entry.steps,
        directions=own.tensor("directions", "I8"),
        scale=own.tensor("scale", "F32"),
        sketch_bits=entry.sketch_bits,
        token_bits=entry.token_bits,
        bits=entry.bits,
        requantisations=tuple(map(requantisation, entry.layers)),
        loud=_indices(own.tensor("loud", "I32")),
    )
