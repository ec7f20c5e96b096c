"""Reading a Summand model from its folder."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.model.channels import ChannelGroups
from summand.model.decomposition import Decomposition
from summand.model.decompositions import DECOMPOSITIONS, read_decompositions
from summand.model.entries import FileEntry, LayerEntry
from summand.model.errors import ModelError
from summand.model.layer import Layer
from summand.model.manifest import FORMAT, Manifest
from summand.model.reading import check_size, read_json, read_text
from summand.model.stored import StoredTensors
from summand.model.transform import Transform
from summand.summands.errors import LayerError

__all__ = [
    "HOST",
    "LAYERS",
    "MANIFEST",
    "ORDER",
    "SummandModel",
    "check_file",
    "has_format",
    "is_model",
    "read_layers",
    "sha256",
]

MANIFEST = "manifest.json"
LAYERS = "layers.safetensors"
HOST = "host.safetensors"

#: Name of a host tensor of a layer in parts: the order of its outputs.
ORDER = "output_order"

_REDO = "copy the folder again, or compress the model again"


def sha256(path: Path) -> str:
    """Return the checksum of a regular file, read in pieces.

    Raises
    ------
    ModelError
        If it is a pipe, a device or the like.
    """
    check_size(path)
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def check_file(path: Path, entry: FileEntry, *, verify: bool, remedy: str) -> None:
    """Compare a file with its entry in a manifest: its size, with ``verify`` its checksum too.

    Raises
    ------
    ModelError
        If it is missing, no regular file, or differs; the text ends with ``remedy``.
    """
    try:
        size = check_size(path)
        if size != entry.bytes:
            raise ModelError(f"{path} must be {entry.bytes} bytes, not {size}; {remedy}")
        if verify and sha256(path) != entry.sha256:
            raise ModelError(f"{path} does not match its checksum in {MANIFEST}: damaged; {remedy}")
    except OSError as e:
        raise ModelError(f"cannot read {path}: {e.strerror}; {remedy}") from None


def has_format(path: Path, name: str) -> bool:
    """Return whether the manifest in a folder is of a format, of any version, whole or not."""
    try:
        raw = read_json(path / MANIFEST)
    except (OSError, ModelError):
        return False
    return isinstance(raw, dict) and raw.get("format") == name


def is_model(path: Path) -> bool:
    """Return whether a folder says that it is a Summand model, of any version, whole or not."""
    return has_format(path, FORMAT)


class SummandModel:
    """A Summand model in a folder; layers are read one by one, when asked for.

    Parameters
    ----------
    path : Path
        The folder.
    verify : bool
        Compare every file's checksum first. Sizes are always compared.

    Raises
    ------
    ModelError
        If a file is missing, damaged, or of a newer version; the text names it.
    """

    def __init__(self, path: Path, *, verify: bool = True):
        self.path = path
        if not path.is_dir():
            raise ModelError(f"{path} is not a folder; summand compress writes Summand models")
        manifest = path / MANIFEST
        try:
            text = read_text(manifest)
        except FileNotFoundError:
            raise ModelError(
                f"{path} has no {MANIFEST}; it is no Summand model, or its writing was cut short"
            ) from None
        except OSError as e:
            raise ModelError(f"cannot read {manifest}: {e}; {_REDO}") from None
        try:
            self.manifest = Manifest.from_json(text)
        except ModelError as e:
            raise ModelError(f"{manifest}: {e}") from None
        if not self.manifest.layers:
            raise ModelError(f"{manifest}: layers must hold one at least; {_REDO}")
        self._entries = {entry.name: entry for entry in self.manifest.layers}
        self._check_files(verify)

    def _check_files(self, verify: bool) -> None:
        wanted = (LAYERS, HOST, *(DECOMPOSITIONS for _ in self.manifest.decompositions[:1]))
        for name in wanted:
            if name not in self.manifest.files:
                raise ModelError(f"{self.path / MANIFEST}: files must list {name}; {_REDO}")
        for name, entry in self.manifest.files.items():
            check_file(self.path / name, entry, verify=verify, remedy=_REDO)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the compressed layers, in the model's order."""
        return tuple(self._entries)

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Layers that share an input; every layer is in exactly one group."""
        return self.manifest.groups

    @property
    def host_file(self) -> Path:
        """The safetensors file of everything that stays on the host."""
        return self.path / HOST

    def entry(self, name: str) -> LayerEntry:
        """Return a layer's sizes without reading its weights."""
        try:
            return self._entries[name]
        except KeyError:
            raise ModelError(
                f"{self.path} has no layer {name!r}; its manifest lists them"
            ) from None

    @property
    def output_orders(self) -> dict[str, npt.NDArray[np.int64]]:
        """Orders of outputs ``[N]`` of the layers in parts that have one.

        At each place it has the output that the parts, one behind another, compute there.
        """
        from safetensors import SafetensorError, safe_open

        try:
            check_size(self.host_file)
            with safe_open(self.host_file, framework="numpy") as file:
                names = set(file.keys()).intersection(f"{n}.{ORDER}" for n in self.manifest.split)
                layers = [name.removesuffix(f".{ORDER}") for name in sorted(names)]
                return {name: StoredTensors(file, name).tensor(ORDER, "I64") for name in layers}
        except (OSError, SafetensorError, ValueError) as e:
            raise ModelError(f"{self.host_file}: {e}; {_REDO}") from None

    def layer(self, name: str) -> Layer:
        """Read one layer."""
        return next(read_layers(self.path / LAYERS, [self.entry(name)]))

    def layers(self) -> Iterator[Layer]:
        """Read all layers, one at a time."""
        return read_layers(self.path / LAYERS, self._entries.values())

    def decompositions(self) -> tuple[Decomposition, ...]:
        """Read how groups' inputs may be decomposed.

        Raises
        ------
        ModelError
            If there are none, they are damaged, or do not fit their layers.
        """
        file = self.path / DECOMPOSITIONS
        if not self.manifest.decompositions:
            raise ModelError(
                f"{self.path} has no decompositions; compress the model with --decompose-loss"
            )
        found = read_decompositions(file, self.manifest.decompositions, _REDO)
        for each in found:
            for name, by in zip(each.layers, each.requantisations, strict=True):
                entry = self.entry(name)
                outputs = entry.out_features if by is None else len(by.mult)
                if (len(each.directions), outputs) != (entry.in_features, entry.out_features):
                    raise ModelError(
                        f"{file}: the decomposition of {name} is of {len(each.directions)} inputs "
                        f"and {outputs} outputs, not of {entry.in_features} and "
                        f"{entry.out_features}; {_REDO}"
                    )
        return found


