"""Tensors of a folder's safetensors files, read one by one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch

from summand.compress.errors import CompressError

__all__ = ["Tensors"]


class Tensors:
    """All tensors of a folder, by name.

    Raises
    ------
    CompressError
        If a file is damaged.
    """

    def __init__(self, folder: Path):
        from safetensors import SafetensorError, safe_open

        self._files: dict[str, Any] = {}
        for path in self._paths(folder):
            try:
                file = safe_open(path, framework="pt")
            except (OSError, SafetensorError) as e:
                raise CompressError(f"{path} cannot be read: {e}; download it again") from None
            self._files |= dict.fromkeys(file.keys(), file)
        self.names = self._files.keys()

    @staticmethod
    def _paths(folder: Path) -> list[Path]:
        """Return the files that the index names, or all there are."""
        index = folder / "model.safetensors.index.json"
        if not index.exists():
            return sorted(folder.glob("*.safetensors"))
        try:
            names: Mapping[str, str] = json.loads(index.read_text())["weight_map"]
            return [folder / name for name in sorted(set(names.values()))]
        except (OSError, ValueError, KeyError, AttributeError):
            raise CompressError(f"{index} is damaged; download it again") from None

    def tensor(self, name: str) -> torch.Tensor:
        """Read a tensor."""
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
