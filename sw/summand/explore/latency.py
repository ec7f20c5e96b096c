"""The time that a board takes for a workload: cycles, memory and link.

Cycles are the stream's beats and what the engine waits besides. :class:`Quick` estimates the waits
from an engine's figures, for all points of a front and all numbers of rows at once; on random
engines, shapes, widths and prompts of 200 to 600 tokens it is off by 0.2 % in the median and 9 % in
the worst twentieth, those of many rows that wait for their results; prompts of a single batch can
be off by a third. The points that are kept are counted by the
cost law (:mod:`summand.explore.exact`), which equals the engine's counters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.boards.board import Board
from summand.explore.choices import ModelChoices
from summand.explore.fronts import Traffic
from summand.explore.workload import Workload
from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.rounding import ceil_div

__all__ = ["GroupKind", "Quick", "Times", "group_kinds"]

_Floats = npt.NDArray[np.float64]

#: Cycles in which a pass and a call take headers and begin, about.
_PASS, _CALL = 30, 40


@dataclass(frozen=True)
class GroupKind:
    """Groups of layers of equal sizes.

    Parameters
    ----------
    in_features : int
        Of their input.
    outputs : tuple of int
        Of each layer or part.
    head : bool
        Whether they are the output head.
    names : tuple of tuples of str
        The layers of each group.
    """

    in_features: int
    outputs: tuple[int, ...]
    head: bool
    names: tuple[tuple[str, ...], ...]


def group_kinds(choices: ModelChoices) -> tuple[GroupKind, ...]:
    """Return the groups of a model by their sizes."""
    found: dict[tuple[int, tuple[int, ...], bool], list[tuple[str, ...]]] = {}
    for group in choices.groups:
        shapes = [choices.shapes[name] for name in group]
        outputs = tuple(shape.out_features for shape in shapes)
        key = shapes[0].in_features, outputs, all(shape.head for shape in shapes)
        found.setdefault(key, []).append(group)
    return tuple(GroupKind(*key, tuple(names)) for key, names in found.items())


@dataclass(frozen=True, eq=False, kw_only=True)
class Times:
    """The time that a workload takes, one entry a point.

    Parameters
    ----------
    decode_cycles : float64 array
        Of a pass that writes a token of each text.
    prefill_cycles : float64 array
        Of reading a prompt of each text.
    decode_s, prefill_s : float64 arrays
        The same in seconds, with memory and link.
    """

    decode_cycles: _Floats
    prefill_cycles: _Floats
    decode_s: _Floats
    prefill_s: _Floats

    def total(self, workload: Workload) -> _Floats:
        """Return the seconds of the whole workload."""
        return self.prefill_s + workload.decode * self.decode_s


class Quick:
    """Estimates times on one board.

    Parameters
    ----------
    board : Board
        Clock, memory and link.
    workload : Workload
        What is to be done.
    kinds : sequence of GroupKind
        The model's layers.
    """

    def __init__(self, board: Board, workload: Workload, kinds: Sequence[GroupKind]):
        self._board, self._workload, self._kinds = board, workload, kinds
        self._groups = sum(len(kind.names) for kind in kinds)

    @property
    def workload(self) -> Workload:
        """What is to be done."""
        return self._workload

    def times(self, engine: EngineConfig, rows: npt.NDArray[np.int64], traffic: Traffic) -> Times:
        """Return times of engines that differ in rows; arrays of shape ``[rows, points]``.

        Parameters
        ----------
        engine : EngineConfig
            Everything but the rows.
        rows : int array, shape ``[rows]``
            Their numbers.
        traffic : Traffic
            Of a front of such engines.
        """
        decode = [self._workload.batch for _ in self._kinds]
        prefill = [self._workload.read(head=kind.head) for kind in self._kinds]
        decode_cycles = self._cycles(engine, rows, traffic, decode)
        prefill_cycles = self._cycles(engine, rows, traffic, prefill)
        return Times(
            decode_cycles=decode_cycles,
            prefill_cycles=prefill_cycles,
            decode_s=self.seconds(decode_cycles, engine, rows, traffic, decode),
            prefill_s=self.seconds(prefill_cycles, engine, rows, traffic, prefill),
        )

    def seconds(
        self,
        cycles: _Floats,
        engine: EngineConfig,
        rows: npt.NDArray[np.int64],
        traffic: Traffic,
        tokens: Sequence[int],
    ) -> _Floats:
        """Return what takes longest of cycles and memory, and the link behind it.

        ``tokens`` are those that each kind of group computes.
        """
        if not any(tokens):
            return np.zeros_like(cycles)
        board = self._board
        batches = -(-np.array(tokens) // rows[:, None])
        memory = batches @ traffic.bits.T / 8 / board.memory.reached_bytes_s
        link = self._link(engine, traffic, tokens)
        return np.maximum(cycles / board.clock.engine_hz, memory) + link[None]

    def _link(self, engine: EngineConfig, traffic: Traffic, tokens: Sequence[int]) -> _Floats:
        """Return the seconds in which activations go and results come, a call a group."""
        link, there = self._board.link, 0
        for kind, count in zip(self._kinds, tokens, strict=True):
            beats = ceil_div(kind.in_features, engine.depth) * engine.slice_words
            there += len(kind.names) * count * beats * engine.beat_bytes
        back = traffic.back @ np.array(tokens) / 8
        return (there + back) / link.bytes_s + self._groups * link.round_trip_s

    def _cycles(
        self,
        engine: EngineConfig,
        rows: npt.NDArray[np.int64],
        traffic: Traffic,
        tokens: Sequence[int],
    ) -> _Floats:
        total = np.zeros((len(rows), len(traffic.bits)))
        fill = element(engine).passes * element(engine).steps
        for k, (kind, count) in enumerate(zip(self._kinds, tokens, strict=True)):
            if not count:
                continue
            batches = -(-count // rows)
            last = count - (batches - 1) * rows
            slices = ceil_div(kind.in_features, engine.depth)
            tiles = sum(ceil_div(n, engine.cols) for n in kind.outputs)
            half = max(1, engine.acc_depth // 2)
            cut = ceil_div(tiles, half)
            passes = np.where(batches == 1, 1 if tiles <= engine.acc_depth else cut, cut)
            walk = traffic.walked[:, k] / engine.stream_bits / len(kind.names)
            leaving = traffic.leaving[:, k] / len(kind.names)
            filled = np.minimum(rows, count)
            loads = filled * slices * engine.slice_words
            waits = passes * (slices * fill + _PASS) + _CALL
            # Accumulators are read by the walk, once a slice, or by what sends them.
            read = (filled + slices) * tiles
            answers = np.maximum(filled[:, None] * leaving[None], read[:, None])
            behind = np.maximum(0, answers - walk[None]) * ((passes > 1) | (batches > 1))[:, None]
            each = (loads + waits)[:, None] + walk[None] + behind
            end = np.minimum(last * tiles / passes * 0.15, 60 * last)
            total += len(kind.names) * (batches[:, None] * each + end[:, None])
        return total
