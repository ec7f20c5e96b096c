"""A compiled group of layers: the commands that compute it, but for the activations."""

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig, commands
from summand.isa.packets import data_packet_bytes
from summand.isa.segments import Segment
from summand.runtime.choice import Plan, alone, final, steady
from summand.runtime.plan import PlanStep
from summand.runtime.tiling import Run, Sizes

__all__ = ["Batch", "Gemm", "Load", "Output", "Program", "Requantise", "Step", "Store", "kind_of"]


@dataclass(frozen=True)
class Load:
    """Send K-slices ``first`` to ``first + slices`` of the tokens to slice ``to_slice`` on."""

    first: int
    slices: int
    to_slice: int


@dataclass(frozen=True)
class Gemm:
    """Walk ``slices`` activation slices from ``from_slice`` on over the segments' weights."""

    from_slice: int
    slices: int
    segments: tuple[Segment, ...]
    #: Slices that share scales; 0 without.
    group: int
    #: Scales and plane words, the same object in every call: a device may cache their meaning.
    weights: bytes = field(repr=False)


@dataclass(frozen=True)
class Requantise:
    """Turn accumulator tiles into activations; ``params`` is the padded payload."""

    tile: int
    tiles: int
    to_slice: int
    params: bytes = field(repr=False)


@dataclass(frozen=True)
class Store:
    """Fetch ``tiles`` tiles of accumulators; ``runs`` says whose they are."""

    tiles: int
    runs: tuple[Run, ...]

    @property
    def tile(self) -> int:
        """The first of them."""
        return self.runs[0].tile


Step = Load | Gemm | Requantise | Store


@dataclass(frozen=True)
class Output:
    """A layer's result: its name and output features."""

    name: str
    features: int


def kind_of(name: str) -> str:
    """Return a layer's or program's name with block numbers made stars: equal in all blocks."""
    return re.sub(r"(?<=\.)\d+(?=\.)", "*", name)


@dataclass(frozen=True, eq=False)
class Batch:
    """Tokens that go through the engine together.

    Parameters
    ----------
    rows : int
        How many.
    steps : tuple of Step
        One command each.
    """

    rows: int
    steps: tuple[Step, ...]

    @property
    def plane_words(self) -> int:
        """Plane words sent."""
        return sum(
            step.slices * segment.words
            for step in self.steps
            if isinstance(step, Gemm)
            for segment in step.segments
        )

    @property
    def stores(self) -> tuple[tuple[int, Store], ...]:
        """The STOREs, each with the index of its command."""
        return tuple((i, s) for i, s in enumerate(self.steps) if isinstance(s, Store))

    def commands(self, first_command: int = 0) -> Iterator[commands.Command]:
        """Yield the steps as commands; a STORE's tag is the low half of its own index.

        ``first_command`` is the index of the first since reset.
        """
        for i, step in enumerate(self.steps, first_command):
            match step:
                case Load():
                    yield commands.Load(step.to_slice, step.slices, self.rows)
                case Gemm():
                    yield commands.Gemm(step.from_slice, step.slices, step.segments, step.group)
                case Requantise():
                    yield commands.Requantise(step.tile, step.tiles, self.rows, step.to_slice)
                case Store():
                    yield commands.Store(step.tile, step.tiles, self.rows, i & 0xFFFF)


