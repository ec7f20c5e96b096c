"""The manifest of a Summand model: what the folder holds, as plain data."""

import hashlib
import json
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import PurePath
from typing import Any

from summand.model.decompositions import DecompositionEntry
from summand.model.entries import FileEntry, HostEntry, LayerEntry
from summand.model.errors import ModelError, Refusal
from summand.model.reading import parse_json
from summand.model.remake import remake_command
from summand.model.typed import take, value

__all__ = ["FORMAT", "VERSION", "Manifest", "seal"]

FORMAT = "summand-model"

#: Raised with every change of what a folder holds.
VERSION = 9

#: Those of the options that others than people read, with the type of what is in them.
_OPTIONS: Mapping[str, Mapping[str, type]] = {
    "calibration": {"sha256": str, "tokens": int},
    "distillation": {
        "steps": int,
        "kept": int,
        "tokens": int,
        "kl_before": float,
        "kl_after": float,
    },
}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything but tensors.

    Parameters
    ----------
    source : mapping
        Where the uncompressed model came from: ``kind``, and what that kind needs.
    options : mapping
        How it was compressed, calibration included.
    layers : tuple of LayerEntry
        In the order in which the model calls them.
    groups : tuple of tuples of names
        Layers that are fed by the same tensor; each layer is in exactly one.
    split : tuple of names
        Layers of the model that were compressed in parts: ``name.0``, ``name.1``, ... make the
        outputs of ``name``, one behind another.
    decompositions : tuple of DecompositionEntry
        Groups whose inputs may be decomposed while the model runs, each at most once.
    host : tuple of HostEntry
        What stays on the host.
    aliases : mapping
        Host tensors that are another one under a second name.
    files : mapping
        Every other file of the folder.
    """

    source: Mapping[str, Any]
    options: Mapping[str, Any]
    layers: tuple[LayerEntry, ...]
    groups: tuple[tuple[str, ...], ...]
    split: tuple[str, ...]
    decompositions: tuple[DecompositionEntry, ...]
    host: tuple[HostEntry, ...]
    aliases: Mapping[str, str]
    files: Mapping[str, FileEntry]

    def whole(self, name: str) -> str:
        """Return the layer of the model that a layer is a part of, or is."""
        parent, _, _ = name.rpartition(".")
        return parent if parent in self.split else name

    def to_json(self) -> str:
        """Return the text of ``manifest.json``, sealed with a checksum of itself."""
        return json.dumps({**self._raw, "checksum": self.checksum}, indent=1) + "\n"

    @property
    def checksum(self) -> str:
        """The checksum in ``manifest.json``, which tells models apart."""
        return seal(self._raw)

    @property
    def _raw(self) -> dict[str, Any]:
        layers = [entry.to_raw() for entry in self.layers]
        rest = replace(self, layers=())
        return {"format": FORMAT, "version": VERSION, **asdict(rest), "layers": layers}

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Parse and check the text; raises :class:`ModelError` without the file's name."""
        try:
            raw = parse_json(text)
        except Refusal as e:
            raise ModelError(f"{e}; compress the model again") from None
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise ModelError(f"format must be {FORMAT!r}; this is no Summand model")
        version = raw.get("version")
        if not isinstance(version, int) or not 1 <= version < 1000:
            raise ModelError(f"version must be a whole number from 1, not {reprlib.repr(version)}")
        if version < VERSION:
            raise ModelError(
                f"version {version} was written by an older Summand; this one reads {VERSION}: "
                f"compress the model again with {remake_command(raw)}"
            )
        if version > VERSION:
            raise ModelError(
                f"version {version} was written by a newer Summand; this one reads "
                f"{VERSION}: upgrade it, or compress the model again"
            )
        checksum = raw.pop("checksum", None)
        if checksum != seal(raw):
            raise ModelError(
                "checksum does not match: the file was changed or damaged after it was written; "
                "copy or compress the model again"
            )
        del raw["format"], raw["version"]
        try:
            manifest = take(cls, raw, "manifest")
        except ModelError as e:
            raise ModelError(f"{e}; compress the model again") from None
        manifest._check_names()
        manifest._check_options()
        return manifest

    def _check_options(self) -> None:
        for name, types in _OPTIONS.items():
            if (found := self.options.get(name)) is None:
                continue
            if not isinstance(found, dict):
                raise ModelError(f"options.{name} must be an object, not {reprlib.repr(found)}")
            for field, kind in types.items():
                value(kind, found.get(field), f"options.{name}.{field}")

    def _check_names(self) -> None:
        names = [layer.name for layer in self.layers]
        grouped = [name for group in self.groups for name in group]
        if len(set(names)) != len(names) or sorted(grouped) != sorted(names):
            raise ModelError("groups must hold each layer exactly once; compress the model again")
        if not all(self.groups):
            raise ModelError("groups must not be empty; compress the model again")
        if strange := [name for name in self.files if not _is_file_name(name)]:
            raise ModelError(f"{strange[0]!r} in files is no file name; compress the model again")
        for name in self.split:
            parts = sum(layer.startswith(f"{name}.") for layer in names)
            if not parts or any(f"{name}.{i}" not in names for i in range(parts)):
                raise ModelError(f"split names {name}, whose parts are not all there")
        decomposed = [entry.layers for entry in self.decompositions]
        for layers in decomposed:
            if layers not in self.groups or decomposed.count(layers) > 1:
                raise ModelError(
                    f"decompositions must name a group of layers each, and none twice, not "
                    f"{reprlib.repr(layers)}; compress the model again"
                )


def _is_file_name(name: str) -> bool:
    """Whether a file of this name can lie in a folder, and be told to people."""
    return name.isprintable() and PurePath(name).name == name and name not in ("", ".", "..")


def seal(raw: Mapping[str, Any]) -> str:
    """Return the checksum of a manifest without one."""
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
