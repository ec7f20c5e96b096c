"""Torch modules whose linear layers are computed by an engine."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from summand.isa import SummandError
from summand.model import Layer
from summand.model.causal import is_head
from summand.runtime.compiler import compile_layers
from summand.runtime.driver import Driver
from summand.runtime.lanes import Lanes
from summand.runtime.likeliest import RankedLayers
from summand.runtime.packing import Packing
from summand.runtime.program import Program
from summand.schedule.errors import CompileError
from summand.summands.base import Summand, label_of

__all__ = ["LayerGroup", "Prompts", "SummandLinear", "replace_linears"]


class Prompts(Protocol):
    """Another way to compute layers for the tokens of a whole prompt."""

    def takes(self, tokens: int) -> bool:
        """Whether it computes so many tokens at once."""
        ...

    def rows(self, x: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        """Return every layer's output for tokens ``[M, K]``."""
        ...


class LayerGroup:
    """Layers that are given the same input tensor, and go through the engine together.

    The first layer that is called computes all; the others take their results if they are called
    with the very same tensor, unchanged. Otherwise they are computed again, so that a model that
    calls its layers in another way is slower, not wrong.

    Parameters
    ----------
    driver : Driver
        Reaches the engine.
    layers : sequence of Layer
        At least one, all of the same ``in_features``.
    lanes : Lanes, optional
        Where calls that run in step meet.
    head : bool
        Whether their outputs are how likely each token is, so that the greatest may be all that
        counts; see :attr:`likeliest`.

    Raises
    ------
    CompileError
        If the engine cannot compute them.
    """

    def __init__(
        self,
        driver: Driver,
        layers: Sequence[Layer],
        lanes: Lanes | None = None,
        *,
        head: bool = False,
    ):
        self._driver = driver
        self._lanes = lanes or Lanes()
        self._ranks = head and driver.config.bin_tiles > 0
        #: Of a head, whether outputs that are not the greatest may be minus infinity, where the
        #: engine has bins and so need not send them.
        self.likeliest = False
        self._packing = Packing(driver.config)
        self._plain = self._used = self._compiled(layers)
        self._adapted: dict[str, _Compiled] = {}
        self._shared = _Shared()
        #: What computes prompts, if it is not what computes single tokens.
        self.prompts: Prompts | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers as they are computed now."""
        return self._used.layers

    @property
    def ranks(self) -> bool:
        """Whether :attr:`likeliest` changes anything."""
        return self._ranks

    @property
    def program(self) -> Program:
        """What computes them."""
        return self._used.program

    @property
    def least_program(self) -> Program:
        """What computes them where no more than the greatest output counts."""
        ranked = self._used.ranked
        return self._used.program if ranked is None else ranked.few

    def adapted(self, adapter: str) -> Program:
        """Return what computes the layers with an adapter that was added."""
        return self._adapted[adapter].program

    def add_adapter(self, adapter: str, summands: Mapping[str, Summand]) -> None:
        """Make ready what an adapter changes, beside what is there.

        What the layers were made with is neither packed again nor changed.

        Parameters
        ----------
        adapter : str
            The adapter's name; one that is there already is replaced.
        summands : mapping of str to Summand
            What is added to layers, by their names; layers of other groups may be there too.

        Raises
        ------
        CompileError
            If the engine cannot compute the adapted layers.
        """
        plain = self._plain
        mine = [layer.name in summands for layer in plain.layers]
        if any(mine):
            layers = [
                layer.plus(summands[layer.name]) if is_mine else layer
                for layer, is_mine in zip(plain.layers, mine, strict=True)
            ]
            self._adapted[adapter] = self._compiled(layers)
        else:
            self._adapted[adapter] = plain

    def remove_adapter(self, adapter: str) -> None:
        """Forget an adapter, if it is there; if it is in use, none is from now on."""
        if self._adapted.pop(adapter, None) is self._used:
            self.use_adapter(None)

    def use_adapter(self, adapter: str | None) -> None:
        """Compute with an adapter from now on; with None, the layers as they are by themselves.

        Raises
        ------
        SummandError
            If there is no such adapter.
        """
        if adapter is None:
            used = self._plain
        elif (used := self._adapted.get(adapter)) is None:
            known = ", ".join(self._adapted) or "none"
            raise SummandError(f"no adapter is called {adapter!r}; there are: {known}")
        self._used, self._shared = used, _Shared()

    def _compiled(self, layers: Sequence[Layer]) -> "_Compiled":
        driver, packing = self._driver, self._packing
        if self._ranks:
            ranked = RankedLayers(layers, packing, driver)
            return _Compiled(tuple(layers), ranked.program, ranked)
        program = compile_layers(layers, driver.config, packing=packing, held=driver.holds)
        return _Compiled(tuple(layers), program)

    def compute(self, index: int, x: torch.Tensor) -> torch.Tensor:
        """Return layer ``index``'s output for ``x`` of shape ``[..., K]``, in ``x``'s dtype."""
        result = self._shared.take(index, x)
        if result is None:
            results = self._run(x)
            result = results.pop(index)
            self._shared = _Shared(x, results)
        return result

    def _run(self, x: torch.Tensor) -> dict[int, torch.Tensor]:
        flat = x.detach().reshape(-1, x.shape[-1]).to("cpu", torch.float32).numpy()
        if self._is_prompt(x, len(flat)) and self.prompts is not None:
            results = self.prompts.rows(flat)
        else:
            results = self._lanes.compute(self._rows, flat)
        return {i: _as_tensor(y, x) for i, y in enumerate(results)}

    def _is_prompt(self, x: torch.Tensor, tokens: int) -> bool:
        """Whether ``x`` is a single prompt that is computed in another way than single tokens."""
        alone = x.dim() < 3 or x.shape[:-2].numel() == 1
        plain = self._used is self._plain
        return alone and plain and self.prompts is not None and self.prompts.takes(tokens)

    def _rows(self, x: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        """Return every layer's output for tokens ``[M, K]``, each token's by itself.

        What is done in float32 is correctly rounded element by element, or a maximum, so a token's
        bits do not depend on the tokens beside it.
        """
        if (ranked := self._used.ranked) is not None:
            return ranked.likeliest(x) if self.likeliest else ranked.all(x)
        xq, s_x = self.layers[0].quantise(x)
        accs = self._driver.run(self.program, xq).outputs
        scaled = (layer.scaled(acc, s_x) for layer, acc in zip(self.layers, accs, strict=True))
        return tuple(scaled)


@dataclass(frozen=True, eq=False)
class _Compiled:
    """Layers, and the program that computes them; of a head that is ranked, by its ranks."""

    layers: tuple[Layer, ...]
    program: Program
    ranked: RankedLayers | None = None


class _Shared:
    """Results that wait for the other layers of a group to ask for them."""

    def __init__(
        self, x: torch.Tensor | None = None, results: dict[int, torch.Tensor] | None = None
    ):
        self._results = results or {}
        self._x = x if self._results else None
        # Tensors of inference mode have no version, so a copy is kept to detect changes.
        self._was = x.clone() if x is not None and x.is_inference() else None
        self._version = None if x is None or x.is_inference() else x._version

    def take(self, index: int, x: torch.Tensor) -> torch.Tensor | None:
        """Hand out a result once, for the tensor that it belongs to; else None."""
        if x is not self._x or not self._unchanged(x):
            return None
        result = self._results.pop(index, None)
        if not self._results:
            self._x = self._was = None
        return result

    def _unchanged(self, x: torch.Tensor) -> bool:
        return torch.equal(x, self._was) if self._was is not None else x._version == self._version


def _as_tensor(y: npt.NDArray[np.float32], like: torch.Tensor) -> torch.Tensor:
    # A copy lies where torch puts tensors, aligned alike whichever row of ``y`` is a call's own.
    shaped = torch.from_numpy(y).clone().reshape(*like.shape[:-1], y.shape[1])
    return shaped.to(like.device, like.dtype)


class SummandLinear(nn.Module):
    """Takes the place of an ``nn.Linear``; has no parameters and gives no gradients.

    Parameters
    ----------
    group : LayerGroup
        The group that computes it.
    index : int
        Which of the group's layers it is.
    """

    #: Always None; some models read ``weight`` before they call a layer.
    weight: None = None

    def __init__(self, group: LayerGroup, index: int):
        super().__init__()
        self._group = group
        self._index = index
        layer = group.layers[index]
        self.in_features = layer.in_features
        self.out_features = layer.out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output ``[..., N]`` for an input ``[..., K]``."""
        if x.shape[-1] != self.in_features:
            raise CompileError(
                f"layer {self._group.layers[self._index].name!r}: the input must have "
                f"{self.in_features} features, not {x.shape[-1]}"
            )
        return self._group.compute(self._index, x)

    def extra_repr(self) -> str:
        """Describe the layer within ``print(model)``."""
        layer = self._group.layers[self._index]
        summands = label_of(layer.entries)
        return f"in_features={self.in_features}, out_features={self.out_features}, {summands}"


