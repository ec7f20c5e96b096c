"""Tensors of a folder's safetensors files, read one by one."""

from typing import Any

import numpy.typing as npt
import torch

from summand.compress.errors import CompressError
from summand.compress.weights.weight_files import WeightFiles

__all__ = ["Tensors"]


class Tensors:
    """All tensors of a folder, by name.

    Parameters
    ----------
    weights : WeightFiles
        Where they are.
    """

    def __init__(self, weights: WeightFiles):
        from safetensors import safe_open

        opened = {path: safe_open(path, framework="pt") for path in weights.files}
        self._files: dict[str, Any] = {name: opened[path] for name, path in weights.places.items()}
        self.names = self._files.keys()

    def tensor(self, name: str) -> torch.Tensor:
        """Read a tensor; raises :class:`CompressError` if there is none of this name."""
        if name not in self._files:
            raise CompressError(f"the checkpoint lacks tensor {name}; it is not whole")
        return self._files[name].get_tensor(name)

    def get(self, name: str) -> npt.NDArray[Any]:
        """Read a tensor; floating point of any width comes as float32."""
        tensor = self.tensor(name)
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()

    def find(self, name: str) -> npt.NDArray[Any] | None:
        """Read a tensor if there is one."""
        return self.get(name) if name in self._files else None
