"""Linear layers that a model writes in a form of its own."""

from typing import Any

from torch import nn

__all__ = ["as_linears"]


def as_linears(module: nn.Module) -> tuple[str, ...]:
    """Put an ``nn.Linear`` in the place of every linear layer of another form, and name these.

    That form is the ``Conv1D`` of GPT-2 and its relatives in transformers, whose weight is
    ``[K, N]``. The new layer's weight is the transposed one, in the same memory. Only
    ``nn.Linear`` is compressed, split and replaced, so a model goes through here once it is built.

    Parameters
    ----------
    module : nn.Module
        Changed in place; its weights may be on torch's meta device.

    Returns
    -------
    tuple of str
        Names of the layers that were replaced.
    """
    found = [name for name, child in module.named_modules() if _is_conv1d(child)]
    for name in found:
        parent, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(parent), leaf, _linear(module.get_submodule(name)))
    return tuple(found)


def _is_conv1d(child: nn.Module) -> bool:
    # By name: importing transformers takes seconds, and most models have none of these.
    kind = type(child)
    return kind.__name__ == "Conv1D" and kind.__module__ == "transformers.pytorch_utils"


def _linear(conv1d: Any) -> nn.Linear:
    """Return the layer with the weight ``[K, N]`` and the bias ``[N]`` of a ``Conv1D``."""
    k, n = conv1d.weight.shape
    linear = nn.Linear(k, n, device="meta")
    linear.weight = nn.Parameter(conv1d.weight.detach().T, requires_grad=False)
    linear.bias = nn.Parameter(conv1d.bias.detach(), requires_grad=False)
    return linear
