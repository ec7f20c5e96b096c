"""The manifest of a Summand model: what the folder holds, as plain data."""

import hashlib
import json
import reprlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import PurePath
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from summand.isa import limits
from summand.model.errors import ModelError, Refusal
from summand.model.reading import parse_json
from summand.model.remake import remake_command
from summand.schedule.fit import Needs
from summand.schedule.terms import Sizes
from summand.summands.base import Entry
from summand.summands.errors import LayerError
from summand.summands.registry import kind_named, kind_of, kinds

__all__ = ["FORMAT", "VERSION", "FileEntry", "HostEntry", "LayerEntry", "Manifest", "seal"]

FORMAT = "summand-model"

#: Raised with every change of what a folder holds.
VERSION = 5

#: The most features of a layer, and the most bits that one streams.
_SIZES, _BITS = 1 << 31, 1 << 62

#: What a layer's whole numbers may be; what hangs together is checked with the tensors.
_RANGES = {
    "in_features": (1, _SIZES),
    "out_features": (1, _SIZES),
    "act_bits": limits.ACT_BITS,
    "acc_bits": (1, 64),
    "rotation": (0, (1 << 32) - 1),
    "bits": (0, _BITS),
}

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

_LARGEST = sys.float_info.max

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """A file of the folder: its size and checksum."""

    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class HostEntry:
    """A module that stays on the host, and why."""

    name: str
    kind: str
    reason: str
    parameters: int


@dataclass(frozen=True, kw_only=True)
class LayerEntry:
    """A compressed layer's sizes.

    ``summands`` are in the order in which they add. ``bits`` counts their streamed bits without
    padding; ``acc_bits`` is the accumulator that no activations can overflow; ``error`` is the
    relative error of the output on the calibration text. ``balance`` says whether inputs are
    balanced channel by channel, ``rotation`` is the seed of their rotation, if there is one.
    """

    name: str
    in_features: int
    out_features: int
    act_bits: int
    summands: tuple[Entry, ...]
    acc_bits: int
    bias: bool
    balance: bool
    rotation: int | None
    bits: int
    error: float | None

    def __post_init__(self):
        if not self.name or not self.name.isprintable():
            raise LayerError(f"name must be one of a layer, not {self.name!r}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise LayerError(f"{name} must be {low} to {high}, not {reprlib.repr(value)}")
        if not self.summands:
            raise LayerError("summands must hold one at least")

    def to_raw(self) -> dict[str, Any]:
        """Return it as JSON; a summand's object names its ``kind``."""
        summands = [{"kind": kind_of(e).name, **asdict(e)} for e in self.summands]
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "summands": summands}

    @classmethod
    def from_raw(cls, raw: object, where: str = "layer") -> "LayerEntry":
        """Undo :meth:`to_raw`; raises :class:`ModelError`, which calls the entry ``where``."""
        return _take(cls, raw, where)

    @property
    def sizes(self) -> Sizes:
        """All that commands depend on."""
        terms = tuple(summand.term() for summand in self.summands)
        return Sizes(self.in_features, self.out_features, terms)

    @property
    def needs(self) -> Needs:
        """What the layer asks of an engine."""
        return Needs(sizes=self.sizes, act_bits=self.act_bits, acc_bits=self.acc_bits)

    @property
    def label(self) -> str:
        """Its summands in a few words."""
        return " + ".join(summand.label() for summand in self.summands)

    @property
    def weights(self) -> int:
        """Weights of the layer before compression."""
        return self.in_features * self.out_features


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
    host: tuple[HostEntry, ...]
    aliases: Mapping[str, str]
    files: Mapping[str, FileEntry]

    def to_json(self) -> str:
        """Return the text of ``manifest.json``, sealed with a checksum of itself."""
        layers = [entry.to_raw() for entry in self.layers]
        rest = replace(self, layers=())
        raw = {"format": FORMAT, "version": VERSION, **asdict(rest), "layers": layers}
        return json.dumps({**raw, "checksum": seal(raw)}, indent=1) + "\n"

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
        manifest = _take(cls, raw, "manifest")
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
                _value(kind, found.get(field), f"options.{name}.{field}")

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


def _is_file_name(name: str) -> bool:
    """Whether a file of this name can lie in a folder, and be told to people."""
    return name.isprintable() and PurePath(name).name == name and name not in ("", ".", "..")


def seal(raw: Mapping[str, Any]) -> str:
    """Return the checksum of a manifest without one."""
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _take(cls: type[_T], raw: object, where: str) -> _T:
    """Build dataclass ``cls``, refusing missing, unknown and mistyped fields by name."""
    if not isinstance(raw, dict):
        raise ModelError(f"{where} must be an object, not {type(raw).__name__}")
    known = {f.name: f.type for f in fields(cls)}  # type: ignore[arg-type]
    for what, names in (("has no", known.keys() - raw.keys()), ("has", raw.keys() - known.keys())):
        if names:
            unknown = " which this version does not know" if what == "has" else ""
            raise ModelError(f"{where} {what} field {_listed(names)}{unknown}")
    values = {name: _value(known[name], raw[name], f"{where}.{name}") for name in known}
    try:
        return cls(**values)
    except LayerError as e:
        raise ModelError(f"{where}: {e}; compress the model again") from None


def _summand(raw: object, where: str) -> Entry:
    """Build the entry of the kind that ``raw`` names."""
    if not isinstance(raw, dict):
        raise ModelError(f"{where} must be an object, not {type(raw).__name__}")
    name = raw.get("kind")
    kind = kind_named(name) if isinstance(name, str) else None
    if kind is None:
        known = ", ".join(k.name for k in kinds())
        raise ModelError(
            f"{where}.kind must be {known}, not {reprlib.repr(name)}: this Summand knows no other"
        )
    return _take(kind.entry, {k: v for k, v in raw.items() if k != "kind"}, where)


def _listed(names: Iterable[str]) -> str:
    """Name a few, whatever characters they have."""
    return ", ".join(n if n.isidentifier() else ascii(n) for n in sorted(names)[:5])


def _value(kind: Any, raw: object, where: str) -> Any:
    """Check one value against a field's annotation."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is tuple:
        if not isinstance(raw, list):
            raise ModelError(f"{where} must be a list, not {type(raw).__name__}")
        return tuple(_value(args[0], item, f"{where}[{i}]") for i, item in enumerate(raw))
    if origin is Mapping:
        if not isinstance(raw, dict):
            raise ModelError(f"{where} must be an object, not {type(raw).__name__}")
        return {
            key: _value(args[1], item, f"{where}[{reprlib.repr(key)}]") for key, item in raw.items()
        }
    if kind is Any:
        return raw
    if kind is Entry:
        return _summand(raw, where)
    if origin is UnionType:
        return None if raw is None else _value(args[0], raw, where)
    if kind in (int, float, str, bool):
        good = (int, float) if kind is float else kind
        if not isinstance(raw, good) or (isinstance(raw, bool) and kind is not bool):
            raise ModelError(f"{where} must be of type {kind.__name__}, not {reprlib.repr(raw)}")
        if kind is float and isinstance(raw, int) and abs(raw) > _LARGEST:
            raise ModelError(f"{where} must be a number that a float holds")
        return raw
    return _take(kind, raw, where)
