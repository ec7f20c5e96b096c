"""Read validated records from TOML; errors name the file, the field, the value and the way out."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from summand.isa import ConfigError

__all__ = ["RECORD", "Count", "Rate", "Some", "Text", "parse", "read_toml"]

#: How records are validated: no unknown field is passed over.
RECORD = ConfigDict(extra="forbid")

# No value is converted to another type.
Text = Annotated[str, Field(min_length=1, strict=True)]
#: A number of things, of which there may be none.
Count = Annotated[int, Field(ge=0, strict=True)]
#: A number of things, at least one.
Some = Annotated[int, Field(gt=0, strict=True)]
#: Something for each second, or seconds.
Rate = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]

_Record = TypeVar("_Record")


def read_toml(file: Path | Traversable) -> dict[str, Any]:
    """Return a file's tables; raises :class:`ConfigError` that names the file."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(f"cannot read {file}: {e.strerror}") from None
    except (ValueError, RecursionError) as e:  # not UTF-8, or no TOML
        raise ConfigError(f"{file} is no TOML file: {e}") from None


def parse(kind: type[_Record], raw: Mapping[str, Any], source: str) -> _Record:
    """Return a record of ``kind``, a dataclass of :data:`RECORD`, from a file's tables.

    Raises
    ------
    ConfigError
        That names ``source`` and what is missing, unknown or impossible.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(raw))
    except ValidationError as e:
        raise ConfigError(f"{source}: {'; '.join(_complaints(e, kind))}") from None


def _complaints(error: ValidationError, kind: type[Any]) -> Iterator[str]:
    for found in error.errors(include_url=False):
        place = ".".join(str(step) for step in found["loc"])
        match found["type"]:
            case "missing" | "missing_keyword_only_argument":
                yield f"{place} is missing"
            case "extra_forbidden" | "unexpected_keyword_argument":
                known = ", ".join(sorted(_known(kind, found["loc"][:-1])))
                yield f"{place} is not known; there are {known}"
            case "value_error" if "ctx" in found:
                where = f"{place}: " if place else ""
                yield f"{where}{found['ctx']['error']}"
            case _:
                yield f"{place} is {found['input']!r}: {found['msg'].lower()}"


def _known(kind: type[Any], path: tuple[int | str, ...]) -> Iterator[str]:
    """Yield the fields of the record at ``path`` within a record of ``kind``."""
    for step in path:
        kind = next(_records(next(f.type for f in fields(kind) if f.name == step)), kind)
    yield from (f.name for f in fields(kind) if f.init)


def _records(annotation: Any) -> Iterator[type[Any]]:
    """Yield the dataclasses that a field's annotation names."""
    if hasattr(annotation, "__dataclass_fields__"):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _records(part)
