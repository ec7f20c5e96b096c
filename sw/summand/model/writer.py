"""Writing a Summand model: all of it, or nothing."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy.typing as npt

from summand.model.decomposition import Decomposition
from summand.model.decompositions import write_decompositions
from summand.model.entries import FileEntry, HostEntry, LayerEntry
from summand.model.errors import ModelError
from summand.model.folder import HOST, LAYERS, MANIFEST, is_model, sha256
from summand.model.layer import Layer
from summand.model.manifest import Manifest
from summand.model.parts import Parts
from summand.model.placing import check_place, put_in_place
from summand.summands.registry import kind_of

__all__ = ["ModelWriter", "check_destination"]


def check_destination(path: Path) -> None:
    """Refuse a place where a model may not be written.

    Free places, empty folders and Summand models (which are replaced) are good.
    """
    check_place(path, is_model, "no Summand model")


class ModelWriter:
    """Collects a model in a hidden folder beside its destination, and renames it at the end.

    Use as a context; without :meth:`finish` nothing is left behind, unless there is a ``job``.
    Every layer is on the disk as soon as it is added, and not in memory any more. Files that go
    with the model (configuration, tokenizer) may be put into :attr:`folder`.

    Parameters
    ----------
    path : Path
        The destination; see :func:`check_destination`.
    job : mapping, optional
        What is being done, as JSON: all that the layers depend on. With it, layers that were
        added before an error, or before the process was killed, are kept; the next writer with the
        same destination and job has them in :attr:`finished`.
    restart : bool
        Drop such layers instead, whatever job they are of.
    """

    def __init__(self, path: Path, *, job: Mapping[str, Any] | None = None, restart: bool = False):
        self.path = path.resolve()
        self._job = job
        self._restart = restart

    def __enter__(self) -> "ModelWriter":
        check_destination(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._job is None:
                hidden = Path(tempfile.mkdtemp(prefix=f".{self.path.name}-", dir=self.path.parent))
            else:
                hidden = self.path.with_name(f".{self.path.name}.partial")
                hidden.mkdir(exist_ok=True)
            #: Where the model grows.
            self.folder = hidden
            self._parts = Parts(hidden)
            if self._job is not None:
                self._parts.lock(str(self.path))
                try:
                    self._parts.begin(self._job, restart=self._restart)
                except BaseException:
                    self._parts.close()
                    raise
        except OSError as e:
            raise ModelError(f"cannot write {self.path}: {e.strerror}") from None
        return self

    @property
    def finished(self) -> Mapping[str, LayerEntry]:
        """Layers that are there already."""
        return self._parts.entries

    def layer(self, name: str) -> Layer:
        """Read a layer that is there already."""
        return self._parts.layer(name)

    @property
    def scratch(self) -> Path:
        """A folder for what the job may need when it goes on; gone when the model is finished."""
        return self._parts.scratch

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        count = len(self.finished) if self._job is not None else 0
        if not count or error is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._parts.close()
        from safetensors import SafetensorError

        if isinstance(error, OSError | SafetensorError):
            kept = (
                f"; {count} finished layers are kept, run the same again to go on" if count else ""
            )
            raise ModelError(f"cannot write {self.path}: {error}{kept}") from None

    def add(self, layer: Layer, *, error: float | None = None) -> LayerEntry:
        """Add a layer; ``error`` is its relative output error, if it is known."""
        entry, tensors = _described(layer, error)
        self._parts.add(entry, tensors)
        return entry

    def revise(self, layer: Layer, *, error: float | None = None) -> LayerEntry:
        """Put another version of a finished layer in its place.

        A later writer with the same job has the version that was added.
        """
        entry, tensors = _described(layer, error)
        self._parts.revise(entry, tensors)
        return entry

    def finish(
        self,
        *,
        groups: Sequence[Sequence[str]],
        split: Sequence[str] = (),
        decompositions: Sequence[Decomposition] = (),
        host: Sequence[HostEntry] = (),
        source: Mapping[str, Any],
        options: Mapping[str, Any],
        aliases: Mapping[str, str] | None = None,
    ) -> Manifest:
        """Write what was added and move the folder to its destination.

        Layers are in the order in which they were added, with a ``job`` in that of ``groups``.
        """
        from safetensors.numpy import save_file

        names = list(self.finished)
        if self._job is not None:
            order = [name for group in groups for name in group]
            names.sort(key=order.index)
        self._parts.merge(names, self.folder / LAYERS)
        if not (self.folder / HOST).exists():
            save_file({}, self.folder / HOST)
        decomposed = write_decompositions(decompositions, self.folder)
        files = {
            file.name: FileEntry(sha256=sha256(file), bytes=file.stat().st_size)
            for file in sorted(self.folder.iterdir())
            if file.is_file() and file.name not in Parts.FILES
        }
        manifest = Manifest(
            source=source,
            options=options,
            layers=tuple(self.finished[name] for name in names),
            groups=tuple(tuple(group) for group in groups),
            split=tuple(split),
            decompositions=decomposed,
            host=tuple(host),
            aliases=aliases or {},
            files=files,
        )
        text = manifest.to_json()
        Manifest.from_json(text)  # what could not be read is not written
        (self.folder / MANIFEST).write_text(text)
        self._parts.clear()
        check_destination(self.path)
        put_in_place(self.folder, self.path)
        return manifest


def _described(layer: Layer, error: float | None) -> tuple[LayerEntry, dict[str, npt.NDArray[Any]]]:
    """Return a layer's entry, and its tensors by the names under which they are stored."""
    transform, groups = layer.transform, layer.groups
    parts: dict[str, npt.NDArray[Any]] = {"scale": layer.scale}
    if layer.bias is not None:
        parts["bias"] = layer.bias
    if transform is not None and transform.balance is not None:
        parts["balance"] = transform.balance
    if groups is not None:
        parts["order"] = groups.order
        if groups.centre is not None:
            parts["centre"] = groups.centre
    for i, summand in enumerate(layer.summands):
        tensors = kind_of(summand).entry.tensors(summand)
        parts |= {f"{i}.{name}": tensor for name, tensor in tensors.items()}
    entry = LayerEntry(
        name=layer.name,
        in_features=layer.in_features,
        out_features=layer.out_features,
        act_bits=layer.act_bits,
        summands=layer.entries,
        acc_bits=layer.acc_bits,
        bias=layer.bias is not None,
        balance=transform is not None and transform.balance is not None,
        rotation=transform.rotation if transform is not None else None,
        borders=layer.borders,
        centre=groups is not None and groups.centre is not None,
        bits=layer.bits,
        error=error,
    )
    return entry, {f"{layer.name}.{part}": value for part, value in parts.items()}
