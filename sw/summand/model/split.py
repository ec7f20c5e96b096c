"""A linear layer as several, each of which computes some of its outputs."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

from summand.model.errors import ModelError

__all__ = ["SplitLinear", "split", "split_as"]


class SplitLinear(nn.Module):
    """Computes the same as an ``nn.Linear`` by several layers, ``"0"``, ``"1"``, and so on.

    So parts can be compressed differently: frequent tokens of an output head matter more than
    others, and tokenizers number them first.

    Parameters
    ----------
    parts : iterable of nn.Linear
        Layers of the same input; their outputs are concatenated in order.
    """

    def __init__(self, parts: Iterable[nn.Linear]):
        super().__init__()
        for number, part in enumerate(parts):
            self.add_module(str(number), part)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output ``[..., N]`` for an input ``[..., K]``."""
        return torch.cat([part(x) for part in self.children()], dim=-1)


def split(module: nn.Module, name: str, sizes: Sequence[int]) -> None:
    """Put a :class:`SplitLinear` in the place of an ``nn.Linear``, whose memory it uses.

    Raises
    ------
    ModelError
        If there is no such layer, or ``sizes`` do not add up to its outputs.
    """
    try:
        linear = module.get_submodule(name)
    except AttributeError:
        linear = None
    if not isinstance(linear, nn.Linear) or linear.out_features != sum(sizes):
        raise ModelError(f"the model has no layer {name!r} of {sum(sizes)} outputs")
    weights = linear.weight.detach().split(list(sizes))
    biases = [None] * len(sizes)
    if linear.bias is not None:
        biases = linear.bias.detach().split(list(sizes))
    parts = []
    for weight, bias in zip(weights, biases, strict=True):
        part = nn.Linear(linear.in_features, len(weight), bias=bias is not None, device="meta")
        part.weight = nn.Parameter(weight, requires_grad=False)
        if bias is not None:
            part.bias = nn.Parameter(bias, requires_grad=False)
        parts.append(part)
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, SplitLinear(parts))


def split_as(module: nn.Module, names: Iterable[str], outputs: Mapping[str, int]) -> None:
    """Split layers as they were when a Summand model was compressed.

    Parameters
    ----------
    names : iterable of str
        The layers to split.
    outputs : mapping of str to int
        Outputs of every compressed layer; those of a part are found by its name.

    Raises
    ------
    ModelError
        If the module has no such layers.
    """
    for name in names:
        prefix = f"{name}."
        parts = sorted(int(n[len(prefix) :]) for n in outputs if n.startswith(prefix))
        split(module, name, [outputs[f"{prefix}{part}"] for part in parts])
