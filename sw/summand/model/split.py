"""A linear layer as several, each of which computes some of its outputs."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

from summand.model.errors import ModelError
from summand.model.folder import ORDER

__all__ = ["SplitLinear", "split", "split_as"]


class SplitLinear(nn.Module):
    """Computes the same as an ``nn.Linear`` by several layers, ``"0"``, ``"1"``, and so on.

    So parts can be compressed differently, because some outputs matter more than others.

    Parameters
    ----------
    parts : iterable of nn.Linear
        Layers of the same input.
    order : int64 tensor, shape ``[N]``, optional
        Which output each of the parts' outputs is, one part behind another; 0, 1, ... without.
    """

    #: There is none here; some models look before they call a layer.
    weight: None = None

    def __init__(self, parts: Iterable[nn.Linear], order: torch.Tensor | None = None):
        super().__init__()
        for number, part in enumerate(parts):
            self.add_module(str(number), part)
        self.register_buffer(ORDER, order)
        self._places = None if order is None else order.argsort()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output ``[..., N]`` for an input ``[..., K]``."""
        y = torch.cat([part(x) for part in self.children()], dim=-1)
        return y if self._places is None else y.index_select(-1, self._places)


def split(
    module: nn.Module, name: str, sizes: Sequence[int], order: torch.Tensor | None = None
) -> None:
    """Put a :class:`SplitLinear` in the place of an ``nn.Linear``.

    Without ``order`` it uses the layer's memory.

    Raises
    ------
    ModelError
        If there is no such layer, ``sizes`` do not add up to its outputs, or ``order`` does not
        name each of them once.
    """
    try:
        linear = module.get_submodule(name)
    except AttributeError:
        linear = None
    if not isinstance(linear, nn.Linear) or linear.out_features != sum(sizes):
        raise ModelError(f"the model has no layer {name!r} of {sum(sizes)} outputs")
    weight, bias = linear.weight.detach(), None if linear.bias is None else linear.bias.detach()
    if order is not None:
        _check_order(name, order, sum(sizes))
        weight, bias = weight[order], None if bias is None else bias[order]
    weights = weight.split(list(sizes))
    biases = [None] * len(sizes) if bias is None else bias.split(list(sizes))
    parts = []
    for weight, bias in zip(weights, biases, strict=True):
        part = nn.Linear(linear.in_features, len(weight), bias=bias is not None, device="meta")
        part.weight = nn.Parameter(weight, requires_grad=False)
        if bias is not None:
            part.bias = nn.Parameter(bias, requires_grad=False)
        parts.append(part)
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, SplitLinear(parts, order))


def _check_order(name: str, order: torch.Tensor, outputs: int) -> None:
    if order.dtype != torch.int64 or order.shape != (outputs,):
        raise ModelError(
            f"{name}.{ORDER} must be int64 of shape ({outputs},), not {order.dtype} of "
            f"{tuple(order.shape)}"
        )
    if not torch.equal(order.sort().values, torch.arange(outputs)):
        raise ModelError(f"{name}.{ORDER} must name each of {outputs} outputs once")


def split_as(
    module: nn.Module,
    names: Iterable[str],
    outputs: Mapping[str, int],
    orders: Mapping[str, torch.Tensor],
) -> None:
    """Split layers as they were when a Summand model was compressed.

    Parameters
    ----------
    names : iterable of str
        The layers to split.
    outputs : mapping of str to int
        Outputs of every compressed layer; those of a part are found by its name.
    orders : mapping of str to int64 tensor
        Orders of outputs, of those layers that have one.

    Raises
    ------
    ModelError
        If the module has no such layers, or an order is none.
    """
    for name in names:
        prefix = f"{name}."
        parts = sorted(int(n[len(prefix) :]) for n in outputs if n.startswith(prefix))
        split(module, name, [outputs[f"{prefix}{part}"] for part in parts], orders.get(name))
