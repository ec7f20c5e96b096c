"""Turns layers that share an input into the commands of one engine."""

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.isa.beats import pad
from summand.isa.planes import pack_planes
from summand.isa.scales import pack_scales
from summand.model import Layer
from summand.model.transform import same_transform
from summand.runtime.errors import CompileError
from summand.runtime.plan import Fetch, Input, Matrix, PlanStep, Strip, Walk
from summand.runtime.program import Gemm, Load, Output, Program, Requantise, Step, Store
from summand.runtime.tiling import Bundle, Piece, Sizes

__all__ = ["compile_layers"]

#: What a GEMM's plane words are made of: first slice, slices, and matrices with their tiles.
_Content = tuple[int, int, tuple[tuple[Matrix, int, int], ...]]


def compile_layers(layers: Sequence[Layer], config: EngineConfig) -> Program:
    """Compile ``layers``, which share an input, for ``config``'s engine.

    All dense summands and all first low-rank factors go as one walk over the input, whatever
    their widths. What does not fit a memory is tiled: tokens over ``rows``, outputs over the
    accumulators, input features and ranks over the activation memory.

    Raises
    ------
    CompileError
        If the layers do not share an input's shape, or were compressed for another engine.
    """
    if not layers:
        raise CompileError("a group needs at least one layer")
    for layer in layers:
        _check(layer, layers[0], config)
    return Program(
        config=config,
        in_features=layers[0].in_features,
        outputs=tuple(Output(layer.name, layer.out_features) for layer in layers),
        macs=sum(_macs(layer) for layer in layers),
        layers=tuple(map(Sizes.of, layers)),
        fill=_Filler(layers, config),
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
            f"its input is balanced or rotated in another way than that of {first.name!r}, with "
            f"which it shares it; compress them together, or put them into different groups"
        )
    if layer.act_bits != config.act_bits:
        refuse(
            f"compressed for activations of {layer.act_bits} bits, but the engine's act_bits is "
            f"{config.act_bits}; compress it again for this engine, or use an engine with "
            f"act_bits {layer.act_bits}"
        )
    if layer.acc_shift not in (0, config.shift):
        refuse(
            f"compressed with acc_shift {layer.acc_shift}, but the engine's shift is "
            f"{config.shift}; compress it again for this engine, or use an engine with "
            f"shift {layer.acc_shift}"
        )
    if layer.acc_bits > config.acc_bits:
        refuse(
            f"its accumulators can need {layer.acc_bits} bits, but the engine's acc_bits is "
            f"{config.acc_bits}; use an engine with more, or compress the layer to fewer bits"
        )
    dense = layer.dense
    if dense and dense.scale_bits > config.scale_bits:
        refuse(
            f"its group scales have {dense.scale_bits} bits, but the engine's scale_bits is "
            f"{config.scale_bits}; use an engine with more, or compress it without groups"
        )
    if dense and dense.group % config.depth:
        refuse(
            f"its groups have {dense.group} input features, which is no multiple of the engine's "
            f"depth, {config.depth}; use an engine with a depth that divides it, or other groups"
        )
    least = -(-config.cols // config.depth)  # slices that one tile's intermediate takes
    if layer.low_rank and least >= config.act_depth:
        refuse(
            f"its low-rank summand needs act_depth of at least {least + 1}, one slice of input "
            f"and {least} for {config.cols} intermediates, not {config.act_depth}; raise "
            f"act_depth or depth, or lower cols"
        )


def _macs(layer: Layer) -> int:
    macs = layer.in_features * layer.out_features if layer.dense else 0
    if layer.low_rank:
        macs += layer.low_rank.rank * (layer.in_features + layer.out_features)
    return macs


class _Filler:
    """Puts weights and parameters into the steps of a plan.

    Equal plane words are one ``bytes`` object, whichever batches they are sent in.
    """

    def __init__(self, layers: Sequence[Layer], config: EngineConfig):
        self._layers = layers
        self._config = config
        self._words: dict[Matrix, npt.NDArray[np.uint8]] = {}
        self._bytes: dict[_Content, bytes] = {}
        for i, layer in enumerate(layers):
            if layer.dense:
                matrix = Matrix(i, "dense")
                self._words[matrix] = pack_planes(layer.dense.weights, layer.dense.bits, config)

    def __call__(self, steps: Sequence[PlanStep]) -> tuple[Step, ...]:
        """Return the steps with everything but the activations."""
        return tuple(map(self._fill, steps))

    def _fill(self, step: PlanStep) -> Step:
        match step:
            case Input():
                return Load(step.first, step.slices, 0)
            case Walk():
                weights = self._weights(step)
                return Gemm(step.from_slice, step.slices, step.segments, step.group, weights)
            case Bundle():
                return self._requantise(step)
            case Fetch():
                return Store(step.tiles, step.runs)

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
            dense = self._layers[strip.matrix.layer].dense
            assert dense is not None
            assert dense.scales is not None
            row = np.zeros(strip.tiles * cols, np.uint8)
            mine = dense.scales[at // strip.group, strip.first * cols :][: len(row)]
            row[: len(mine)] = mine
            rows.append(row.reshape(strip.tiles, cols))
        return np.concatenate(rows)

    def _strip(self, walk: Walk, strip: Strip) -> npt.NDArray[np.uint8]:
        """Return a strip's plane words of a walk, shape ``[slices, bytes]``."""
        words = self._words.get(strip.matrix)
        if words is None:
            words = self._words[strip.matrix] = self._pack(strip.matrix)
        cut = words[walk.first : walk.first + walk.slices, strip.first : strip.first + strip.tiles]
        return cut.reshape(walk.slices, -1)

    def _pack(self, matrix: Matrix) -> npt.NDArray[np.uint8]:
        """Return a low-rank factor's plane words."""
        low_rank = self._layers[matrix.layer].low_rank
        assert low_rank is not None
        config, pieces = self._config, matrix.pieces
        if matrix.kind == "first factor":
            (piece,) = pieces
            return pack_planes(low_rank.a[:, piece.start : piece.stop], low_rank.a_bits, config)
        low, high = pieces[0].slices(config)[0], pieces[-1].slices(config)[1]
        rows = np.zeros(((high - low) * config.depth, low_rank.b.shape[1]), np.int8)
        for piece in pieces:
            at = piece.at - low * config.depth
            rows[at : at + piece.stop - piece.start] = low_rank.b[piece.start : piece.stop]
        return pack_planes(rows, low_rank.b_bits, config)

    def _requantise(self, bundle: Bundle) -> Requantise:
        payload = b"".join(map(self._parameters, bundle.pieces))
        return Requantise(bundle.tile, bundle.tiles, bundle.to_slice, pad(payload, self._config))

    def _parameters(self, piece: Piece) -> bytes:
        low_rank = self._layers[piece.layer].low_rank
        assert low_rank is not None
        # Columns that pad a tile have accumulators of zero; any shift will do.
        params = [(0, 1)] * (piece.tiles * self._config.cols)
        ranks = slice(piece.start, piece.stop)
        params[: piece.stop - piece.start] = zip(
            low_rank.mult[ranks].tolist(), low_rank.shift[ranks].tolist(), strict=True
        )
        return b"".join(struct.pack("<HBB", mult, shift, 0) for mult, shift in params)
