"""The time that a board takes for a workload: cycles, memory and link.

Cycles are the stream's beats and what the engine waits besides. :class:`Quick` estimates the waits
from an engine's figures, for all points of a front and all numbers of rows at once; on random
engines, shapes and widths it is off by 0.3 % in the median and 6.5 % in the worst twentieth, those
of many rows whose results leave behind a single batch. The points that are kept are counted by the
cost law (:mod:`summand.explore.exact`), which equals the engine's counters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.boards.board import Board
from summand.explore.choices import ModelChoices
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
    names : tuple of tuples of str
        The layers of each group.
    """

    in_features: int
    outputs: tuple[int, ...]
    names: tuple[tuple[str, ...], ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers of these groups."""
        return tuple(name for group in self.names for name in group)


def group_kinds(choices: ModelChoices) -> tuple[GroupKind, ...]:
    """Return the groups of a model by their sizes."""
    found: dict[tuple[int, tuple[int, ...]], list[tuple[str, ...]]] = {}
    for group in choices.groups:
        shapes = [choices.shapes[name] for name in group]
        key = shapes[0].in_features, tuple(shape.out_features for shape in shapes)
        found.setdefault(key, []).append(group)
    return tuple(GroupKind(k, outputs, tuple(names)) for (k, outputs), names in found.items())


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

    def times(
        self, engine: EngineConfig, rows: npt.NDArray[np.int64], bits: _Floats, walked: _Floats
    ) -> Times:
        """Return times of engines that differ in rows; arrays of shape ``[rows, points]``.

        Parameters
        ----------
        engine : EngineConfig
            Everything but the rows.
        rows : int array, shape ``[rows]``
            Their numbers.
        bits : float64 array, shape ``[points, kinds]``
            What all groups of a kind stream in one pass.
        walked : float64 array, shape ``[points, kinds]``
            The same with planes filled up to whole digits.
        """
        workload = self._workload
        decode = self._cycles(engine, rows, walked, workload.batch)
        prefill = self._cycles(engine, rows, walked, workload.prefill * workload.batch)
        return Times(
            decode_cycles=decode,
            prefill_cycles=prefill,
            decode_s=self.seconds(decode, engine, rows, bits, workload.batch),
            prefill_s=self.seconds(prefill, engine, rows, bits, workload.prefill * workload.batch),
        )

    def seconds(
        self,
        cycles: _Floats,
        engine: EngineConfig,
        rows: npt.NDArray[np.int64],
        bits: _Floats,
        tokens: int,
    ) -> _Floats:
        """Return what takes longest of cycles and memory, and the link behind it."""
        if not tokens:
            return np.zeros_like(cycles)
        board = self._board
        batches = -(-tokens // rows)[:, None]
        memory = batches * (bits.sum(axis=1) / 8 / board.memory.reached_bytes_s)[None]
        link = self._link(engine, tokens)
        return np.maximum(cycles / board.clock.engine_hz, memory) + link

    def _link(self, engine: EngineConfig, tokens: int) -> float:
        """Return the seconds in which activations go and results come, a call a group."""
        link, size = self._board.link, 0
        for kind in self._kinds:
            there = ceil_div(kind.in_features, engine.depth) * engine.depth * engine.elem_bits // 8
            tiles = sum(ceil_div(n, engine.cols) for n in kind.outputs)
            size += len(kind.names) * tokens * (there + tiles * engine.cols * 4)
        return size / link.bytes_s + self._groups * link.round_trip_s

    def _cycles(
        self, engine: EngineConfig, rows: npt.NDArray[np.int64], walked: _Floats, tokens: int
    ) -> _Floats:
        total = np.zeros((len(rows), len(walked)))
        if not tokens:
            return total
        batches = -(-tokens // rows)
        last = tokens - (batches - 1) * rows
        fill = element(engine).passes * element(engine).steps
        for k, kind in enumerate(self._kinds):
            slices = ceil_div(kind.in_features, engine.depth)
            tiles = sum(ceil_div(n, engine.cols) for n in kind.outputs)
            half = max(1, engine.acc_depth // 2)
            cut = ceil_div(tiles, half)
            passes = np.where(batches == 1, 1 if tiles <= engine.acc_depth else cut, cut)
            walk = walked[:, k] / engine.stream_bits / len(kind.names)
            loads = rows * slices * engine.slice_words
            answers = rows * tiles * max(1, engine.cols * 32 // engine.stream_bits)
            waits = passes * (slices * fill + _PASS) + _CALL
            behind = np.maximum(0, answers[:, None] - walk[None]) * (passes > 1)[:, None]
            each = (loads + waits)[:, None] + walk[None] + behind
            end = np.minimum(last * tiles / passes * 0.15, 60 * last)
            total += len(kind.names) * (batches[:, None] * each + end[:, None])
        return total
