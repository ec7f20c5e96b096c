"""The host's share of a Summand model: what is not compressed, as a torch module."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from summand.model.architectures import as_linears
from summand.model.errors import ModelError
from summand.model.folder import HOST, MANIFEST, SummandModel
from summand.model.guard import guarded
from summand.model.hub import (
    build_empty,
    check_files,
    model_class,
    read_config,
    read_tokenizer,
)
from summand.model.limits import Stored
from summand.model.split import split_as
from summand.model.tensors import merge

__all__ = ["attach_host", "load_host", "load_tokenizer", "split_like", "write_host"]

_REDO = "compress the model again"


def write_host(
    module: nn.Module,
    layers: Collection[str],
    folder: Path,
    *,
    load: Callable[[str], torch.Tensor] | None = None,
) -> dict[str, str]:
    """Write every parameter and buffer outside of ``layers`` to ``host.safetensors``.

    One tensor at a time; ``load`` reads the tensors of a module that are not in memory. Returns the
    aliases: second names of tensors that are shared, each with its first name.
    """
    from safetensors.torch import save_file

    prefixes = tuple(f"{name}." for name in layers)
    parts: list[Path] = []
    aliases: dict[str, str] = {}
    first: dict[tuple[int, torch.Size, tuple[int, ...]], str] = {}
    for name, tensor in module.state_dict().items():
        if name.startswith(prefixes):
            continue
        seen = first.setdefault((tensor.data_ptr(), tensor.shape, tensor.stride()), name)
        if seen != name and tensor.numel():
            aliases[name] = seen
            continue
        value = tensor if load is None else load(name)
        parts.append(folder / f"{HOST}.{len(parts)}")
        save_file({name: value.detach().cpu().contiguous()}, parts[-1])
    merge(parts, folder / HOST)
    for part in parts:
        part.unlink()
    return aliases


def attach_host(module: nn.Module, model: SummandModel) -> None:
    """Load a module's uncompressed tensors, in place; compressed layers keep what they have.

    Layers that were compressed in parts are split.

    Raises
    ------
    ModelError
        If a tensor or a layer to be split is missing or of another shape.
    """
    from safetensors.torch import load_file

    with guarded(model.host_file, _REDO):
        tensors: dict[str, Any] = load_file(model.host_file)
    tensors = {
        name: nn.Parameter(t, requires_grad=False) if t.is_floating_point() else t
        for name, t in tensors.items()
    }
    for name, first in model.manifest.aliases.items():
        if first not in tensors or name in tensors:
            raise ModelError(
                f"{model.path / MANIFEST}: aliases must name tensors of {HOST} a second time, not "
                f"{first!r} as {name!r}; compress the model again"
            )
    tensors |= {name: tensors[first] for name, first in model.manifest.aliases.items()}
    buffers = {name for name, _ in module.named_buffers()}
    for name in buffers & tensors.keys():
        tensors[name] = tensors[name].data
    split_like(module, model)
    prefixes = tuple(f"{name}." for name in model.names)
    with guarded(model.host_file, _REDO):
        missing, unexpected = module.load_state_dict(tensors, strict=False, assign=True)
    missing = [name for name in missing if not name.startswith(prefixes)]
    if missing or unexpected:
        what = f"lacks {missing[0]}" if missing else f"has {unexpected[0]}, which the model lacks"
        raise ModelError(f"{model.host_file} {what}; compress the model again")


def split_like(module: nn.Module, model: SummandModel) -> None:
    """Split those layers of a module that were compressed in parts, as they were.

    Raises
    ------
    ModelError
        If the module has no such layers, or the folder's orders of outputs are none.
    """
    outputs = {name: model.entry(name).out_features for name in model.names}
    orders = {name: torch.from_numpy(order) for name, order in model.output_orders.items()}
    try:
        split_as(module, model.manifest.split, outputs, orders)
    except ModelError as e:
        raise ModelError(f"{model.path}: {e}; {_REDO}") from None


def load_host(model: SummandModel) -> nn.Module:
    """Build the model of a folder, its compressed linear layers still empty.

    Compressed layers are ``nn.Linear`` on torch's meta device, for the caller to replace;
    everything else is loaded and on the CPU.

    Raises
    ------
    ModelError
        If the folder holds no Hugging Face configuration, or one that transformers cannot build.
    """
    config_file = model.path / "config.json"
    if not config_file.exists():
        raise ModelError(
            f"{model.path} was compressed from a bare module: build that module yourself and "
            f"load what stays on the host with attach_host()"
        )
    check_files(model.path)
    config = read_config(model.path, remedy=_REDO)
    cls = model_class(config, config_file)
    if cls is None:
        name = (config.architectures or ["?"])[0]
        raise ModelError(
            f"{config_file}: architectures names {name}, which the installed transformers does not "
            f"have; install a newer one"
        )
    held = Stored.of([model.host_file])
    compressed = [model.entry(name).weights for name in model.names]
    stored = Stored(held.tensors + 2 * len(compressed), held.weights + sum(compressed))
    module = build_empty(cls, config, stored, file=config_file, remedy=_REDO)
    as_linears(module)
    attach_host(module, model)
    module.eval()
    empty = [name for name, p in module.named_parameters() if p.is_meta]
    prefixes = tuple(f"{name}." for name in model.names)
    if left := [name for name in empty if not name.startswith(prefixes)]:
        raise ModelError(f"{model.path / MANIFEST} names no layer for {left[0]}; compress again")
    return module


def load_tokenizer(model: SummandModel) -> Any:
    """Return the folder's tokenizer (a transformers ``PreTrainedTokenizerBase``)."""
    if not (model.path / "tokenizer_config.json").exists():
        raise ModelError(f"{model.path} has no tokenizer; it was compressed without one")
    check_files(model.path)
    config = read_config(model.path, remedy=_REDO)
    return read_tokenizer(model.path, config, remedy=_REDO)
