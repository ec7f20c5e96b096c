"""Turns layers that share an input into the commands of one engine."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.isa.beats import pad
from summand.isa.requantisation import pack_requantisation
from summand.isa.scales import pack_scales
from summand.model import Layer
from summand.model.transform import same_transform
from summand.runtime.packing import OutputOrder, Packing
from summand.runtime.program import Output, Program, Step
from summand.schedule.errors import CompileError
from summand.schedule.fit import misfits
from summand.schedule.steps import Matrix, PlanStep, Strip, Walk
from summand.schedule.tiling import Bundle, Piece
from summand.summands.base import Factors, Operand

__all__ = ["compile_layers"]

#: What a GEMM's plane words are made of: first slice, slices, and matrices with their tiles.
_Content = tuple[int, int, tuple[tuple[Matrix, int, int], ...]]


def compile_layers(
    layers: Sequence[Layer],
    config: EngineConfig,
    *,
    packing: Packing | None = None,
    held: bool = False,
    orders: Sequence[OutputOrder] | None = None,
) -> Program:
    """Compile ``layers``, which share an input, for ``config``'s engine.

    The first direct summands and all first low-rank factors go as one walk over the input, whatever
    their widths. What does not fit a memory is tiled: tokens over ``rows``, outputs over the
    accumulators, input features and ranks over the activation memory.

    Parameters
    ----------
    layers : sequence of Layer
        At least one.
    config : EngineConfig
        The engine's.
    packing : Packing, optional
        Of the same engine: programs that are compiled with it pack the summands they share once.
    held : bool
        The weights will lie in a device's memory, see :class:`Program`.
    orders : sequence of OutputOrder, optional
        In which each layer's outputs are computed; as they are, without.

    Raises
    ------
    CompileError
        If the layers do not share an input's shape, or were compressed for another engine.
    """
    if not layers:
        raise CompileError("a group needs at least one layer")
    for layer in layers:
        _check(layer, layers[0], config)
    packing = packing or Packing(config)
    if packing.config != config:
        raise CompileError("packing must be of the engine that layers are compiled for")
    return Program(
        config=config,
        in_features=layers[0].in_features,
        outputs=tuple(Output(layer.name, layer.out_features) for layer in layers),
        macs=sum(layer.sizes.macs for layer in layers),
        layers=tuple(layer.sizes for layer in layers),
        fill=_Filler(layers, packing, orders or [None] * len(layers)),
        held=held,
    )


def _check(layer: Layer, first: Layer, config: EngineConfig) -> None:
    def refuse(why: str) -> None:
        raise CompileError(f"layer {layer.name!r}: {why}")

    if layer.in_features != first.in_features:
        refuse(
            f"it has {layer.in_features} input features and cannot share an input with "
            f"{first.name!r}, which has {first.in_features}; put them into different groups"
        )
    if not same_transform(layer.transform, first.transform):
        refuse(
            f"its input is balanced, rotated or grouped in another way than that of "
            f"{first.name!r}, with which it shares it; compress them together, or put them into "
            f"different groups"
        )
    for reason in misfits(layer.needs, config):
        refuse(reason)


class _Filler:
    """Puts weights and parameters into the steps of a plan.

    Equal plane words and parameters are one ``bytes`` object, whichever batches they are sent in.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        packing: Packing,
        orders: Sequence[OutputOrder | None],
    ):
        self._config = packing.config
        self._packing = packing
        self._layers = tuple(layers)
        self._orders = tuple(orders)
        #: What is streamed, by layer and index of the summand.
        self._operands = {
            (i, t): packing.operands(summand, orders[i])
            for i, layer in enumerate(layers)
            for t, summand in enumerate(layer.summands)
        }
        self._bytes: dict[_Content, bytes] = {}
        self._bundles: dict[tuple[Piece, ...], bytes] = {}
        for (i, t), operands in self._operands.items():
            if isinstance(operands, Operand) and not operands.block:
                packing.words(layers[i].summands[t], "direct", order=orders[i])

    def _operand(self, matrix: Matrix) -> Operand:
        operand = self._operands[matrix.layer, matrix.term]
        assert isinstance(operand, Operand)
        return operand

    def _factors(self, layer: int, term: int) -> Factors:
        factors = self._operands[layer, term]
        assert isinstance(factors, Factors)
        return factors

    def __call__(self, steps: Sequence[PlanStep]) -> tuple[Step, ...]:
        """Return the steps with everything but the activations."""
        return tuple(map(self._fill, steps))

    def _fill(self, step: PlanStep) -> Step:
        match step:
            case Walk() if step.from_word is None:
                return Step(step, self._weights(step))
            case Bundle():
                return Step(step, self._bundle(step.pieces))
            case _:
                return Step(step)

    def _bundle(self, pieces: tuple[Piece, ...]) -> bytes:
        if pieces not in self._bundles:
            self._bundles[pieces] = pad(b"".join(map(self._parameters, pieces)), self._config)
        return self._bundles[pieces]

    def _weights(self, walk: Walk) -> bytes:
        strips = tuple((s.matrix, s.first, s.tiles) for s in walk.strips)
        content = (walk.first, walk.slices, strips)
        if content not in self._bytes:
            words = np.concatenate([self._strip(walk, s) for s in walk.strips], axis=1)
            self._bytes[content] = self._with_scales(walk, words)
        return self._bytes[content]

    def _with_scales(self, walk: Walk, words: npt.NDArray[np.uint8]) -> bytes:
        """Put each group's scales before its plane words, of shape ``[slices, bytes]``."""
        if not walk.group:
            return words.tobytes()
        parts = []
        for first in range(0, walk.slices, walk.group):
            parts.append(pack_scales(self._scales(walk, walk.first + first), self._config))
            parts.append(words[first : first + walk.group].tobytes())
        return b"".join(parts)

    def _scales(self, walk: Walk, at: int) -> npt.NDArray[np.uint8]:
        """Return the scales of all scaled tiles of a walk in slice ``at``, ``[tiles, cols]``."""
        cols = self._config.cols
        rows = []
        for strip in walk.strips:
            if not strip.group:
                continue
            scales = self._operand(strip.matrix).scales
            assert scales is not None
            row = np.zeros(strip.tiles * cols, np.uint8)
            mine = scales[at // strip.group, strip.first * cols :][: len(row)]
            row[: len(mine)] = mine
            rows.append(row.reshape(strip.tiles, cols))
        return np.concatenate(rows)

    def _strip(self, walk: Walk, strip: Strip) -> npt.NDArray[np.uint8]:
        """Return a strip's weights of a walk, shape ``[slices, bytes]``."""
        summand = self._layers[strip.matrix.layer].summands[strip.matrix.term]
        slices = slice(walk.first, walk.first + walk.slices)
        return self._packing.strip(summand, strip, slices, self._orders[strip.matrix.layer])

    def _parameters(self, piece: Piece) -> bytes:
        factors = self._factors(piece.layer, piece.term)
        ranks = slice(piece.start, piece.stop)
        width = piece.tiles * self._config.cols
        # Columns that pad a tile have accumulators of zero; any shift will do.
        mult, shift = np.zeros(width, np.uint16), np.ones(width, np.uint8)
        mult[: piece.stop - piece.start] = factors.mult[ranks]
        shift[: piece.stop - piece.start] = factors.shift[ranks]
        return pack_requantisation(mult, shift)