def replace_linears(
    model: nn.Module,
    layers: Mapping[str, Layer],
    groups: Iterable[Sequence[str]],
    driver: Driver,
    *,
    lanes: Lanes | None = None,
    head: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[LayerGroup, ...]:
    """Replace a module's linear layers, in place, by layers that an engine computes.

    Parameters
    ----------
    model : nn.Module
        The module; everything else in it stays.
    layers : mapping of str to Layer
        By the path of the module that each replaces.
    groups : iterable of sequences of str
        Names of layers that share an input; those in none are groups of their own.
    driver : Driver
        Reaches the engine.
    lanes : Lanes, optional
        Where calls of the model that run in step meet.
    head : str, optional
        Path of the module whose outputs are how likely each token is.
    progress : callable, optional
        Called with each group's name when it has been compiled.

    Returns
    -------
    tuple of LayerGroup
        In the order they were compiled.

    Raises
    ------
    SummandError
        If a layer's module is missing, is no ``nn.Linear``, or is of another shape.
    """
    for layer in layers.values():
        _check_place(model, layer)
    made = []
    for names in _complete(layers, groups):
        mine = [layers[name] for name in names]
        group = LayerGroup(driver, mine, lanes, head=is_head(names, head))
        for index, name in enumerate(names):
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, SummandLinear(group, index))
        made.append(group)
        if progress:
            progress(group.program.name)
    return tuple(made)


def _complete(layers: Mapping[str, Layer], groups: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return the groups of ``layers``' names, each layer once, in the layers' order."""
    group_of: dict[str, list[str]] = {}
    for group in groups:
        names = [name for name in group if name in layers]
        for name in names:
            if name in group_of:
                raise SummandError(f"layer {name!r} is in two groups; it can be in one")
            group_of[name] = names
    ordered = {id(g): g for g in (group_of.get(name, [name]) for name in layers)}
    return list(ordered.values())


def _check_place(model: nn.Module, layer: Layer) -> None:
    try:
        module = model.get_submodule(layer.name)
    except AttributeError:
        raise SummandError(
            f"the model has no module {layer.name!r}; the compressed layers belong to another model"
        ) from None
    if not isinstance(module, nn.Linear):
        raise SummandError(
            f"module {layer.name!r} is a {type(module).__name__}; only nn.Linear can be replaced"
        )
    found = (module.in_features, module.out_features)
    if found != (layer.in_features, layer.out_features):
        raise SummandError(
            f"module {layer.name!r} maps {found[0]} features to {found[1]}, its compressed layer "
            f"{layer.in_features} to {layer.out_features}; they belong to different models"
        )
