"""What a layer's results are on their way back: bits, and the cycles in which they leave."""

from dataclasses import dataclass

from summand.isa import EngineConfig
from summand.isa.packets import data_packet_bytes
from summand.isa.results import Extremes, limbs_for
from summand.isa.rounding import ceil_div

__all__ = ["Answer"]


@dataclass(frozen=True)
class Answer:
    """The results of a layer for a token.

    Parameters
    ----------
    bits : int
        That come back over the link; of an output head no more than shows the likeliest token.
    cycles : int
        In which all of them leave the engine, if its output stream never waits.
    """

    bits: int
    cycles: int

    @classmethod
    def of(cls, out_features: int, acc_bits: int, engine: EngineConfig, *, head: bool) -> "Answer":
        """Return an engine's for a layer of so many outputs, which may be the output head.

        ``acc_bits`` hold its accumulators.
        """
        tiles, limbs = ceil_div(out_features, engine.cols), limbs_for(acc_bits, engine)
        size = _bytes(engine, tiles, limbs)
        if head and engine.bin_tiles:
            rest = tiles % engine.bin_tiles
            few = _bytes(engine, tiles - rest, 0, Extremes.GREATEST) + _bytes(engine, rest, limbs)
            size = min(size, few)
        pieces = limbs or max(1, engine.cols * 32 // engine.stream_bits)
        return cls(bits=8 * size, cycles=tiles * pieces)


def _bytes(engine: EngineConfig, tiles: int, limbs: int, extremes: Extremes = Extremes.NONE) -> int:
    """Return the bytes of a packet's results."""
    head = engine.header_beats * engine.beat_bytes
    return data_packet_bytes(engine, rows=1, tiles=tiles, limbs=limbs, extremes=extremes) - head
