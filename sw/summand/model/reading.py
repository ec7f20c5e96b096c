"""Reading files that may come from a stranger: regular files only, of bounded size and depth."""

import json
import stat
from pathlib import Path
from typing import Any

from summand.model.errors import ModelError, Refusal

__all__ = ["JSON_BYTES", "check_size", "parse_json", "read_json", "read_text"]

#: The most bytes of a JSON file that is read into memory, 400 times SmolLM2's manifest.
JSON_BYTES = 64 << 20

#: The most nested levels of lists and objects.
_DEPTH = 100


def check_size(path: Path, most: int | None = None) -> int:
    """Return the bytes of a regular file, links followed, without opening it.

    A pipe or a device has no end, and opening one may wait for ever.

    Raises
    ------
    ModelError
        If it is anything else, or larger than ``most``.
    OSError
        If it is not there.
    """
    try:
        found = path.stat()
    except ValueError as e:  # a name that no file system has
        raise ModelError(f"{str(path)!r} is no file name: {e}") from None
    if not stat.S_ISREG(found.st_mode):
        raise ModelError(f"{path} is not a regular file; put a copy of the model's file there")
    if most is not None and found.st_size > most:
        raise ModelError(f"{path} must be at most {most:,} bytes, not {found.st_size:,}")
    return found.st_size


def read_text(path: Path, most: int = JSON_BYTES) -> str:
    """Return a file's text.

    Raises
    ------
    ModelError
        If it is not a regular file of UTF-8, or larger than ``most`` bytes.
    OSError
        If it cannot be read.
    """
    check_size(path, most)
    with path.open("rb") as file:
        data = file.read(most + 1)  # bounded even if the file grows meanwhile
    if len(data) > most:
        raise ModelError(f"{path} must be at most {most:,} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as e:
        raise ModelError(f"cannot read {path}: {e}") from None


def parse_json(text: str) -> Any:
    """Parse JSON; raises :class:`Refusal` for any other text."""
    try:
        value = json.loads(text)
        _check_depth(value, _DEPTH)
    except RecursionError:
        raise Refusal(f"not JSON (more than {_DEPTH} levels of brackets)") from None
    except ValueError as e:  # also a number of thousands of digits
        raise Refusal(f"not JSON ({e})") from None
    return value


def read_json(path: Path, most: int = JSON_BYTES) -> Any:
    """Return the contents of a JSON file; raises as :func:`read_text` does."""
    text = read_text(path, most)
    try:
        return parse_json(text)
    except Refusal as e:
        raise ModelError(f"{path}: {e}") from None


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, dict | list):
        if not left:
            raise RecursionError
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, left - 1)
