"""A compiled group of layers: the commands that compute it, but for the activations."""

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.isa.commands import Command
from summand.isa.packets import data_packet_bytes, status_packet_bytes
from summand.isa.results import unpack_extremes, unpack_results
from summand.schedule.choice import Plan, alone, final, steady
from summand.schedule.extremes import SignedTiles, fetch_extremes
from summand.schedule.steps import Fetch, Input, PlanStep, Walk, renumbered
from summand.schedule.terms import Sizes

__all__ = ["Batch", "Output", "Program", "Step", "role_of"]


@dataclass(frozen=True)
class Step:
    """A step of a plan, and its command's payload.

    Parameters
    ----------
    plan : PlanStep
        Which command, and what it is about.
    payload : bytes
        Scales and plane words, or requantise parameters; the same object in every call, so that a
        device may cache what it means. Empty for activations, which change with every call.
    """

    plan: PlanStep
    payload: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Output:
    """A layer's result: its name and output features."""

    name: str
    features: int


def role_of(name: str) -> str:
    """Return a layer's role: its name with block numbers made stars, which all blocks share."""
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
        walks = (step.plan for step in self.steps if isinstance(step.plan, Walk))
        return sum(walk.slices * walk.words for walk in walks)

    @property
    def fetches(self) -> tuple[tuple[int, Fetch], ...]:
        """The STOREs, each with the index of its command."""
        plans = ((i, step.plan) for i, step in enumerate(self.steps))
        return tuple((i, plan) for i, plan in plans if isinstance(plan, Fetch))

    def commands(self, first_command: int = 0) -> Iterator[Command]:
        """Yield the steps as commands; a STORE's tag is the low half of its own index.

        ``first_command`` is the index of the first since reset.
        """
        for i, step in enumerate(self.steps, first_command):
            yield step.plan.command(self.rows, i & 0xFFFF)


