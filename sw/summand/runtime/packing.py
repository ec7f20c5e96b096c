"""Plane words of summands, packed once for all programs that stream them."""

from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.isa.planes import pack_planes
from summand.schedule.steps import Role
from summand.schedule.tiling import Piece
from summand.summands.base import Factors, Operand, Summand
from summand.summands.registry import kind_of

__all__ = ["Packing"]

_Words = npt.NDArray[np.uint8]


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
        self._kept: WeakKeyDictionary[Summand, dict[tuple[Role, tuple[Piece, ...]], _Words]]
        self._kept = WeakKeyDictionary()

    def words(self, summand: Summand, role: Role, pieces: tuple[Piece, ...] = ()) -> _Words:
        """Return plane words ``[slices, tiles, bytes]`` of a summand, or of ranks of a factor."""
        kept = self._kept.setdefault(summand, {})
        if (role, pieces) not in kept:
            kept[role, pieces] = self._pack(summand, role, pieces)
        return kept[role, pieces]

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
