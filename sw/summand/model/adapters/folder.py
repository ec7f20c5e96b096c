"""Reading an adapter from its folder."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from summand.model.adapters.manifest import FORMAT, TENSORS, AdapterManifest, Addition
from summand.model.entries import LayerEntry
from summand.model.errors import ModelError
from summand.model.folder import MANIFEST, SummandModel, check_file, has_format
from summand.model.layer import Layer
from summand.model.manifest import Manifest
from summand.model.reading import check_size, read_text
from summand.model.stored import StoredTensors
from summand.schedule.traffic import layer_traffic
from summand.summands.base import Summand
from summand.summands.errors import LayerError

__all__ = ["Adapter", "is_adapter"]

_REDO = "copy the folder again, or make it again with summand adapt"


def is_adapter(path: Path) -> bool:
    """Return whether a folder says that it is an adapter, of any version, whole or not."""
    return has_format(path, FORMAT)


class Adapter:
    """An adapter in a folder, for a model whose files it leaves as they are.

    Parameters
    ----------
    path : Path
        The folder.
    base : SummandModel
        The model that it was made for.
    verify : bool
        Compare the tensors' checksum first. Sizes are always compared.

    Raises
    ------
    ModelError
        If a file is missing or damaged, or the adapter is for another model; the text names it.
    """

    def __init__(self, path: Path, base: SummandModel, *, verify: bool = True):
        self.path = path
        self.base = base
        file = path / MANIFEST
        try:
            self.manifest = AdapterManifest.from_json(read_text(file))
        except OSError as e:
            raise ModelError(
                f"cannot read {file}: {e.strerror}; summand adapt writes adapters"
            ) from None
        except ModelError as e:
            raise ModelError(f"{file}: {e}; {_REDO}") from None
        if self.manifest.base != base.manifest.checksum:
            raise ModelError(
                f"{path} is an adapter for another model than {base.path}; make it for this one "
                f"with summand adapt"
            )
        self._additions = {addition.name: addition for addition in self.manifest.layers}
        if strange := [name for name in self._additions if name not in base.names]:
            raise ModelError(f"{file}: {base.path} has no layer {strange[0]!r}; {_REDO}")
        check_file(path / TENSORS, self.manifest.files[TENSORS], verify=verify, remedy=_REDO)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the layers that it adds to."""
        return tuple(self._additions)

    def summands(self) -> Mapping[str, Summand]:
        """Read all that it adds, by the name of the layer."""
        return dict(self._read())

    def layers(self) -> Iterator[Layer]:
        """Read the base's layers one by one, those with an addition as they are adapted."""
        summands = self.summands()
        for layer in self.base.layers():
            yield self._adapted(layer, summands[layer.name]) if layer.name in summands else layer

    @cached_property
    def adapted(self) -> Manifest:
        """The base's manifest with the sizes of the adapted layers."""
        manifest = self.base.manifest
        return replace(manifest, layers=tuple(map(self._entry, manifest.layers)))

    def _entry(self, entry: LayerEntry) -> LayerEntry:
        if (addition := self._additions.get(entry.name)) is None:
            return entry
        adapted = replace(
            entry,
            summands=(*entry.summands, addition.summand),
            acc_bits=addition.acc_bits,
            error=None,
        )
        return replace(adapted, bits=layer_traffic(adapted.sizes).integers)

    def _adapted(self, layer: Layer, summand: Summand) -> Layer:
        try:
            adapted = layer.plus(summand)
        except LayerError as e:
            raise ModelError(f"{self.path / TENSORS}: {e}; {_REDO}") from None
        said = self._additions[layer.name].acc_bits
        if adapted.acc_bits != said:
            raise ModelError(
                f"{self.path / TENSORS}: layer {layer.name!r} needs accumulators of "
                f"{adapted.acc_bits} bits, but {MANIFEST} says {said}; {_REDO}"
            )
        return adapted

    def _read(self) -> Iterator[tuple[str, Summand]]:
        from safetensors import SafetensorError, safe_open

        path = self.path / TENSORS
        try:
            check_size(path)
            with safe_open(path, framework="numpy") as file:
                for addition in self.manifest.layers:
                    yield addition.name, self._summand(addition, file)
        except (OSError, SafetensorError, LayerError, ValueError) as e:
            raise ModelError(f"{path}: {e}; {_REDO}") from None

    def _summand(self, addition: Addition, file: object) -> Summand:
        entry = self.base.entry(addition.name)
        tensors = StoredTensors(file, addition.name)
        return addition.summand.read(tensors, entry.in_features, entry.out_features)
