"""Weights of summands as beats, packed once for all programs that stream them."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.isa.planes import pack_planes
from summand.isa.sparse import pack_sparse
from summand.schedule.steps import Role, Strip
from summand.schedule.tiling import Piece
from summand.summands.base import Factors, Operand, Summand
from summand.summands.registry import kind_of

__all__ = ["OutputOrder", "Packing"]

_Words = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class OutputOrder:
    """The order in which an engine computes a layer's outputs.

    Parameters
    ----------
    features : int64 array, shape ``[N]``
        Which of the layer's outputs each of the engine's is.
    """

    features: npt.NDArray[np.int64]

    def of(self, operands: Operand | Factors) -> Operand | Factors:
        """Return matrices with their outputs in this order."""
        if isinstance(operands, Factors):
            return operands._replace(second=self._matrix(operands.second))
        return self._matrix(operands)

    def _matrix(self, operand: Operand) -> Operand:
        scales = operand.scales
        return operand._replace(
            weights=operand.weights[:, self.features],
            scales=None if scales is None else scales[:, self.features],
        )


#: A matrix's role, ranks of a factor, the tiles and kept weights of a strip of a sparse one, and
#: its outputs' order.
_Part = tuple[Role, tuple[Piece, ...], tuple[int, int, int] | None, OutputOrder | None]


class Packing:
    """Packs summands for one engine, and keeps the words as long as the summands are used.

    Programs that are compiled with the same one share the words of summands that they share.

    Parameters
    ----------
    config : EngineConfig
        The engine's.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        self._kept: WeakKeyDictionary[Summand, dict[_Part, _Words]]
        self._kept = WeakKeyDictionary()

    def operands(self, summand: Summand, order: OutputOrder | None) -> Operand | Factors:
        """Return what is streamed of a summand, its outputs in another order if there is one."""
        operands = kind_of(summand).operands(summand)
        return operands if order is None else order.of(operands)

    def strip(
        self, summand: Summand, strip: Strip, slices: slice, order: OutputOrder | None = None
    ) -> _Words:
        """Return what a strip of a summand streams in some slices, shape ``[slices, bytes]``."""
        matrix = strip.matrix
        if not strip.kept:
            words = self.words(summand, matrix.role, matrix.pieces, order)
            part = words[slices, strip.first : strip.first + strip.tiles]
            return part.reshape(len(part), -1)
        held = self._kept.setdefault(summand, {})
        key = matrix.role, matrix.pieces, (strip.first, strip.tiles, strip.kept), order
        if key not in held:
            held[key] = self._sparse(summand, strip, order)
        return held[key][slices]

    def words(
        self,
        summand: Summand,
        role: Role,
        pieces: tuple[Piece, ...] = (),
        order: OutputOrder | None = None,
    ) -> _Words:
        """Return plane words of a dense matrix: a summand's, or of ranks of a factor.

        Of shape ``[slices, tiles, planes, bytes]``.
        """
        held = self._kept.setdefault(summand, {})
        key = role, pieces, None, order
        if key not in held:
            held[key] = self._pack(summand, role, pieces, order)
        return held[key]

    def _sparse(self, summand: Summand, strip: Strip, order: OutputOrder | None) -> _Words:
        operand = self.operands(summand, order)
        assert isinstance(operand, Operand)
        cols = self.config.cols
        part = operand.weights[:, strip.first * cols : (strip.first + strip.tiles) * cols]
        return pack_sparse(part, operand.planes, strip.kept, self.config)

    def _pack(
        self,
        summand: Summand,
        role: Role,
        pieces: tuple[Piece, ...],
        order: OutputOrder | None,
    ) -> _Words:
        operands = self.operands(summand, order)
        if role == "direct":
            assert isinstance(operands, Operand)
            return pack_planes(operands.weights, operands.planes, self.config)
        assert isinstance(operands, Factors)
        first, second = operands[:2]
        if role == "first factor":
            (piece,) = pieces
            part = first.weights[:, piece.start : piece.stop]
            return pack_planes(part, first.planes, self.config)
        return self._second(second, pieces)

    def _second(self, factor: Operand, pieces: tuple[Piece, ...]) -> _Words:
        """Put a factor's rows where its intermediates are, and zeros between them."""
        depth = self.config.depth
        low, high = pieces[0].slices(self.config)[0], pieces[-1].slices(self.config)[1]
        rows = np.zeros(((high - low) * depth, factor.weights.shape[1]), np.int8)
        for piece in pieces:
            at = piece.at - low * depth
            rows[at : at + piece.stop - piece.start] = factor.weights[piece.start : piece.stop]
        return pack_planes(rows, factor.planes, self.config)