@dataclass(frozen=True, eq=False)
class Program:
    """The commands that compute a group of layers on one engine.

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
    held : bool
        The weights lie in a device's memory: all batches are cut alike, so that they are there
        once. A single token takes up to a hundredth more cycles than with a cut of its own.
    outline : Program, optional
        A program of the same commands that stands for this one where costs are counted: of weights
        that are there for one call only, so that they are not kept.
    signs : tuple of SignedTiles
        The layers', if no more of their results is fetched than shows the greatest output of each;
        empty where all are. See :meth:`place`.
    """

    config: EngineConfig
    in_features: int
    outputs: tuple[Output, ...]
    macs: int
    layers: tuple[Sizes, ...] = field(repr=False)
    fill: Callable[[Sequence[PlanStep]], tuple[Step, ...]] = field(repr=False)
    held: bool = False
    outline: "Program | None" = field(default=None, repr=False)
    signs: tuple[SignedTiles, ...] = field(default=(), repr=False)
    _filled: dict[Hashable, tuple[Step, ...]] = field(default_factory=dict, init=False, repr=False)

    @property
    def name(self) -> str:
        """Names the group, for people; parts of a layer go by the layer's name."""
        first, *rest = dict.fromkeys(_whole(o.name) for o in self.outputs)
        if len(self.outputs) == 1:
            return self.outputs[0].name
        parent = first.rpartition(".")[0]
        same = parent and all(name.rpartition(".")[0] == parent for name in rest)
        return "+".join((first, *(name.rpartition(".")[2] if same else name for name in rest)))

    def part(self, which: Sequence[int]) -> "Program":
        """Return a program of some of the layers, by their places, with what this one streams."""

        def fill(steps: Sequence[PlanStep]) -> tuple[Step, ...]:
            filled = self.fill([renumbered(step, which) for step in steps])
            return tuple(replace(f, plan=step) for f, step in zip(filled, steps, strict=True))

        layers = tuple(self.layers[i] for i in which)
        return Program(
            config=self.config,
            in_features=self.in_features,
            outputs=tuple(self.outputs[i] for i in which),
            macs=sum(sizes.macs for sizes in layers),
            layers=layers,
            fill=fill,
            held=self.held,
        )

    @property
    def payloads(self) -> tuple[bytes, ...]:
        """What a device's memory holds of a program that is :attr:`held`, each object once."""
        steps = (step for odd in (False, True) for step in self._steady(odd))
        return tuple({id(s.payload): s.payload for s in steps if s.payload}.values())

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
        if self.held:
            return tuple(Batch(rows, self._steady(i % 2 == 1)) for i, rows in enumerate(sizes))
        if len(sizes) == 1:
            steps = self._steps(("alone", planned), lambda: alone(layers, config, planned))
            return (Batch(sizes[0], steps),)
        batches = []
        for i, rows in enumerate(sizes[:-1]):
            batches.append(Batch(rows, self._steady(i % 2 == 1)))
        if sizes:
            odd = len(batches) % 2 == 1
            key = ("final", planned, odd)
            steps = self._steps(key, lambda: final(layers, config, planned, odd=odd))
            batches.append(Batch(sizes[-1], steps))
        return tuple(batches)

    def _steady(self, odd: bool) -> tuple[Step, ...]:
        return self._steps(("steady", odd), lambda: steady(self.layers, self.config)[odd])

    def _steps(self, key: Hashable, choose: Callable[[], Plan]) -> tuple[Step, ...]:
        if key not in self._filled:
            steps = choose()
            if self.signs:
                steps = fetch_extremes(steps, self.signs, self.config)
            self._filled[key] = self.fill(steps)
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
            if isinstance(part := step.plan, Input):
                first, end = part.first * depth, (part.first + part.slices) * depth
                out.append(padded[:, first:end].tobytes())
            elif step.payload:
                out.append(step.payload)
        return out

    def result_bytes(self, fetch: Fetch, rows: int) -> int:
        """Return the size of the packet that answers a STORE."""
        return data_packet_bytes(
            self.config, rows=rows, tiles=fetch.tiles, limbs=fetch.limbs, extremes=fetch.extremes
        )

    def answer_bytes(self, batches: Sequence[Batch], fences: int) -> int:
        """Return the size of all packets that answer batches and as many FENCEs."""
        stores = ((fetch, batch.rows) for batch in batches for _, fetch in batch.fetches)
        results = sum(self.result_bytes(fetch, rows) for fetch, rows in stores)
        return results + fences * status_packet_bytes(self.config)

    def place(
        self,
        fetch: Fetch,
        payload: bytes,
        into: Sequence[npt.NDArray[np.int32]],
        sent: Sequence[npt.NDArray[np.bool_]] = (),
    ) -> None:
        """Copy a STORE's payload to the layers' accumulators, each of shape ``[rows, N]``.

        Where extremes of bins came, an accumulator that was not sent becomes the second of its
        bin: none of these was greater, or less where the least ones came. Such places become false
        in ``sent``, each of shape ``[rows, N]``.

        Raises
        ------
        ValueError
            If the payload is none that an engine sends.
        """
        cols, rows = self.config.cols, len(into[0])
        if fetch.extremes:
            (run,) = fetch.runs
            here = slice(run.first * cols, (run.first + run.tiles) * cols)
            bins = unpack_extremes(payload, rows=rows, tiles=run.tiles, config=self.config)
            bins.spread(into[run.layer][:, here], sent[run.layer][:, here])
            return
        sizes = {"rows": rows, "tiles": fetch.tiles, "limbs": fetch.limbs}
        block = unpack_results(payload, **sizes, config=self.config)
        for run in fetch.runs:
            target = into[run.layer]
            start = run.first * cols
            width = min(run.tiles * cols, target.shape[1] - start)
            target[:, start : start + width] = block[:, (run.tile - fetch.tile) * cols :][:, :width]


def _whole(name: str) -> str:
    """Return a layer's name without the number of a part."""
    parent, _, leaf = name.rpartition(".")
    return parent if parent and leaf.isdecimal() else name
