"""Files of an exploration, which are written whole or not at all."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from summand.explore.errors import ExploreError
from summand.model import ModelError
from summand.model.reading import read_json

__all__ = ["keep", "kept", "write_json", "written_whole"]


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that takes the place of ``path`` when the context ends without an error.

    Raises
    ------
    ExploreError
        If it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as e:
        raise ExploreError(f"cannot write {path}: {e.strerror}") from None


def write_json(path: Path, value: Any) -> None:
    """Write a file, whole or not at all.

    Raises
    ------
    ExploreError
        If it cannot be written.
    """
    with written_whole(path) as file:
        file.write((json.dumps(value, indent=1) + "\n").encode())


def kept(path: Path, key: str) -> dict[str, Any] | None:
    """Return the result that is kept in a file; None if there is none of this key."""
    try:
        found = read_json(path)
    except (OSError, ModelError):  # none, or damaged: it is worked out anew
        return None
    match found:
        case {"key": known, "result": dict(result)} if known == key:
            return result
    return None


def keep(path: Path, key: str, result: Mapping[str, Any]) -> None:
    """Keep a result in a file; ``key`` is a checksum of all that it depends on.

    Raises
    ------
    ExploreError
        If it cannot be written.
    """
    write_json(path, {"key": key, "result": result})
