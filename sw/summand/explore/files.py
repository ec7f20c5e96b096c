"""Files of an exploration, which are written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from summand.explore.errors import ExploreError

__all__ = ["written_whole"]


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
