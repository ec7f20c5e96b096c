"""Hugging Face folders whose weights are read when they are needed, and let go again."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.model.hub import build_empty, model_class, read_generation
from summand.model.limits import Stored
from summand.model.reading import read_json

__all__ = ["LazyWeights", "open_lazily"]


class LazyWeights:
    """The weights of a module, in safetensors files.

    The module's parameters are hollow: of the right shape, but a single number that is none, so
    that what is computed with one that was not loaded shows.

    Parameters
    ----------
    module : nn.Module
        Its parameters are on torch's meta device, its buffers are not.
    files : mapping
        Which file holds each tensor.
    """

    def __init__(self, module: nn.Module, files: Mapping[str, Path]):
        self._module = module
        self._files = files
        #: Where each parameter is stored, by any of its names.
        self._stored: dict[str, str] = {}
        self._hollow: dict[str, nn.Parameter] = {}
        names: dict[nn.Parameter, list[str]] = {}
        for name, parameter in module.named_parameters(remove_duplicate=False):
            names.setdefault(parameter, []).append(name)
        for parameter, known in names.items():
            hollow = nn.Parameter(torch.tensor(torch.nan).expand(parameter.shape), False)
            stored = next((name for name in known if name in files), "")
            for name in known:
                self._stored[name] = stored
                self._hollow[name] = hollow
                self._put(name, hollow)

    @property
    def missing(self) -> list[str]:
        """Parameters that no file holds in their shape."""
        shapes = {name: self._shape(name) for name in set(self._stored.values()) if name}
        return [
            name
            for name, stored in self._stored.items()
            if not stored or shapes[stored] != tuple(self._hollow[name].shape)
        ]

    def _shape(self, name: str) -> tuple[int, ...]:
        from safetensors import safe_open

        with safe_open(self._files[name], framework="pt") as file:
            return tuple(file.get_slice(name).get_shape())

    def tensor(self, name: str) -> torch.Tensor:
        """Return a parameter or buffer of the module, in float32 if it has a fraction.

        Raises
        ------
        CompressError
            If it cannot be read any more.
        """
        from safetensors import SafetensorError, safe_open

        stored = self._stored.get(name, "")
        if not stored:
            return self._module.state_dict()[name]
        path = self._files[stored]
        try:
            with safe_open(path, framework="pt") as file:
                value = file.get_tensor(stored)
        except (OSError, SafetensorError) as e:
            raise CompressError(f"cannot read {stored} from {path}: {e}; was it moved?") from None
        return value.to(torch.float32) if value.is_floating_point() else value

    def _put(self, name: str, parameter: nn.Parameter) -> None:
        owner, _, leaf = name.rpartition(".")
        self._module.get_submodule(owner)._parameters[leaf] = parameter

    @contextlib.contextmanager
    def loaded(self, modules: Collection[str]) -> Iterator[None]:
        """Have the parameters of these modules, and of all inside them, in memory."""
        names = [
            name for name in self._hollow if any(not m or name.startswith(f"{m}.") for m in modules)
        ]
        shared: dict[str, nn.Parameter] = {}
        try:
            for name in names:
                stored = self._stored[name]
                if stored not in shared:
                    shared[stored] = nn.Parameter(self.tensor(name), requires_grad=False)
                self._put(name, shared[stored])
            yield
        finally:
            for name in names:
                self._put(name, self._hollow[name])


def open_lazily(folder: Path, config: Any, remedy: str) -> tuple[nn.Module, LazyWeights] | None:
    """Build the model of a Hugging Face folder without its weights, given its configuration.

    ``remedy`` is what to do if it cannot be read, for the :class:`~summand.model.ModelError`.

    Returns None where transformers would do more than copy the tensors to parameters of the same
    names: where they are quantised, renamed, put together, or missing.
    """
    file = folder / "config.json"
    cls = model_class(config, file)
    if cls is None or getattr(config, "quantization_config", None) is not None:
        return None
    config.dtype = torch.float32
    files = _index(folder)
    stored = Stored.of(sorted(set(files.values())))
    module: nn.Module = build_empty(cls, config, stored, file=file, remedy=remedy)
    tie = getattr(module, "tie_weights", None)
    if tie is not None:
        tie()
    if any(b.is_meta for b in module.buffers()):
        return None
    saved = {name for name in module.state_dict() if name in files}
    weights = LazyWeights(module, files)
    if weights.missing or any(name in saved for name, _ in module.named_buffers()):
        return None
    if (generation := read_generation(folder, remedy)) is not None:
        module.generation_config = generation
    return module.eval(), weights


def _index(folder: Path) -> dict[str, Path]:
    """Return which safetensors file of a folder holds each tensor."""
    from safetensors import safe_open

    listing = folder / "model.safetensors.index.json"
    if listing.exists():
        placed = read_json(listing)["weight_map"]
        return {name: folder / file for name, file in placed.items()}
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            found |= dict.fromkeys(file.keys(), path)
    return found
