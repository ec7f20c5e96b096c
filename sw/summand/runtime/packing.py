"""Weights of summands as beats, packed once for all programs that stream them."""

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

__all__ = ["Packing"]

_Words = npt.NDArray[np.uint8]
#: A matrix's role, ranks of a factor, and the tiles and kept weights of a strip of a sparse one.
_Part = tuple[Role, tuple[Piece, ...], tuple[int, int, int] | None]


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

    def strip(self, summand: Summand, strip: Strip, slices: slice) -> _Words:
        """Return what a strip of a summand streams in some slices, shape ``[slices, bytes]``."""
        matrix = strip.matrix
        if not strip.kept:
            words = self.words(summand, matrix.role, matrix.pieces)
            part = words[slices, strip.first : strip.first + strip.tiles]
            return part.reshape(len(part), -1)
        held = self._kept.setdefault(summand, {})
        key = matrix.role, matrix.pieces, (strip.first, strip.tiles, strip.kept)
        if key not in held:
            held[key] = self._sparse(summand, strip)
        return held[key][slices]

    def words(self, summand: Summand, role: Role, pieces: tuple[Piece, ...] = ()) -> _Words:
        """Return plane words of a dense matrix: a summand's, or of ranks of a factor.

        Of shape ``[slices, tiles, planes, bytes]``.
        """
        held = self._kept.setdefault(summand, {})
        key = role, pieces, None
        if key not in held:
            held[key] = self._pack(summand, role, pieces)
        return held[key]

    def _sparse(self, summand: Summand, strip: Strip) -> _Words:
        operand = kind_of(summand).operands(summand)
        assert isinstance(operand, Operand)
        cols = self.config.cols
        part = operand.weights[:, strip.first * cols : (strip.first + strip.tiles) * cols]
        return pack_sparse(part, operand.planes, strip.kept, self.config)

    def _pack(self, summand: Summand, role: Role, pieces: tuple[Piece, ...]) -> _Words:
        operands = kind_of(summand).operands(summand)
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
