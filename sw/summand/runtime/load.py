"""Loads a Summand model: the host's part as torch modules, the linear layers on a device."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from summand.model import ModelError, SummandModel
from summand.model.causal import why_not_causal
from summand.model.host import load_host, load_tokenizer
from summand.runtime.driver import Driver
from summand.runtime.lanes import Lanes
from summand.runtime.modules import LayerGroup, replace_linears

__all__ = ["LoadedModel", "load_model", "load_writer"]


@dataclass(frozen=True)
class LoadedModel:
    """A Hugging Face model whose compressed layers are computed by a device.

    ``model`` has the usual ``forward``, KV cache included; ``tokenizer`` is the folder's. Calls of
    ``model`` that run in ``lanes`` share passes over the weights.
    """

    model: nn.Module
    tokenizer: Any
    groups: tuple[LayerGroup, ...]
    lanes: Lanes

    @property
    def vocabulary(self) -> int:
        """How many tokens the model knows."""
        config: Any = self.model.config
        return config.vocab_size


def load_writer(source: SummandModel) -> nn.Module:
    """Build the model of a folder without its compressed layers, if it can write text.

    Raises
    ------
    ModelError
        If the folder holds no such model, or only parts of one.
    """
    host = load_host(source)
    if (why := why_not_causal(host)) is not None:
        raise ModelError(f"{source.path}: {why}; only causal language models can be run")
    return host


def load_model(
    source: SummandModel,
    driver: Driver,
    *,
    host: nn.Module | None = None,
    progress: Callable[[str], None] | None = None,
) -> LoadedModel:
    """Build the model of a folder and let ``driver``'s device compute its layers.

    Parameters
    ----------
    source : SummandModel
        A compressed Hugging Face causal language model.
    driver : Driver
        Reaches the engine; must stay open as long as the model is used.
    host : nn.Module, optional
        From :func:`load_writer`, where that was called before; it is changed.
    progress : callable, optional
        Called with each group's name when it has been compiled.

    Raises
    ------
    ModelError
        If the folder holds no such model, or parts of one.
    CompileError
        If the model was compressed for another engine.
    """
    model = host or load_writer(source)
    layers = {layer.name: layer for layer in source.layers()}
    lanes = Lanes()
    groups = replace_linears(model, layers, source.groups, driver, lanes=lanes, progress=progress)
    return LoadedModel(model, load_tokenizer(source), groups, lanes)
