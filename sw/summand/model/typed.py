"""From JSON to dataclasses: each value is what its field is annotated with, or is refused."""

import reprlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from summand.model.errors import ModelError
from summand.summands.base import Entry
from summand.summands.errors import LayerError
from summand.summands.registry import kind_named, kinds

__all__ = ["take", "value"]

_LARGEST = sys.float_info.max

_T = TypeVar("_T")


def take(cls: type[_T], raw: object, where: str) -> _T:
    """Build dataclass ``cls``, refusing missing, unknown and mistyped fields by name."""
    if not isinstance(raw, dict):
        raise ModelError(f"{where} must be an object, not {type(raw).__name__}")
    known = {f.name: f.type for f in fields(cls)}  # type: ignore[arg-type]
    for what, names in (("has no", known.keys() - raw.keys()), ("has", raw.keys() - known.keys())):
        if names:
            unknown = " which this version does not know" if what == "has" else ""
            raise ModelError(f"{where} {what} field {_listed(names)}{unknown}")
    values = {name: value(known[name], raw[name], f"{where}.{name}") for name in known}
    try:
        return cls(**values)
    except LayerError as e:
        raise ModelError(f"{where}: {e}") from None


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
    return take(kind.entry, {k: v for k, v in raw.items() if k != "kind"}, where)


def _listed(names: Iterable[str]) -> str:
    """Name a few, whatever characters they have."""
    return ", ".join(n if n.isidentifier() else ascii(n) for n in sorted(names)[:5])


def value(kind: Any, raw: object, where: str) -> Any:
    """Check one value against a field's annotation."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is tuple:
        if not isinstance(raw, list):
            raise ModelError(f"{where} must be a list, not {type(raw).__name__}")
        return tuple(value(args[0], item, f"{where}[{i}]") for i, item in enumerate(raw))
    if origin is Mapping:
        if not isinstance(raw, dict):
            raise ModelError(f"{where} must be an object, not {type(raw).__name__}")
        return {
            key: value(args[1], item, f"{where}[{reprlib.repr(key)}]") for key, item in raw.items()
        }
    if kind is Any:
        return raw
    if kind is Entry:
        return _summand(raw, where)
    if origin is UnionType:
        return None if raw is None else value(args[0], raw, where)
    if kind in (int, float, str, bool):
        good = (int, float) if kind is float else kind
        if not isinstance(raw, good) or (isinstance(raw, bool) and kind is not bool):
            raise ModelError(f"{where} must be of type {kind.__name__}, not {reprlib.repr(raw)}")
        if kind is float and isinstance(raw, int) and abs(raw) > _LARGEST:
            raise ModelError(f"{where} must be a number that a float holds")
        return raw
    return take(kind, raw, where)
