"""A folder of built simulators, found by their content."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from summand.verilated.tools import ToolError

__all__ = ["cached", "default_cache"]

#: Files kept; the least recently used go first.
_KEEP = 128

#: Folders in which something is being built have names that begin so.
_BUILD = "build-"

#: Seconds after its making for which such a folder may have no lock yet.
_YOUNG_S = 10


def default_cache() -> Path:
    """Return the folder for built simulators, under ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "summand" / "simulators"


def cached(folder: Path, name: str, build: Callable[[Path], Path], *, anew: bool = False) -> Path:
    """Return the file ``name`` in ``folder``, building it if it is not there.

    Any number of processes may ask at once; one builds and the others wait. A build that fails or
    is killed leaves nothing that could be taken for a result; the next build of anything removes
    its remains.

    Parameters
    ----------
    folder : Path
        The cache; made if need be.
    name : str
        The file's name, made from a checksum of its content's sources.
    build : callable
        Called with an empty folder to work in; returns the file it has made there.
    anew : bool
        Build even if the file exists, because it cannot be used.

    Raises
    ------
    ToolError
        If the folder cannot be written, or from ``build``.
    """
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / f"{name}.lock"):
            if anew or not path.exists():
                _clear(folder)
                # In the same file system as its place, so that moving it there is one step.
                with _workplace(folder) as work:
                    made = build(work)
                    with made.open("rb") as file:
                        os.fsync(file.fileno())  # else a power cut could leave it empty
                    made.replace(path)
                with contextlib.suppress(FileNotFoundError):  # another process prunes too
                    _prune(folder)
            os.utime(path)
    except OSError as e:
        raise ToolError(
            f"cannot keep a simulator in {folder}: {e.strerror or e}; make room there, or set "
            "XDG_CACHE_HOME to a folder that can be written"
        ) from None
    return path


@contextlib.contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """Make a folder to build in, locked for as long as this process uses it."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=_BUILD) as work:
        # It is locked a moment after it is made, so `_clear` leaves young folders alone.
        descriptor = os.open(work, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Path(work)
        finally:
            os.close(descriptor)


def _clear(folder: Path) -> None:
    """Remove the folders of killed builds; a running build holds the lock of its folder."""
    for work in folder.glob(f"{_BUILD}*"):
        try:
            if time.time() - work.stat().st_mtime < _YOUNG_S:
                continue
            descriptor = os.open(work, os.O_RDONLY)
        except FileNotFoundError:  # finished meanwhile
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(work, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)


def _prune(folder: Path) -> None:
    locks = {path: path.with_name(f"{path.name}.lock") for path in folder.iterdir()}
    kept = [path for path, lock in locks.items() if lock.exists()]
    kept.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[_KEEP:]:
        path.unlink(missing_ok=True)
        locks[path].unlink(missing_ok=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, in whatever way it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
