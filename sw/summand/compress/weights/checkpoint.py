"""Hugging Face folders whose weights are loaded on demand and released again."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.compress.weights.loaded import is_passed_over
from summand.compress.weights.weight_files import WeightFiles
from summand.model.architectures import as_linears
from summand.model.hub import build_empty, model_class, read_generation

__all__ = ["LazyWeights", "open_lazily"]


class LazyWeights:
    """The weights of a module, in safetensors files.

    Unloaded parameters are expanded views of one NaN: they have the right shape, take almost no
    memory, and make any result that uses them NaN.

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
        #: Tensors that are stored for the same parameter.
        self._doubled: list[tuple[str, str]] = []
        #: Where each parameter is stored, by any of its names.
        self._stored: dict[str, str] = {}
        self._hollow: dict[str, nn.Parameter] = {}
        names: dict[nn.Parameter, list[str]] = {}
        for name, parameter in module.named_parameters(remove_duplicate=False):
            names.setdefault(parameter, []).append(name)
        for parameter, known in names.items():
            hollow = nn.Parameter(torch.tensor(torch.nan).expand(parameter.shape), False)
            held = [name for name in known if name in files]
            self._doubled += [(held[0], other) for other in held[1:]]
            stored = held[0] if held else ""
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

    @property
    def differ(self) -> bool:
        """Whether files have different tensors for a parameter that the module shares."""
        return any(
            not torch.equal(self._read(one), self._read(other)) for one, other in self._doubled
        )

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
        stored = self._stored.get(name, "")
        if not stored:
            return self._module.state_dict()[name]
        value = self._read(stored)
        return value.to(torch.float32) if value.is_floating_point() else value

    def _read(self, stored: str) -> torch.Tensor:
        from safetensors import SafetensorError, safe_open

        path = self._files[stored]
        try:
            with safe_open(path, framework="pt") as file:
                return file.get_tensor(stored)
        except (OSError, SafetensorError) as e:
            raise CompressError(f"cannot read {stored} from {path}: {e}; was it moved?") from None

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


def open_lazily(
    folder: Path, files: WeightFiles, config: Any, remedy: str
) -> tuple[nn.Module, LazyWeights] | None:
    """Build the model of a Hugging Face folder without its weights, given its configuration.

    ``remedy`` is what to do if it cannot be read, for the :class:`~summand.model.ModelError`.

    Returns None where more is to be done than to copy the tensors to parameters of the same names:
    where they are quantised, renamed, transposed, put together, missing, left over, whole numbers,
    or where the files have different tensors for one parameter.
    """
    file = folder / "config.json"
    cls = model_class(config, file)
    if cls is None or getattr(config, "quantization_config", None) is not None:
        return None
    config.dtype = torch.float32
    module: nn.Module = build_empty(cls, config, files.stored, file=file, remedy=remedy)
    tie = getattr(module, "tie_weights", None)
    if tie is not None:
        tie()
    if any(b.is_meta for b in module.buffers()) or as_linears(module):
        return None
    places = files.places
    taken = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    if any(name not in taken and not is_passed_over(module, name) for name in places):
        return None
    if files.integers & taken:
        return None
    weights = LazyWeights(module, places)
    if weights.missing or weights.differ:
        return None
    if (generation := read_generation(folder, remedy)) is not None:
        module.generation_config = generation
    return module.eval(), weights
