"""The programs of a decomposition: its products, what makes the operand, what it multiplies."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.isa.beats import pad
from summand.isa.requantisation import pack_requantisation
from summand.model import Layer
from summand.model.decomposition import EXACT, Decomposition, Requantisation, spans
from summand.runtime import Program, compile_layers
from summand.runtime.program import Batch, Output, Step
from summand.schedule.operand import Chunk, OperandTiling
from summand.schedule.steps import Deposit, Input, PlanStep
from summand.schedule.terms import Sizes
from summand.summands.dense.term import Dense

__all__ = ["ChunkPrograms", "Programs", "outline"]

_Int8 = npt.NDArray[np.int8]

#: Returns the batches of a number of tokens: rows, and steps.
_Batches = Callable[[int], Iterator[tuple[int, tuple[PlanStep, ...]]]]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Planned(Program):
    """A program whose batches are planned elsewhere."""

    batches: _Batches = field(repr=False)

    def schedule(self, tokens: int) -> tuple[Batch, ...]:
        """Return the batches that ``tokens`` tokens go through the engine in."""
        return tuple(
            Batch(rows, self._steps(steps, lambda steps=steps: steps))
            for rows, steps in self.batches(tokens)
        )


def _standing(name: str, matrix: _Int8, planes: int, config: EngineConfig) -> Program:
    """Compile a matrix ``[K, N]`` that is the same in every call."""
    k, n = matrix.shape
    dense = Dense(matrix, planes)
    return compile_layers(
        [Layer(name, k, n, config.act_bits, (dense,), np.ones(n, np.float32))], config
    )


def _passing(name: str, matrix: _Int8, planes: int, config: EngineConfig) -> Program:
    """Compile a matrix ``[K, N]`` that is there for one call."""
    # Equal commands in every call, so that costs are known before there are weights.
    sizes = Sizes.of_any(*matrix.shape, planes=planes, act_bits=config.act_bits)
    program = replace(_standing(name, matrix, planes, config), layers=(sizes,))
    return replace(program, outline=outline((name,), program.layers, config))


@lru_cache(maxsize=4096)
def outline(names: tuple[str, ...], layers: tuple[Sizes, ...], config: EngineConfig) -> Program:
    """Return a program of layers of these sizes, with zeros in the place of weights."""

    def fill(steps: Sequence[PlanStep]) -> tuple[Step, ...]:
        beats = [step.command(1).payload_beats(config) for step in steps]
        return tuple(
            Step(step, b"" if isinstance(step, Input) else bytes(count * config.beat_bytes))
            for step, count in zip(steps, beats, strict=True)
        )

    return Program(
        config=config,
        in_features=layers[0].in_features,
        outputs=tuple(Output(n, s.out_features) for n, s in zip(names, layers, strict=True)),
        macs=sum(sizes.macs for sizes in layers),
        layers=layers,
        fill=fill,
    )


def _making(
    name: str,
    layers: Program,
    tiling: OperandTiling,
    chunk: Chunk,
    requantisations: Sequence[Requantisation | None],
) -> Program:
    """Return what makes a chunk of the operand of ``tiling.rank`` rows; it has no outputs.

    Parameters
    ----------
    name : str
        What its cost is counted under.
    layers : Program
        The layers that rows go through.
    requantisations : sequence of Requantisation
        Of each layer.
    """
    config, cols = tiling.config, tiling.config.cols
    batches = tuple(tiling.making(chunk))

    def parameters(step: Deposit) -> bytes:
        mult = np.zeros(step.tiles * cols, np.uint16)
        shift = np.ones(len(mult), np.uint8)  # of columns that fill up a tile, any will do
        for run in step.runs:
            mine, at = requantisations[run.layer], (run.tile - step.tile) * cols
            assert mine is not None
            part = slice(run.first * cols, (run.first + run.tiles) * cols)
            for to, values in ((mult, mine.mult[part]), (shift, mine.shift[part])):
                to[at : at + len(values)] = values
        return pad(pack_requantisation(mult, shift), config)

    def fill(steps: Sequence[PlanStep]) -> tuple[Step, ...]:
        return tuple(
            Step(step, parameters(step)) if isinstance(step, Deposit) else layers.fill((step,))[0]
            for step in steps
        )

    return _Planned(
        config=config,
        in_features=layers.in_features,
        outputs=(Output(name, 0),),
        macs=sum((high - low) * layers.in_features for _, low, high in tiling.outputs(chunk)),
        layers=layers.layers,
        fill=fill,
        batches=lambda tokens: iter(batches),
    )


def _multiplying(name: str, tiling: OperandTiling, chunk: Chunk) -> Program:
    """Return what multiplies tokens ``[M, rank]`` by a chunk of the operand.

    Its outputs are those of ``tiling.outputs(chunk)``.
    """
    sizes = tiling.product(chunk)
    return _Planned(
        config=tiling.config,
        in_features=tiling.rank,
        outputs=tuple(Output(name, size.out_features) for size in sizes),
        macs=sum(size.macs for size in sizes),
        layers=sizes,
        fill=lambda steps: tuple(map(Step, steps)),
        batches=lambda tokens: tiling.multiplying(chunk, tokens),
    )


def _renamed(name: str, program: Program) -> Program:
    """Return a program whose cost is counted under another name."""
    return replace(program, outputs=tuple(Output(name, o.features) for o in program.outputs))


class ChunkPrograms(NamedTuple):
    """What makes a chunk of the pseudo-tokens' products, and what multiplies tokens by it.

    ``outputs`` say whose the results are: a layer, its first output, and the one behind.
    """

    make: Program
    multiply: Program
    outputs: tuple[tuple[int, int, int], ...]


class Programs:
    """All programs that compute prompts by way of pseudo-tokens.

    Parameters
    ----------
    program : Program
        What computes the layers.
    of : Decomposition
        Of their input.

    Raises
    ------
    CompileError
        If the engine cannot compute them.
    """

    def __init__(self, program: Program, of: Decomposition):
        self._of, self._config = of, program.config
        self._name = name = program.name
        pseudo = f"{name} pseudo-tokens"
        #: What computes the layers as ever.
        self.exact = program
        #: What makes sketches of tokens.
        self.sketch = _standing(f"{name} sketch", of.directions, of.sketch_bits, self._config)
        #: What makes products of pseudo-tokens for the host, of the layers that are hosted.
        self.hosted = _renamed(pseudo, program.part(of.hosted)) if of.hosted else None
        #: What makes the other layers' outputs of pseudo-tokens.
        self.chunks = tuple(self._chunks(pseudo))

    def _chunks(self, pseudo: str) -> Iterator[ChunkPrograms]:
        of = self._of
        others = [i for i, by in enumerate(of.requantisations) if by is not None]
        if not others:
            return
        layers = self.exact.part(others)
        requantisations = [of.requantisations[i] for i in others]
        tiling = OperandTiling(layers.layers, of.rank, of.bits, self._config)
        for chunk in tiling.chunks:
            yield ChunkPrograms(
                _making(pseudo, layers, tiling, chunk, requantisations),
                _multiplying(f"{self._name} expansion", tiling, chunk),
                tuple((others[layer], low, high) for layer, low, high in tiling.outputs(chunk)),
            )

    def product(self, what: str, tokens: _Int8) -> Program:
        """Return what multiplies vectors by tokens as weights, or by their transpose.

        ``what`` is ``product`` or ``back``.
        """
        return _passing(f"{self._name} {what}", tokens, self._of.token_bits, self._config)

    def _outline(self, what: str, k: int, n: int) -> Program:
        planes, act_bits = self._of.token_bits, self._config.act_bits
        sizes = Sizes.of_any(k, n, planes=planes, act_bits=act_bits)
        return outline((f"{self._name} {what}",), (sizes,), self._config)

    def calls(self, tokens: int) -> Iterator[tuple[Program, int]]:
        """Yield the programs that a prompt of so many tokens runs, and the rows of each."""
        yield self.exact, min(tokens, EXACT)
        for span in spans(tokens, self._of.span):
            yield self.sketch, len(span)
            features, tokens, rank = self.exact.in_features, len(span), self._of.rank
            for first in range(0, rank, self._of.block):
                count = min(self._of.block, rank - first)
                if first:
                    yield self._outline("back", features, tokens), self._of.block
                yield self._outline("product", tokens, features), count
            if self.hosted is not None:
                yield self.hosted, self._of.rank
            for chunk in self.chunks:
                yield chunk.make, self._of.rank
                yield chunk.multiply, len(span)
