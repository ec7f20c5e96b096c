"""Store calibration statistics in memory or in a folder, to use them again."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import torch

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.errors import CompressError

__all__ = ["StatisticsFolder", "StatisticsInMemory", "StatisticsStore"]

_LISTING = "calibration.json"
_FORMAT = "summand-calibration"

#: Raised with every change of what is collected, or of how it is stored.
_VERSION = 1

_TENSORS = ("energy", "moments", "sample", "low", "high")


class StatisticsStore(Protocol):
    """Statistics of one model on one text, by the first name of each group."""

    def has(self, name: str, *, moments: bool) -> bool:
        """Return whether a group's statistics are stored, with second moments if wanted."""
        ...

    def get(self, name: str) -> InputStatistics:
        """Return a group's statistics."""
        ...

    def put(self, name: str, statistics: InputStatistics) -> None:
        """Store a group's statistics."""
        ...


class StatisticsInMemory:
    """Statistics of one model and one text."""

    def __init__(self):
        self._kept: dict[str, InputStatistics] = {}

    def has(self, name: str, *, moments: bool) -> bool:
        """Return whether the statistics of the group whose first layer this is are there."""
        kept = self._kept.get(name)
        return kept is not None and (kept.moments is not None or not moments)

    def get(self, name: str) -> InputStatistics:
        """Return the statistics of a group."""
        return self._kept[name]

    def put(self, name: str, statistics: InputStatistics) -> None:
        """Keep the statistics of a group."""
        self._kept[name] = statistics


class StatisticsFolder:
    """A folder with a safetensors file for each input, of one model and one text.

    Statistics of another model or text are dropped; :attr:`note` says so.

    Parameters
    ----------
    path : Path
        The folder; made if it is missing.
    key : mapping
        What the statistics depend on, as JSON: checksums of model and text, tokens, window.

    Raises
    ------
    CompressError
        If the folder holds something else, or cannot be written.
    """

    def __init__(self, path: Path, key: Mapping[str, Any]):
        self.path = path
        #: What a user should hear; empty if there is nothing.
        self.note = ""
        wanted = {"format": _FORMAT, "version": _VERSION, **key}
        self._seal = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
        try:
            known = self._listing()
            if known is not None and known != wanted:
                what = next(k for k in (*wanted, *known) if known.get(k) != wanted.get(k))
                self.note = f"{path} is of another {what}: calibrating again"
                (path / _LISTING).unlink()
                for file in path.glob("*.safetensors"):
                    file.unlink()
            path.mkdir(parents=True, exist_ok=True)
            (path / _LISTING).write_text(json.dumps(wanted, indent=1) + "\n")
        except OSError as e:
            raise CompressError(f"cannot write {path}: {e.strerror}") from None

    def _listing(self) -> dict[str, Any] | None:
        """Return the model and text that the folder names; None if it is empty or missing."""
        if self.path.exists() and not self.path.is_dir():
            raise CompressError(f"{self.path} is a file; --statistics names a folder")
        try:
            raw = json.loads((self.path / _LISTING).read_text())
        except FileNotFoundError:
            if self.path.exists() and any(self.path.iterdir()):
                raise self._foreign() from None
            return None
        except ValueError:
            raise self._foreign() from None
        if not isinstance(raw, dict) or raw.get("format") != _FORMAT:
            raise self._foreign()
        return raw

    def _foreign(self) -> CompressError:
        return CompressError(
            f"{self.path} holds something that is no calibration, and is left as it is; give "
            f"another folder, or empty it"
        )

    def _file(self, name: str) -> Path:
        return self.path / f"{quote(name, safe='')}.safetensors"

    def has(self, name: str, *, moments: bool) -> bool:
        """Return whether the statistics of the group whose first layer this is are there."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._file(name), framework="pt") as file:
                about = file.metadata() or {}
                whole = set(_TENSORS) - {"moments"} <= set(file.keys())
                return (
                    about.get("of") == self._seal
                    and whole
                    and (
                        not moments or "moments" in file.keys()  # noqa: SIM118
                    )
                )
        except (OSError, SafetensorError):
            return False

    def get(self, name: str) -> InputStatistics:
        """Return the statistics of a group.

        Raises
        ------
        CompressError
            If they are damaged.
        """
        from safetensors import SafetensorError, safe_open

        path = self._file(name)
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata()
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            if about["checksum"] != _checksum(tensors):
                raise ValueError
            return InputStatistics(int(about["tokens"]), **{"moments": None, **tensors})
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            raise CompressError(f"{path} is damaged; delete it to calibrate again") from None

    def put(self, name: str, statistics: InputStatistics) -> None:
        """Keep the statistics of a group."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        tensors = {
            key: value.contiguous()
            for key in _TENSORS
            if (value := getattr(statistics, key)) is not None
        }
        about = {"of": self._seal, "tokens": str(statistics.tokens), "checksum": _checksum(tensors)}
        new = self._file(name).with_suffix(".new")
        try:
            save_file(tensors, new, metadata=about)
            new.replace(self._file(name))
        except (OSError, SafetensorError) as e:
            new.unlink(missing_ok=True)
            raise CompressError(f"cannot keep statistics in {self.path}: {e}; make room") from None


def _checksum(tensors: Mapping[str, torch.Tensor]) -> str:
    total = hashlib.sha256()
    for key in sorted(tensors):
        total.update(key.encode())
        total.update(tensors[key].numpy().data)
    return total.hexdigest()
