"""Turns layers that share an input into the commands of one engine."""

import struct
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.isa.ops import MAX_SEGMENTS, Segment, pad
from summand.isa.planes import pack_planes
from summand.model import Layer
from summand.runtime.errors import CompileError
from summand.runtime.program import Gemm, Load, Output, Program, Requantise, Step, Store
from summand.runtime.tiling import Piece, Run, Tiling

__all__ = ["compile_layers"]

#: One segment and its plane words, shape ``[slices, bytes]``.
_Part = tuple[Segment, npt.NDArray[np.uint8]]


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
    builder = _Builder(layers, config)
    return Program(
        config=config,
        in_features=layers[0].in_features,
        outputs=tuple(Output(layer.name, layer.out_features) for layer in layers),
        steps=tuple(builder.steps()),
        macs=sum(_macs(layer) for layer in layers),
    )


def _check(layer: Layer, first: Layer, config: EngineConfig) -> None:
    def refuse(why: str) -> None:
        raise CompileError(f"layer {layer.name!r}: {why}")

    if layer.in_features != first.in_features:
        refuse(
            f"it has {layer.in_features} input features and cannot share an input with "
            f"{first.name!r}, which has {first.in_features}; put them into different groups"
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


def _macs(layer: Layer) -> int:
    macs = layer.in_features * layer.out_features if layer.dense else 0
    if layer.low_rank:
        macs += layer.low_rank.rank * (layer.in_features + layer.out_features)
    return macs


class _Builder:
    """Emits the steps of one group.

    Per pass over output tiles and per round over ranks: walk over the input, requantise, walk
    over the intermediates; then one STORE for the pass.
    """

    def __init__(self, layers: Sequence[Layer], config: EngineConfig):
        self._layers = layers
        self._config = config
        self._tiling = Tiling.of(layers, config)
        self._dense = [
            pack_planes(layer.dense.weights, layer.dense.bits, config) if layer.dense else None
            for layer in layers
        ]

    def steps(self) -> Iterator[Step]:
        tiling = self._tiling
        if tiling.resident:
            yield Load(0, tiling.slices, 0)
        for p, runs in enumerate(tiling.passes):
            here = {run.layer for run in runs}
            started: set[int] = set()  # layers whose low-rank summand has begun to add
            for r, pieces in enumerate(tiling.rounds):
                needed = tuple(piece for piece in pieces if piece.layer in here)
                fresh = needed
                if len(tiling.rounds) == 1:  # made once, in the first pass, for all of them
                    fresh = pieces if p == 0 else ()
                yield from self._walk_input(runs if r == 0 else (), fresh)
                for piece in fresh:
                    yield self._requantise(piece)
                for run in runs:
                    mine = tuple(piece for piece in needed if piece.layer == run.layer)
                    if mine:
                        yield self._walk_intermediate(run, mine, first=run.layer not in started)
                        started.add(run.layer)
            yield Store(sum(run.tiles for run in runs), runs)

    def _walk_input(self, runs: Sequence[Run], pieces: Sequence[Piece]) -> Iterator[Step]:
        parts = [part for run in runs if (part := self._dense_part(run))]
        parts += [self._factor_part(piece) for piece in pieces]
        if not parts:
            return
        tiling = self._tiling
        for first in range(0, tiling.slices, tiling.chunk):
            count = min(tiling.chunk, tiling.slices - first)
            if not tiling.resident:
                yield Load(first, count, 0)
            for group in _merged(parts, clear=first == 0):
                words = np.concatenate([w[first : first + count] for _, w in group], axis=1)
                segments = _joined([segment for segment, _ in group])
                yield Gemm(0, count, segments, words.tobytes())

    def _dense_part(self, run: Run) -> _Part | None:
        packed, dense = self._dense[run.layer], self._layers[run.layer].dense
        if packed is None or dense is None:
            return None
        words = packed[:, run.first : run.first + run.tiles]
        segment = Segment(tile=run.tile, tiles=run.tiles, planes=dense.bits)
        return segment, words.reshape(len(words), -1)

    def _factor_part(self, piece: Piece) -> _Part:
        low_rank = self._layers[piece.layer].low_rank
        assert low_rank is not None  # a piece is a part of one
        words = pack_planes(low_rank.a[:, piece.start : piece.stop], low_rank.a_bits, self._config)
        segment = Segment(tile=piece.tile, tiles=piece.tiles, planes=low_rank.a_bits)
        return segment, words.reshape(len(words), -1)

    def _requantise(self, piece: Piece) -> Requantise:
        low_rank = self._layers[piece.layer].low_rank
        assert low_rank is not None
        # Columns that pad a tile have accumulators of zero; any shift will do.
        params = [(0, 1)] * (piece.tiles * self._config.cols)
        ranks = slice(piece.start, piece.stop)
        params[: piece.stop - piece.start] = zip(
            low_rank.mult[ranks].tolist(), low_rank.shift[ranks].tolist(), strict=True
        )
        payload = b"".join(struct.pack("<HBB", mult, shift, 0) for mult, shift in params)
        return Requantise(piece.tile, piece.tiles, piece.to_slice, pad(payload, self._config))

    def _walk_intermediate(self, run: Run, pieces: Sequence[Piece], *, first: bool) -> Gemm:
        config, layer = self._config, self._layers[run.layer]
        low_rank = layer.low_rank
        assert low_rank is not None
        columns = slice(run.first * config.cols, (run.first + run.tiles) * config.cols)
        b = low_rank.b[:, columns]
        base = pieces[0].to_slice
        slices = sum(piece.slices for piece in pieces)
        rows = np.zeros((slices * config.depth, b.shape[1]), np.int8)
        for piece in pieces:
            at = (piece.to_slice - base) * config.depth
            rows[at : at + piece.stop - piece.start] = b[piece.start : piece.stop]
        words = pack_planes(rows, low_rank.b_bits, config)
        segment = Segment(
            tile=run.tile,
            tiles=run.tiles,
            planes=low_rank.b_bits,
            clear=first and layer.dense is None,
            shift=first and layer.dense is not None and layer.acc_shift > 0,
        )
        return Gemm(base, slices, (segment,), words.tobytes())


def _merged(parts: Sequence[_Part], *, clear: bool) -> Iterator[list[_Part]]:
    """Yield the parts in lots that make no more segments than a GEMM may have."""
    lot: list[_Part] = []
    for segment, words in parts:
        new = (
            Segment(tile=segment.tile, tiles=segment.tiles, planes=segment.planes, clear=clear),
            words,
        )
        if len(_joined([s for s, _ in [*lot, new]])) > MAX_SEGMENTS:
            yield lot
            lot = []
        lot.append(new)
    if lot:
        yield lot


def _joined(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Make one segment of neighbours of the same kind.

    Their plane words must then be in tile order slice by slice, as they are side by side.
    """
    joined: list[Segment] = []
    for s in segments:
        last = joined[-1] if joined else None
        if last and (last.tile + last.tiles, last.planes) == (s.tile, s.planes):
            joined[-1] = Segment(
                tile=last.tile, tiles=last.tiles + s.tiles, planes=s.planes, clear=s.clear
            )
        else:
            joined.append(s)
    return tuple(joined)
