"""Calibrate one part of a model at a time, while the weights of that part are in memory."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from summand.compress.calibrate.calibration import InputStatistics, collect
from summand.compress.calibrate.statistics import StatisticsStore
from summand.compress.network.blocks import Blocks
from summand.compress.network.survey import Batch, call
from summand.compress.weights.checkpoint import LazyWeights

__all__ = ["LoadedPart", "ModelWalk"]


@dataclass(frozen=True, eq=False)
class LoadedPart:
    """Groups of layers whose weights are in memory, and the statistics of their inputs.

    Parameters
    ----------
    groups : tuple of tuples of str
        Names of layers; those fed by the same tensor together.
    statistics : mapping
        By the first name of each group.
    """

    groups: tuple[tuple[str, ...], ...]
    statistics: Mapping[str, InputStatistics]


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelWalk:
    """How to go through a model.

    Parameters
    ----------
    blocks : Blocks, optional
        Its stages. Without, the model is run as a whole.
    weights : LazyWeights, optional
        Where its weights are, if they are not in memory: only a stage's are loaded.
    store : StatisticsStore, optional
        Where statistics are kept, and taken from if they are there.
    scratch : Path, optional
        A folder where the hidden states between two stages are kept, so that a walk that is
        interrupted goes on from there.
    """

    blocks: Blocks | None = None
    weights: LazyWeights | None = None
    store: StatisticsStore | None = None
    scratch: Path | None = None

    def loaded(self, stage: int) -> contextlib.AbstractContextManager[None]:
        """Keep a stage's weights in memory while the context is open."""
        if self.weights is None:
            return contextlib.nullcontext()
        return self.weights.loaded(("",) if self.blocks is None else self.blocks.modules(stage))

    def parts(
        self,
        module: nn.Module,
        batches: Sequence[Batch],
        groups: Sequence[Sequence[str]],
        *,
        moments: Collection[str],
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[LoadedPart]:
        """Yield the groups, in order, with their statistics.

        The weights of a part are released when the next part is requested.

        Parameters
        ----------
        module : nn.Module
            Left as it is.
        batches : sequence of batches
            What it is called with.
        groups : sequence of sequences of str
            Whose statistics are wanted.
        moments : collection of str
            First names of the groups whose second moments are wanted too.
        progress : callable, optional
            Called with how much is done, and how much there is to do.
        """
        stages = self._stages(groups)
        known = {
            name
            for name in (group[0] for stage in stages for group in stage)
            if self.store is not None and self.store.has(name, moments=name in moments)
        }
        # Where the model has to run: from where its hidden states are known to where nothing is
        # asked any more.
        asked = [i for i, stage in enumerate(stages) if any(g[0] not in known for g in stage)]
        hidden = _HiddenStates(self.scratch, len(batches))
        first = hidden.load(asked[0]) if asked else 0
        runs = range(first, asked[-1] + 1 if asked else 0)
        done = 0

        def tell(_: int, __: int) -> None:
            nonlocal done
            done += 1
            if progress:
                progress(done, len(batches) * len(runs))

        for i, stage in enumerate(stages):
            if not stage and i not in runs:
                continue
            with self.loaded(i):
                found = {}
                if i in runs:
                    found = collect(
                        module,
                        range(len(batches)),
                        [group for group in stage if group[0] not in known],
                        moments=moments,
                        run=self._stage(i, batches, hidden),
                        progress=tell,
                    )
                if stage:
                    yield LoadedPart(tuple(stage), self._complete(stage, found))
                del found
            if i + 1 in runs:
                hidden.save(i + 1)
        hidden.clear()

    def _stages(self, groups: Sequence[Sequence[str]]) -> list[list[tuple[str, ...]]]:
        """Return the groups of each stage."""
        if self.blocks is None:
            return [[tuple(group) for group in groups]]
        stages: list[list[tuple[str, ...]]] = [[] for _ in range(self.blocks.stages)]
        for group in groups:
            stages[self.blocks.stage(group[0])].append(tuple(group))
        return stages

    def _stage(
        self, stage: int, batches: Sequence[Batch], hidden: "_HiddenStates"
    ) -> Callable[[nn.Module, Any], None]:
        """Return what runs a stage with a batch's number."""

        def run(module: nn.Module, number: int) -> None:
            if self.blocks is None:
                call(module, batches[number])
                return
            states = hidden.states
            states[number] = self.blocks.run(module, stage, batches[number], states[number])

        return run

    def _complete(
        self, stage: Sequence[tuple[str, ...]], found: Mapping[str, InputStatistics]
    ) -> dict[str, InputStatistics]:
        """Keep what was found, and add what is kept."""
        if self.store is None:
            return dict(found)
        for name, statistics in found.items():
            self.store.put(name, statistics)
        return {
            group[0]: found[group[0]] if group[0] in found else self.store.get(group[0])
            for group in stage
        }


class _HiddenStates:
    """The hidden states between two stages, a tensor a batch, with an optional copy on disk."""

    def __init__(self, scratch: Path | None, batches: int):
        self._file = None if scratch is None else scratch / "hidden-states.safetensors"
        #: By batch.
        self.states: list[torch.Tensor | None] = [None] * batches

    def load(self, before: int) -> int:
        """Load the states that an interrupted walk left; return the stage to resume at, or 0.

        States of a later stage than ``before`` are not used.
        """
        from safetensors import SafetensorError, safe_open

        if self._file is None or not self._file.exists():
            return 0
        try:
            with safe_open(self._file, framework="pt") as file:
                stage = int((file.metadata() or {})["stage"])
                if stage > before:
                    return 0
                self.states = [file.get_tensor(str(i)).clone() for i in range(len(self.states))]
                return stage
        except (OSError, SafetensorError, KeyError, ValueError):
            return 0

    def save(self, stage: int) -> None:
        """Write the states before a stage; an interrupted write leaves the old file."""
        from safetensors.torch import save_file

        if self._file is None:
            return
        states = {str(i): x.contiguous() for i, x in enumerate(self.states) if x is not None}
        self._file.parent.mkdir(exist_ok=True)
        new = self._file.with_suffix(".new")
        save_file(states, new, metadata={"stage": str(stage)})
        new.replace(self._file)

    def clear(self) -> None:
        """Remove the copy."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