def read_layers(path: Path, entries: Iterable[LayerEntry]) -> Iterator[Layer]:
    """Read layers from a file, one at a time; raises :class:`ModelError` if one is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        check_size(path)
        with safe_open(path, framework="numpy") as file:
            for entry in entries:
                yield _build(entry, file)
    except (OSError, SafetensorError, LayerError, ValueError) as e:
        raise ModelError(f"{path}: {e}; {_REDO}") from None


def _build(entry: LayerEntry, file: Any) -> Layer:
    """Make a layer from its tensors."""
    k, n, own = entry.in_features, entry.out_features, StoredTensors(file, entry.name)
    summands = tuple(
        summand.read(StoredTensors(file, f"{entry.name}.{i}"), k, n)
        for i, summand in enumerate(entry.summands)
    )
    layer = Layer(
        name=entry.name,
        in_features=k,
        out_features=n,
        act_bits=entry.act_bits,
        summands=summands,
        scale=own.tensor("scale", "F32"),
        bias=own.tensor("bias", "F32") if entry.bias else None,
        transform=_transform(entry, own),
    )
    if layer.bits != entry.bits:
        raise ValueError(
            f"{entry.name} streams {layer.bits} bits, but {MANIFEST} says {entry.bits}"
        )
    return layer


def _transform(entry: LayerEntry, own: StoredTensors) -> Transform | None:
    """Make the transform of a layer's input from its tensors."""
    balance = own.tensor("balance", "F32") if entry.balance else None
    groups = None
    if entry.borders:
        centre = own.tensor("centre", "F32") if entry.centre else None
        groups = ChannelGroups(own.tensor("order", "I32"), entry.borders, centre)
    if balance is None and entry.rotation is None and groups is None:
        return None
    return Transform(entry.in_features, balance, entry.rotation, groups)
