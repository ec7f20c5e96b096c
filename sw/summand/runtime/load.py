"""Loads a Summand model: the host's part as torch modules, the linear layers on a device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from summand.model import ModelError, SummandModel
from summand.model.adapters import Adapter
from summand.model.causal import head_name, why_not_causal
from summand.model.host import load_host, load_tokenizer
from summand.runtime.driver import Driver
from summand.runtime.head import GreedyHead
from summand.runtime.lanes import Lanes
from summand.runtime.memory.upload import UploadProgress
from summand.runtime.modules import LayerGroup, replace_linears
from summand.runtime.program import Program

__all__ = ["LoadedModel", "load_model", "load_writer"]


@dataclass(frozen=True)
class LoadedModel:
    """A Hugging Face model whose compressed layers are computed by a device.

    ``source`` is the folder that it is from. ``model`` has the usual ``forward``, KV cache
    included; ``tokenizer`` is the folder's. ``driver`` reaches the device. Calls of ``model`` that
    run in ``lanes`` share passes over the weights. ``head`` is there if the device can send no more
    of the model's logits than show the likeliest token.
    """

    source: SummandModel
    driver: Driver
    model: nn.Module
    tokenizer: Any
    groups: tuple[LayerGroup, ...]
    lanes: Lanes
    head: GreedyHead | None = None

    @property
    def vocabulary(self) -> int:
        """How many tokens the model knows."""
        config: Any = self.model.config
        return config.vocab_size

    def add_adapter(
        self, name: str, adapter: Adapter, *, progress: Callable[[str], None] | None = None
    ) -> None:
        """Make an adapter of the model ready to be used.

        The model's own plane words are not packed again, and it computes what it did.

        Parameters
        ----------
        name : str
            What it is called here; one of that name that is there already is replaced.
        adapter : Adapter
            Of the model that was loaded.
        progress : callable, optional
            Called with each group's name when it has been compiled.

        Raises
        ------
        ModelError
            If the adapter is of another model, or damaged.
        CompileError
            If the engine cannot compute the adapted layers.
        """
        if adapter.base.manifest.checksum != self.source.manifest.checksum:
            raise ModelError(
                f"{adapter.path} is an adapter for another model than {self.source.path}; make it "
                f"for this one with summand adapt"
            )
        summands = adapter.summands()
        try:
            for group in self.groups:
                group.add_adapter(name, summands)
                if progress:
                    progress(group.program.name)
            self._hold([group.adapted(name) for group in self.groups])
        except BaseException:
            self.remove_adapter(name)
            raise

    def hold(self, progress: UploadProgress | None = None) -> None:
        """Let the device's memory hold the weights, if it has one that does not yet.

        Raises
        ------
        BoardMemoryError
            If the memory is too small, before anything is sent, or does not keep what it is given.
        """
        self._hold([group.program for group in self.groups], progress)

    def _hold(self, programs: Sequence[Program], progress: UploadProgress | None = None) -> None:
        if self.driver.holds:
            self.driver.hold(programs, progress)

    def remove_adapter(self, name: str) -> None:
        """Forget an adapter, if it is there; what computes with it goes on without one."""
        for group in self.groups:
            group.remove_adapter(name)

    def use_adapter(self, name: str | None) -> None:
        """Compute with an adapter from now on; with None, the model as it is by itself.

        Between texts: keys and values that are cached are those of the adapter before.

        Raises
        ------
        SummandError
            If no adapter of that name was added.
        """
        for group in self.groups:
            group.use_adapter(name)


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
    uploading: UploadProgress | None = None,
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
    uploading : callable, optional
        Called with bytes done and in all, while the device's memory takes the weights.

    Raises
    ------
    ModelError
        If the folder holds no such model, or parts of one.
    CompileError
        If the model was compressed for another engine.
    BoardMemoryError
        If the device has a memory that is too small, or does not keep what it is given.
    """
    model = host or load_writer(source)
    layers = {layer.name: layer for layer in source.layers()}
    lanes = Lanes()
    name = head_name(model)
    groups = replace_linears(
        model, layers, source.groups, driver, lanes=lanes, head=name, progress=progress
    )
    head = GreedyHead.of(model, name, groups)
    loaded = LoadedModel(source, driver, model, load_tokenizer(source), groups, lanes, head)
    loaded.hold(uploading)
    return loaded
