"""A summand's or a layer's tensors in a file."""

from typing import Any

import numpy as np
import numpy.typing as npt

from summand.summands.packing import unpack

__all__ = ["StoredTensors"]


class StoredTensors:
    """The tensors of a file whose names begin with a prefix: of a layer, or of a summand.

    Parameters
    ----------
    file : safe_open
        An open safetensors file, for NumPy.
    prefix : str
        What the names begin with, without the dot behind it.
    """

    def __init__(self, file: Any, prefix: str):
        self._file = file
        self._prefix = prefix

    def tensor(self, name: str, dtype: str) -> npt.NDArray[Any]:
        """Return a tensor of a type as safetensors calls it."""
        name = f"{self._prefix}.{name}"
        if (found := self._file.get_slice(name).get_dtype()) != dtype:
            raise ValueError(f"tensor {name} must be {dtype}, not {found}")
        return self._file.get_tensor(name)

    def packed(self, name: str, bits: int, shape: tuple[int, int]) -> npt.NDArray[np.int8]:
        """Return a packed matrix."""
        try:
            return unpack(self.tensor(name, "U8"), bits, shape)
        except ValueError as e:
            raise ValueError(f"tensor {self._prefix}.{name}: {e}") from None
