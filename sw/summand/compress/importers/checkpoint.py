"""What folders with quantised layers have in common: tensors named after a layer and a part."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from summand.compress.importers.tensors import Tensors
from summand.compress.importers.weight import QuantisedWeight

__all__ = ["FolderCheckpoint"]


class FolderCheckpoint(ABC):
    """A folder with quantised layers, each of several tensors: ``layer.part``.

    Parameters
    ----------
    tensors : Tensors
        The folder's.
    """

    #: For reports.
    format: str

    #: The part that every quantised layer has, and no other.
    _INTEGERS: str

    def __init__(self, tensors: Tensors):
        self._tensors = tensors

    @property
    def names(self) -> Sequence[str]:
        """Paths of the quantised modules."""
        end = f".{self._INTEGERS}"
        return [n.removesuffix(end) for n in self._tensors.names if n.endswith(end)]

    def holds(self, name: str) -> bool:
        """Whether the module of this path is quantised."""
        return f"{name}.{self._INTEGERS}" in self._tensors.names

    def owns(self, tensor: str) -> bool:
        """Whether a tensor of the file is a part of a quantised layer's weight."""
        layer, _, part = tensor.rpartition(".")
        return self._is_part(part) and self.holds(layer)

    @abstractmethod
    def weight(self, name: str) -> QuantisedWeight:
        """Read a layer; raises :class:`NotHeldError` where its kind cannot be read."""

    @staticmethod
    @abstractmethod
    def _is_part(part: str) -> bool:
        """Whether a quantised layer's tensor of this name is a part of its weight."""
