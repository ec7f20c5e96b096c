"""What folders with quantised layers have in common: tensors named after a layer and a part."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.compress.errors import CompressError
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

    #: The part that every quantised layer has, and no other, and its type.
    _INTEGERS: str
    _WORDS: type[np.integer] = np.int32

    #: All parts of a quantised layer's weight.
    _PARTS: Collection[str]

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
        return part in self._PARTS and self.holds(layer)

    @abstractmethod
    def weight(self, name: str) -> QuantisedWeight:
        """Read a layer.

        Raises
        ------
        NotHeldError
            If its kind cannot be read.
        CompressError
            If its tensors and the configuration contradict each other.
        """

    def matrix(self, name: str) -> npt.NDArray[np.float32]:
        """Return what a layer stands for, float32 ``[K, N]``; raises as :meth:`weight` does."""
        return self.weight(name).matrix()

    def _agree(
        self, name: str, part: str, found: npt.NDArray[Any], shape: tuple[int, ...], stated: str
    ) -> None:
        """Refuse a part whose shape is not what the configuration makes it."""
        if found.shape != shape:
            raise CompressError(
                f"layer {name}: its {part} is of shape {found.shape}, but {stated}, as "
                f"config.json has it, make {shape}; one of both is of another model"
            )
        if part == self._INTEGERS and found.dtype != self._WORDS:
            raise CompressError(
                f"layer {name}: its {part} must be {np.dtype(self._WORDS)}, not {found.dtype}"
            )
