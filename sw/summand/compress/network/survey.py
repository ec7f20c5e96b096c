"""Which linear layers a module has, which of them share an input, and what stays on the host."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.model import HostEntry

__all__ = [
    "Batch",
    "Survey",
    "call",
    "example_of",
    "invoke",
    "linear_of",
    "put",
    "replaced",
    "survey",
]

#: What a module is called with: keyword arguments, positional arguments, or one tensor.
Batch = Mapping[str, Any] | Sequence[Any] | torch.Tensor


@dataclass(frozen=True)
class Survey:
    """The linear layers of a module.

    Parameters
    ----------
    groups : tuple of tuples of str
        Names of the layers that can be compressed, in the order of their first calls; those fed
        by the same tensor together.
    host : tuple of HostEntry
        Every other module that has parameters of its own, with the reason.
    """

    groups: tuple[tuple[str, ...], ...]
    host: tuple[HostEntry, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """All names, group by group."""
        return tuple(name for group in self.groups for name in group)


def example_of(rows: Sequence[torch.Tensor]) -> Batch:
    """Return the first few tokens of rows, int64 ``[1, tokens]``, to look at a module with."""
    return {"input_ids": rows[0][:, :16]}


def call(module: nn.Module, batch: Batch) -> Any:
    """Run a module on one batch, without gradients."""
    with torch.no_grad():
        return invoke(module, batch)


def invoke(module: nn.Module, batch: Batch) -> Any:
    """Run a module on one batch."""
    if isinstance(batch, torch.Tensor):
        return module(batch)
    if isinstance(batch, Mapping):
        return module(**batch)
    return module(*batch)


def linear_of(module: nn.Module, name: str) -> nn.Linear:
    """Return the ``nn.Linear`` of this name; raises :class:`CompressError` if it is another."""
    linear = module.get_submodule(name)
    if not isinstance(linear, nn.Linear):
        raise CompressError(f"module {name!r} is a {type(linear).__name__}, not an nn.Linear")
    return linear


def put(module: nn.Module, name: str, child: nn.Module) -> None:
    """Put another module in the place of this name."""
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, child)


@contextlib.contextmanager
def replaced(module: nn.Module, layers: Mapping[str, nn.Module]) -> Iterator[None]:
    """Put other modules in the places of these names for a while."""
    was = {name: module.get_submodule(name) for name in layers}
    try:
        for name, layer in layers.items():
            put(module, name, layer)
        yield
    finally:
        for name, child in was.items():
            put(module, name, child)


def survey(module: nn.Module, example: Batch) -> Survey:
    """Run a module once and note which linear layers it calls, with which tensors.

    Raises
    ------
    CompressError
        If there is no layer to compress, or the module is itself one.
    """
    if isinstance(module, nn.Linear):
        raise CompressError("the model is itself a linear layer; wrap it in nn.Sequential")
    paths: dict[nn.Module, list[str]] = {}
    for name, child in module.named_modules(remove_duplicate=False):
        paths.setdefault(child, []).append(name)
    reasons = {child: _reason(child, names) for child, names in paths.items()}
    calls = _trace(
        module,
        {child: names[0] for child, names in paths.items() if reasons[child] is None},
        example,
    )
    by_input: dict[tuple[Any, ...], list[str]] = {}
    for name, inputs in calls.items():
        by_input.setdefault((*inputs, module.get_submodule(name).in_features), []).append(name)
    if not by_input:
        raise CompressError("the model calls no nn.Linear; there is nothing to compress")
    host = []
    for child, (name, *_) in paths.items():
        count = sum(p.numel() for p in child.parameters(recurse=False))
        if not count or name in calls:
            continue
        reason = reasons[child] or "never called with the calibration input"
        host.append(
            HostEntry(name=name, kind=type(child).__name__, reason=reason, parameters=count)
        )
    return Survey(tuple(tuple(group) for group in by_input.values()), tuple(host))


def _reason(child: nn.Module, names: list[str]) -> str | None:
    """Say why a module cannot be compressed; None if it can."""
    if isinstance(child, nn.Linear):
        if type(child).forward is not nn.Linear.forward:
            return "a kind of nn.Linear with a forward of its own"
        if len(names) > 1:
            return f"also called {names[1]}; a layer of several names is left alone"
        if not child.weight.is_floating_point() or child.weight.is_meta:
            return (
                f"its weights are {child.weight.dtype} on {child.weight.device}, not numbers here"
            )
        return None
    if isinstance(child, nn.Embedding | nn.EmbeddingBag):
        return "a look-up, not a matrix product"
    if "norm" in type(child).__name__.lower():
        return "works element by element"
    return "not an nn.Linear"


def _trace(
    module: nn.Module, candidates: Mapping[nn.Module, str], example: Batch
) -> dict[str, tuple[int, ...]]:
    """Return for every layer that was called the identities of its inputs, in call order."""
    calls: dict[str, tuple[int, ...]] = {}
    numbers: dict[tuple[int, int], int] = {}
    kept: list[torch.Tensor] = []  # as long as a tensor lives, no other has its identity

    def note(child: nn.Module, args: tuple[Any, ...]) -> None:
        x = args[0] if args else None
        if isinstance(x, torch.Tensor):
            kept.append(x)
            # A tensor that was changed in place is another input.
            number = numbers.setdefault((id(x), x._version), len(numbers))
            calls[candidates[child]] = (*calls.get(candidates[child], ()), number)

    handles = [child.register_forward_pre_hook(note) for child in candidates]
    try:
        call(module, example)
    finally:
        for handle in handles:
            handle.remove()
    return calls
