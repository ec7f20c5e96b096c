"""The host's share of a Summand model: what is not compressed, as a torch module."""

import contextlib
import io
import warnings
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from summand.model.errors import ModelError
from summand.model.folder import HOST, MANIFEST, SummandModel
from summand.model.split import split_as
from summand.model.tensors import merge

__all__ = ["attach_host", "load_host", "load_tokenizer", "quiet", "write_host"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars, notices and warnings from the terminal."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def write_host(
    module: nn.Module,
    layers: Collection[str],
    folder: Path,
    *,
    load: Callable[[str], torch.Tensor] | None = None,
) -> dict[str, str]:
    """Write every parameter and buffer outside of ``layers`` to ``host.safetensors``.

    One tensor at a time: ``load`` gives those of a module whose own are not in memory. Returns the
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
        If a tensor is missing or of another shape, or a layer that is to be split.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Any] = load_file(model.host_file)
    except (OSError, SafetensorError) as e:
        raise ModelError(f"{model.host_file}: {e}; compress the model again") from None
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
    outputs = {name: model.entry(name).out_features for name in model.names}
    split_as(module, model.manifest.split, outputs)
    prefixes = tuple(f"{name}." for name in model.names)
    try:
        missing, unexpected = module.load_state_dict(tensors, strict=False, assign=True)
    except RuntimeError as e:
        raise ModelError(f"{model.host_file}: {' '.join(str(e).split())}") from None
    missing = [name for name in missing if not name.startswith(prefixes)]
    if missing or unexpected:
        what = f"lacks {missing[0]}" if missing else f"has {unexpected[0]}, which the model lacks"
        raise ModelError(f"{model.host_file} {what}; compress the model again")


def load_host(model: SummandModel) -> nn.Module:
    """Build the model of a folder, its compressed linear layers still empty.

    Those are ``nn.Linear`` on torch's meta device, to be replaced by whatever computes them;
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
    import transformers
    from accelerate import init_empty_weights

    with quiet():
        try:
            config = transformers.AutoConfig.from_pretrained(model.path)
            name = (config.architectures or ["?"])[0]
            cls = getattr(transformers, name, None)
            if cls is None:
                raise ModelError(
                    f"{config_file}: architectures names {name}, which transformers "
                    f"{transformers.__version__} does not have; install a newer one"
                )
            with init_empty_weights(include_buffers=False):
                module = cls(config)
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise ModelError(f"{config_file}: {e}; compress the model again") from None
    attach_host(module, model)
    module.eval()
    empty = [name for name, p in module.named_parameters() if p.is_meta]
    prefixes = tuple(f"{name}." for name in model.names)
    if left := [name for name in empty if not name.startswith(prefixes)]:
        raise ModelError(f"{model.path / MANIFEST} names no layer for {left[0]}; compress again")
    return module


def load_tokenizer(model: SummandModel) -> Any:
    """Return the folder's tokenizer (a transformers ``PreTrainedTokenizerBase``)."""
    from transformers import AutoTokenizer

    if not (model.path / "tokenizer_config.json").exists():
        raise ModelError(f"{model.path} has no tokenizer; it was compressed without one")
    with quiet():
        try:
            return AutoTokenizer.from_pretrained(model.path)
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise ModelError(f"{model.path}: its tokenizer cannot be read: {e}") from None
