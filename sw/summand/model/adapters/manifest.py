"""The manifest of an adapter: which model it is for, and what it adds."""

import json
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from summand.isa import limits
from summand.model.entries import FileEntry
from summand.model.errors import ModelError, Refusal
from summand.model.manifest import seal
from summand.model.reading import parse_json
from summand.model.typed import take
from summand.summands.base import Entry
from summand.summands.errors import LayerError
from summand.summands.registry import kind_of

__all__ = ["FORMAT", "TENSORS", "VERSION", "AdapterManifest", "Addition"]

FORMAT = "summand-adapter"

#: Raised with every change of what a folder holds.
VERSION = 1

#: The one other file of the folder.
TENSORS = "adapter.safetensors"

#: The most bits of an accumulator that a manifest may name.
_ACC_BITS = limits.Limits(1, 64)


@dataclass(frozen=True, kw_only=True)
class Addition:
    """The summand that an adapter adds to a layer.

    Parameters
    ----------
    name : str
        The layer's.
    summand : Entry
        Its sizes.
    acc_bits : int
        The accumulator that no activations can overflow, the layer's own summands included.
    error : float, optional
        Relative error of what it adds, on the calibration text.
    """

    name: str
    summand: Entry
    acc_bits: int
    error: float | None

    def __post_init__(self):
        if not self.name or not self.name.isprintable():
            raise LayerError(f"name must be one of a layer, not {self.name!r}")
        if self.acc_bits not in _ACC_BITS:
            raise LayerError(f"acc_bits must be {_ACC_BITS}, not {reprlib.repr(self.acc_bits)}")

    def to_raw(self) -> dict[str, Any]:
        """Return it as JSON; the summand's object names its ``kind``."""
        summand = {"kind": kind_of(self.summand).name, **asdict(self.summand)}
        return {**asdict(self), "summand": summand}


@dataclass(frozen=True, kw_only=True)
class AdapterManifest:
    """Everything but tensors.

    Parameters
    ----------
    base : str
        Checksum of the manifest of the model that the adapter is for.
    source : mapping
        What it was made of: ``path``, and ``sha256`` of its tensors.
    options : mapping
        How it was made, calibration included.
    layers : tuple of Addition
        What it adds, in the model's order; at least one.
    files : mapping
        The other file of the folder.
    """

    base: str
    source: Mapping[str, Any]
    options: Mapping[str, Any]
    layers: tuple[Addition, ...]
    files: Mapping[str, FileEntry]

    def to_json(self) -> str:
        """Return the text of ``manifest.json``, sealed with a checksum of itself."""
        layers = [addition.to_raw() for addition in self.layers]
        rest = replace(self, layers=())
        raw = {"format": FORMAT, "version": VERSION, **asdict(rest), "layers": layers}
        return json.dumps({**raw, "checksum": seal(raw)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "AdapterManifest":
        """Parse and check the text; raises :class:`ModelError` without the file's name."""
        try:
            raw = parse_json(text)
        except Refusal as e:
            raise ModelError(str(e)) from None
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise ModelError(f"format must be {FORMAT!r}; this is no adapter of a Summand model")
        if (version := raw.get("version")) != VERSION or isinstance(version, bool):
            raise ModelError(
                f"version must be {VERSION}, which this Summand reads, not {reprlib.repr(version)}"
            )
        if raw.pop("checksum", None) != seal(raw):
            raise ModelError(
                "checksum does not match: the file was changed or damaged after it was written"
            )
        del raw["format"], raw["version"]
        manifest = take(cls, raw, "manifest")
        names = [addition.name for addition in manifest.layers]
        if not names or len(set(names)) != len(names):
            raise ModelError("layers must hold one at least, and each once")
        if set(manifest.files) != {TENSORS}:
            raise ModelError(f"files must list {TENSORS} and nothing else")
        return manifest
