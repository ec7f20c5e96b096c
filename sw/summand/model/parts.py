"""The folder in which a model grows: each layer in a file of its own as soon as it is finished."""

import fcntl
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from summand.model.entries import LayerEntry
from summand.model.errors import ModelError
from summand.model.folder import read_layers, sha256
from summand.model.layer import Layer
from summand.model.manifest import seal
from summand.model.tensors import merge

__all__ = ["Parts"]

_JOB = "job.json"
_LOCK = "lock"
_LAYERS = "finished"
_REVISED = "revised"
_SCRATCH = "scratch"


class Parts:
    """Finished layers on the disk, and the description of the work that they belong to.

    Parameters
    ----------
    folder : Path
        Where they are; it must exist.
    """

    #: Names of files that are not part of the finished model.
    FILES = (_JOB, _LOCK)

    def __init__(self, folder: Path):
        self.folder = folder
        self._layers = folder / _LAYERS
        self._revised = folder / _REVISED
        self._lock: IO[bytes] | None = None
        #: What is finished, by name.
        self.entries: dict[str, LayerEntry] = {}
        self._files: dict[str, Path] = {}

    def lock(self, purpose: str) -> None:
        """Keep other processes out until this one closes the folder or ends in any way."""
        self._lock = (self.folder / _LOCK).open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise ModelError(
                f"another process is at work on {purpose}; wait for it, or give another folder"
            ) from None

    def close(self) -> None:
        """Let other processes in."""
        if self._lock is not None:
            self._lock.close()

    def begin(self, job: Mapping[str, Any], *, restart: bool) -> None:
        """Find the layers that an earlier process finished of the same job; drop damaged ones.

        Raises
        ------
        ModelError
            If the layers there are of another job, and ``restart`` does not drop them.
        """
        wanted = json.loads(json.dumps(job))
        try:
            raw = json.loads((self.folder / _JOB).read_text())
            known = raw["job"] if raw["checksum"] == seal(raw["job"]) else None
        except (OSError, ValueError, KeyError, TypeError):
            known = None
        if known is not None and not restart:
            if other := _difference(known, wanted, ""):
                count = len(list(self._layers.glob("*.json")))
                raise ModelError(
                    f"{self.folder} holds {count} finished layers of an interrupted job with "
                    f"{other}: repeat that job to go on with it, or use --force to begin anew"
                )
            shutil.rmtree(self._revised, ignore_errors=True)
            self._find()
            return
        self._drop()
        sealed = {"job": wanted, "checksum": seal(wanted)}
        _write(self.folder / _JOB, json.dumps(sealed))

    def _find(self) -> None:
        for record in sorted(self._layers.glob("*.json")):
            file = record.with_suffix(".safetensors")
            try:
                raw = json.loads(record.read_text())
                entry = LayerEntry.from_raw(raw["entry"])
                whole = raw["checksum"] == seal(raw["entry"]) and raw["sha256"] == sha256(file)
            except (OSError, ModelError, ValueError, KeyError, TypeError):
                entry, whole = None, False
            if entry is None or not whole:
                record.unlink()
                continue
            self.entries[entry.name] = entry
            self._files[entry.name] = file

    def add(self, entry: LayerEntry, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write a layer; after this it survives any end of this process."""
        from safetensors.numpy import save_file

        self._layers.mkdir(exist_ok=True)
        number = len(self._files)
        while (record := self._layers / f"{number:06d}.json").exists():
            number += 1
        file = record.with_suffix(".safetensors")
        save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, file)
        raw = entry.to_raw()
        listing = {"entry": raw, "checksum": seal(json.loads(json.dumps(raw)))}
        _write(record, json.dumps({**listing, "sha256": sha256(file)}))
        self.entries[entry.name] = entry
        self._files[entry.name] = file

    def revise(self, entry: LayerEntry, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Replace a finished layer by another version; a process that begins again drops that."""
        from safetensors.numpy import save_file

        self._revised.mkdir(exist_ok=True)
        file = self._revised / self._files[entry.name].name
        save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, file)
        self.entries[entry.name] = entry
        self._files[entry.name] = file

    def layer(self, name: str) -> Layer:
        """Read a finished layer."""
        return next(read_layers(self._files[name], [self.entries[name]]))

    @property
    def scratch(self) -> Path:
        """Folder for intermediate data of the layers' maker, kept over an interruption."""
        return self.folder / _SCRATCH

    def merge(self, names: Iterable[str], destination: Path) -> None:
        """Write the layers of these names to one file."""
        merge([self._files[name] for name in names], destination)

    def clear(self) -> None:
        """Remove everything that is not part of the finished model."""
        self._drop()
        for name in self.FILES:
            (self.folder / name).unlink(missing_ok=True)

    def _drop(self) -> None:
        for folder in (self._layers, self._revised, self.scratch):
            shutil.rmtree(folder, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def _difference(known: Any, wanted: Any, where: str) -> str:
    """Name the first thing in which one job differs from another; empty if they are the same."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        for key in (*known, *(wanted.keys() - known.keys())):
            inner = f"{where} {key}".strip()
            if found := _difference(known.get(key), wanted.get(key), inner):
                return found
        return ""
    return "" if known == wanted else f"{where} {known!r}, not {wanted!r}"
