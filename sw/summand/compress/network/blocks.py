"""Models that are a row of blocks, run one block at a time.

Between the stages of a model only its hidden states are kept: before the first block, each block,
and what comes after the last. Whatever else a block is called with (masks, positions) the model
itself works out anew each time, as for any call: the other blocks are there, but pass on what they
are given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from summand.compress.network.survey import Batch, Survey, call

__all__ = ["Blocks", "find_blocks"]


class _Stop(Exception):
    """Ends a call of the model once the wanted stage has run."""


class _Gate(nn.Module):
    """Stands in for a block, and looks like it."""

    def __init__(self, block: nn.Module, run: Callable[[nn.Module, Any, Any], Any]):
        super().__init__()
        self.__dict__["_block"] = block  # not a submodule: its layers have their names already
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_block"], name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(self.__dict__["_block"], args, kwargs)


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """A module's stages: before its blocks, each block, after them.

    Parameters
    ----------
    path : str
        Of the ``nn.ModuleList`` of the blocks.
    count : int
        Blocks.
    packed : bool
        Whether a block gives a tuple, its hidden states first.
    before, after : tuple of str
        Modules outside of the blocks that have parameters and are called then.
    """

    path: str
    count: int
    packed: bool
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def stages(self) -> int:
        """The number of stages: one a block, and two more."""
        return self.count + 2

    def modules(self, stage: int) -> tuple[str, ...]:
        """Return the names of the modules whose parameters a stage needs, with all inside them."""
        if stage == 0:
            return self.before
        if stage == self.stages - 1:
            return self.after
        return (f"{self.path}.{stage - 1}",)

    def stage(self, layer: str) -> int:
        """Return the stage in which a layer is called."""
        if layer.startswith(f"{self.path}."):
            return 1 + int(layer[len(self.path) + 1 :].partition(".")[0])
        return 0 if layer in self.before else self.stages - 1

    def run(
        self, module: nn.Module, stage: int, batch: Batch, hidden: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Run one stage on the hidden states before it; return the states after it.

        The first stage takes none, and the last one returns none.
        """
        behind: torch.Tensor | None = None

        def gate(number: int) -> Callable[[nn.Module, Any, Any], Any]:
            def run(block: nn.Module, args: Any, kwargs: Any) -> Any:
                nonlocal behind
                if stage == 0:
                    behind = _hidden(args, kwargs)
                    raise _Stop
                if number == stage - 1:
                    assert hidden is not None
                    behind = _first(block(*_put(args, hidden), **_put_named(args, kwargs, hidden)))
                    raise _Stop
                last = stage == self.stages - 1 and number == self.count - 1
                through = hidden if last else _hidden(args, kwargs)
                return (through,) if self.packed else through

            return run

        row = module.get_submodule(self.path)
        assert isinstance(row, nn.ModuleList)
        blocks = list(row)
        try:
            for i, block in enumerate(blocks):
                row[i] = _Gate(block, gate(i))
            call(module, batch)
        except _Stop:
            pass
        finally:
            for i, block in enumerate(blocks):
                row[i] = block
        return behind


def _hidden(args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.Tensor | None:
    """Return the hidden states that a block is called with, or None if they cannot be found."""
    x = args[0] if args else kwargs.get("hidden_states")
    return x if isinstance(x, torch.Tensor) else None


def _put(args: tuple[Any, ...], hidden: torch.Tensor) -> tuple[Any, ...]:
    return (hidden, *args[1:]) if args else ()


def _put_named(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], hidden: torch.Tensor
) -> dict[str, Any]:
    return dict(kwargs) if args else {**kwargs, "hidden_states": hidden}


def _first(output: Any) -> torch.Tensor | None:
    """Return the hidden states in a block's output."""
    x = output[0] if isinstance(output, tuple) and output else output
    return x if isinstance(x, torch.Tensor) else None


def find_blocks(module: nn.Module, found: Survey, example: Batch) -> Blocks | None:
    """Return the stages of a module, or None if it cannot be run in stages.

    Looked at is the ``nn.ModuleList`` that holds most of the surveyed layers. Its modules must be
    called in order, once each, each with the very tensor that the one before it gave and with none
    that an earlier one was given or gave; no group of layers may lie in two stages.
    """
    rows = [
        (sum(layer.startswith(f"{name}.") for layer in found.layers), name)
        for name, child in module.named_modules()
        if isinstance(child, nn.ModuleList) and len(child) > 1
    ]
    held, path = max(rows, default=(0, ""), key=lambda row: row[0])
    if not held:
        return None
    row = module.get_submodule(path)
    assert isinstance(row, nn.ModuleList)
    trace = _Trace(module, path, list(row))
    trace.run(example)
    if not trace.in_a_row:
        return None
    blocks = Blocks(
        path=path,
        count=len(row),
        packed=trace.packed,
        before=tuple(trace.before),
        after=tuple(trace.after),
    )
    twice = blocks.before and set(found.layers) & set(blocks.before) & set(blocks.after)
    spread = any(len({blocks.stage(name) for name in group}) > 1 for group in found.groups)
    return None if twice or spread else blocks


class _Trace:
    """Records how a call of a module uses its blocks."""

    def __init__(self, module: nn.Module, path: str, blocks: list[nn.Module]):
        self._module = module
        self._blocks = blocks
        self._outside = {
            child: name
            for name, child in module.named_modules()
            if not f"{name}.".startswith(f"{path}.")
            and any(True for _ in child.parameters(recurse=False))
        }
        self._begun = self._ended = 0
        self._given: list[torch.Tensor | None] = []
        self.in_a_row = True
        self.packed = False
        self.before: dict[str, None] = {}
        self.after: dict[str, None] = {}

    def run(self, example: Batch) -> None:
        """Call the module once."""
        handles = [
            handle
            for block in self._blocks
            for handle in (
                block.register_forward_pre_hook(self._begin, with_kwargs=True),
                block.register_forward_hook(self._end),
            )
        ]
        for child in self._outside:
            handles.append(child.register_forward_pre_hook(self._note))
            handles.append(child.register_forward_hook(self._note))
        try:
            call(self._module, example)
        finally:
            for handle in handles:
                handle.remove()
        self.in_a_row &= self._ended == len(self._blocks)

    def _begin(self, block: nn.Module, args: Any, kwargs: Any) -> None:
        hidden = _hidden(args, kwargs)
        number = self._begun
        self._begun += 1
        if number >= len(self._blocks) or block is not self._blocks[number] or hidden is None:
            self.in_a_row = False
            return
        others = [x for x in (*args, *kwargs.values()) if x is not hidden]
        if number == 0:
            self._given.append(hidden)
        elif hidden is not self._given[-1]:
            self.in_a_row = False
        if any(x is given for x in others for given in self._given if given is not None):
            self.in_a_row = False

    def _end(self, block: nn.Module, args: Any, output: Any) -> None:
        self._ended += 1
        self._given.append(_first(output))
        self.packed = isinstance(output, tuple)

    def _note(self, child: nn.Module, *_: Any) -> None:
        if self._begun == 0:
            self.before[self._outside[child]] = None
        elif self._ended == len(self._blocks):
            self.after[self._outside[child]] = None
        else:
            self.in_a_row = False
