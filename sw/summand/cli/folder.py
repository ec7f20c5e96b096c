"""Folders that commands write: their files, and a manifest that lists them."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from summand.isa import SummandError
from summand.model import ModelError
from summand.model.reading import read_json

__all__ = ["MANIFEST", "FolderError", "OutputFile", "OutputFolder"]

#: The file that lists all others. It is written last, so its presence means that all are there.
MANIFEST = "manifest.json"


class FolderError(SummandError):
    """Files that cannot be written where they should go."""


@dataclass(frozen=True)
class OutputFile:
    """A file to be written.

    Parameters
    ----------
    content : str or Path
        Its text, or the file that it is a copy of.
    what : str
        What it is, for people.
    """

    content: str | Path
    what: str


class OutputFolder:
    """A folder that one command writes, perhaps repeatedly.

    Files that the command wrote earlier are replaced, all others left alone.

    Parameters
    ----------
    path : Path
        The folder; made when something is written.
    kind : str
        In the manifest's ``kind``: what the folder holds.
    command : str
        The command's name, for messages.

    Raises
    ------
    FolderError
        If something else is there: a file, or another command's manifest.
    """

    def __init__(self, path: Path, *, kind: str, command: str):
        self._path = path
        self._kind = kind
        self._command = command
        self._known = self._listed()

    def _listed(self) -> dict[str, Any]:
        """Return the manifest's list of files that the command wrote here the last time."""
        if self._path.exists() and not self._path.is_dir():
            raise FolderError(f"{self._path} is a file; -o names a folder")
        try:
            manifest = read_json(self._path / MANIFEST)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ModelError):
            manifest = None
        match manifest:
            case {"kind": found, "files": dict(files)} if found == self._kind:
                return {n: entry for n, entry in files.items() if Path(n).name == n}
            case _:
                raise FolderError(
                    f"{self._path / MANIFEST} was not written by summand {self._command}; choose "
                    f"another folder"
                )

    def prepare(self, names: set[str]) -> None:
        """Make the folder, and check that files of these names can be written.

        Raises
        ------
        FolderError
            If they cannot; then nothing has changed.
        """
        with self._alone():
            self._check(names)

    def _check(self, names: set[str]) -> None:
        if strange := sorted(n for n in names - self._known.keys() if (self._path / n).exists()):
            raise FolderError(
                f"{self._path / strange[0]} is in the way and not from an earlier run; "
                f"choose another folder, or move it"
            )
        with tempfile.TemporaryFile(dir=self._path):
            pass

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock the folder, made if need be, for this process; others wait.

        If the context ends with an error, folders that were made and are empty are removed.
        """
        made = [folder for folder in (self._path, *self._path.parents) if not folder.exists()]
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._known = self._listed()  # another process may have written meanwhile
                yield
            finally:
                os.close(descriptor)
        except BaseException as e:
            with contextlib.suppress(OSError):  # the first that is not empty
                for folder in made:
                    folder.rmdir()
            if isinstance(e, OSError):
                raise self._unwritable(e) from None
            raise

    def holds(self, files: Mapping[str, OutputFile]) -> bool:
        """Whether the command wrote these very files earlier, by the manifest."""
        return all(_entry(file) == self._known.get(name) for name, file in files.items())

    def clear(self) -> None:
        """Remove what the command wrote earlier, the manifest first."""
        try:
            for name in (MANIFEST, *sorted(self._known)):
                (self._path / name).unlink(missing_ok=True)
        except OSError as e:
            raise self._unwritable(e) from None

    def write(self, files: Mapping[str, OutputFile], manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Write files, and ``manifest`` with their sizes and SHA-256; returns it so completed.

        No old file is touched before all new files are on the disk.
        """
        with self._alone():
            self._check(set(files))
            with tempfile.TemporaryDirectory(dir=self._path, prefix=".summand-") as staging:
                whole = {"kind": self._kind, **manifest}
                whole["files"] = {name: _entry(file) for name, file in files.items()}
                listing = OutputFile(json.dumps(whole, indent=2) + "\n", "this list")
                for name, file in {**files, MANIFEST: listing}.items():
                    _stage(file, Path(staging) / name)
                (self._path / MANIFEST).unlink(missing_ok=True)
                for stale in self._known.keys() - files.keys():
                    (self._path / stale).unlink(missing_ok=True)
                for name in (*files, MANIFEST):
                    (Path(staging) / name).replace(self._path / name)
        return whole

    def _unwritable(self, error: OSError) -> FolderError:
        return FolderError(f"cannot write {error.filename or self._path}: {error.strerror}")


def _stage(file: OutputFile, path: Path) -> None:
    if isinstance(file.content, Path):
        shutil.copyfile(file.content, path)
    else:
        path.write_text(file.content, encoding="utf-8", newline="\n")


def _entry(file: OutputFile) -> dict[str, Any]:
    """Return what the manifest says of a file."""
    content = file.content
    data = content.read_bytes() if isinstance(content, Path) else content.encode()
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "what": file.what}