@dataclass(frozen=True, eq=False)
class Program:
    """What computes a group of layers on one engine.

    Parameters
    ----------
    config : EngineConfig
        The engine that it is made for.
    in_features : int
        K.
    outputs : tuple of Output
        The layers, in the order they were given.
    macs : int
        Multiplications per token that the layers stand for, padding left out.
    layers : tuple of Sizes
        What the layers' commands depend on.
    fill : callable
        Puts weights into the steps of a plan.
    """

    config: EngineConfig
    in_features: int
    outputs: tuple[Output, ...]
    macs: int
    layers: tuple[Sizes, ...] = field(repr=False)
    fill: Callable[[Sequence[PlanStep]], tuple[Step, ...]] = field(repr=False)
    _filled: dict[Hashable, tuple[Step, ...]] = field(default_factory=dict, init=False, repr=False)

    @property
    def name(self) -> str:
        """Names the group, for people."""
        first = self.outputs[0].name
        if len(self.outputs) == 1:
            return first
        parent = first.rpartition(".")[0]
        same = parent and all(o.name.rpartition(".")[0] == parent for o in self.outputs)
        rest = (o.name.rpartition(".")[2] if same else o.name for o in self.outputs[1:])
        return "+".join((first, *rest))

    def schedule(self, tokens: int) -> tuple[Batch, ...]:
        """Return the batches that ``tokens`` tokens go through the engine in.

        All but the last are of ``config.rows`` tokens. They leave out waiting only if the next is
        sent before the results of the one before have come.
        """
        config, layers = self.config, self.layers
        full, rest = divmod(tokens, config.rows)
        sizes = [config.rows] * full + [rest] * (rest > 0)
        # Plans for a few tokens more are good for a few less, and share their plane words.
        planned = 1 if rest == 1 else config.rows
        if len(sizes) == 1:
            steps = self._steps(("alone", planned), lambda: alone(layers, config, planned))
            return (Batch(sizes[0], steps),)
        batches = []
        for i, rows in enumerate(sizes[:-1]):
            steps = self._steps(("steady", i % 2), lambda i=i: steady(layers, config)[i % 2])
            batches.append(Batch(rows, steps))
        if sizes:
            odd = len(batches) % 2 == 1
            key = ("final", planned, odd)
            steps = self._steps(key, lambda: final(layers, config, planned, odd=odd))
            batches.append(Batch(sizes[-1], steps))
        return tuple(batches)

    def _steps(self, key: Hashable, choose: Callable[[], Plan]) -> tuple[Step, ...]:
        if key not in self._filled:
            self._filled[key] = self.fill(choose())
        return self._filled[key]

    def chunks(
        self, batch: Batch, xq: npt.NDArray[np.integer], first_command: int = 0
    ) -> list[bytes]:
        """Return a batch's input stream.

        Parameters
        ----------
        batch : Batch
            One of a schedule of this program.
        xq : integer array, shape ``[batch.rows, K]``
            Tokens within ``act_bits``, two's complement.
        first_command : int
            Index of the first command since reset.
        """
        config, rows = self.config, batch.rows
        depth = config.depth
        slices = -(-self.in_features // depth)
        padded = np.zeros((rows, slices * depth), np.dtype(f"<i{config.elem_bits // 8}"))
        padded[:, : self.in_features] = xq
        out: list[bytes] = []
        for step, command in zip(batch.steps, batch.commands(first_command), strict=True):
            out.append(command.encode(config))
            match step:
                case Load(first, count):
                    out.append(padded[:, first * depth : (first + count) * depth].tobytes())
                case Gemm():
                    out.append(step.weights)
                case Requantise():
                    out.append(step.params)
        return out

    def result_bytes(self, store: Store, rows: int) -> int:
        """Return the size of the packet that answers a STORE."""
        return data_packet_bytes(self.config, rows=rows, tiles=store.tiles)

    def place(
        self,
        store: Store,
        payload: bytes,
        into: Sequence[npt.NDArray[np.int32]],
    ) -> None:
        """Copy a STORE's payload to the layers' accumulators, each of shape ``[rows, N]``."""
        cols, rows = self.config.cols, len(into[0])
        count = rows * store.tiles * cols
        block = np.frombuffer(payload, "<i4", count).reshape(rows, store.tiles * cols)
        for run in store.runs:
            target = into[run.layer]
            start = run.first * cols
            width = min(run.tiles * cols, target.shape[1] - start)
            target[:, start : start + width] = block[:, (run.tile - store.tile) * cols :][:, :width]
