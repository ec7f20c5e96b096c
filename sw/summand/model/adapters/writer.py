"""Writing an adapter: all of it, or nothing."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.model.adapters.folder import is_adapter
from summand.model.adapters.manifest import TENSORS, AdapterManifest, Addition
from summand.model.entries import FileEntry
from summand.model.errors import ModelError
from summand.model.folder import MANIFEST, SummandModel, sha256
from summand.model.layer import Layer
from summand.model.placing import check_place, put_in_place
from summand.summands.base import Summand
from summand.summands.registry import entry_of, kind_of

__all__ = ["AdapterWriter", "check_adapter_destination"]


def check_adapter_destination(path: Path) -> None:
    """Refuse a place where an adapter may not be written.

    Free places, empty folders and adapters (which are replaced) are good.
    """
    check_place(path, is_adapter, "no adapter of a Summand model")


class AdapterWriter:
    """Collects what an adapter adds, and writes its folder at the end.

    Parameters
    ----------
    path : Path
        The destination; see :func:`check_adapter_destination`.
    base : SummandModel
        The model that the adapter is for; only read.
    """

    def __init__(self, path: Path, base: SummandModel):
        check_adapter_destination(path)
        self._path = path.resolve()
        self._base = base
        self._additions: list[Addition] = []
        self._tensors: dict[str, npt.NDArray[Any]] = {}

    def add(self, layer: Layer, summand: Summand, *, error: float | None = None) -> Addition:
        """Add a summand of one of the base's layers; ``error`` is its relative one, if known.

        Raises
        ------
        LayerError
            If it does not fit the layer.
        """
        addition = Addition(
            name=layer.name,
            summand=entry_of(summand),
            acc_bits=layer.plus(summand).acc_bits,
            error=error,
        )
        self._additions.append(addition)
        for name, tensor in kind_of(summand).entry.tensors(summand).items():
            self._tensors[f"{layer.name}.{name}"] = np.ascontiguousarray(tensor)
        return addition

    def finish(self, *, source: Mapping[str, Any], options: Mapping[str, Any]) -> AdapterManifest:
        """Write what was added beside the destination, and rename that when it is whole.

        Raises
        ------
        ModelError
            If it cannot be written; the destination is then as it was.
        """
        from safetensors import SafetensorError

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            hidden = tempfile.mkdtemp(prefix=f".{self._path.name}-", dir=self._path.parent)
            folder = Path(hidden)
            try:
                return self._write(folder, source, options)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except (OSError, SafetensorError) as e:
            raise ModelError(f"cannot write {self._path}: {e}") from None

    def _write(
        self, folder: Path, source: Mapping[str, Any], options: Mapping[str, Any]
    ) -> AdapterManifest:
        from safetensors.numpy import save_file

        file = folder / TENSORS
        save_file(self._tensors, file)
        order = {name: i for i, name in enumerate(self._base.names)}
        manifest = AdapterManifest(
            base=self._base.manifest.checksum,
            source=source,
            options=options,
            layers=tuple(sorted(self._additions, key=lambda addition: order[addition.name])),
            files={TENSORS: FileEntry(sha256=sha256(file), bytes=file.stat().st_size)},
        )
        text = manifest.to_json()
        AdapterManifest.from_json(text)  # what could not be read is not written
        (folder / MANIFEST).write_text(text)
        check_adapter_destination(self._path)
        put_in_place(folder, self._path)
        return manifest
