"""Every constant of the engine's pipelines that the cost law rests on."""

from dataclasses import dataclass

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.latencies import (
    ACTIVATION_LATENCY,
    DECODER_LATENCY,
    FIFO_LATENCY,
    ITEM_LATENCY,
    RESULT_LATENCY,
    SEGMENT_LATENCY,
    SUM_DELAY,
    UNPACK_LATENCY,
)
from summand.isa.structure import (
    GATHERS_AHEAD,
    WORDS_AHEAD,
    drain_rest,
    drain_room,
    requantise_latency,
    scaler_latency,
)

__all__ = ["Timing"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Cycles between cause and effect in one engine. Nothing else of the gateware is assumed.

    Parameters
    ----------
    decode : int
        From a header's last beat to its command's own state, the last of these starting the
        payload's count.
    settle : int
        From the last entry of a segment table to its verdict.
    prime : int
        From the walk's beginning to the first word that may enter: one, and the ring's two steps.
    checked : int
        From a REQUANTISE's last parameter to the order to drain.
    begin : int
        From an order of the front to what it sets to work.
    fill : int
        From an order to read one word of activations to the writers' first step over it.
    steps : int
        Writer steps that fill a table.
    read_ahead : int
        From a pass's first step to the order to read for the next pass.
    gathers : int
        Gatherings of chunks that may be ordered ahead, where segments may be sparse.
    words : int
        Words that may be held ahead there.
    unpack : int
        From the gathering of a word's chunks there to the word.
    planes : int
        Planes that the element takes at once.
    word : int
        From the entry of the last of so many words to the cycle whose slot and the last whose bus
        they take.
    rest : int
        From the first cycle in which a drain could have a slot to the one in which it asks for one.
    bus : int
        From a slot to row 0's registers.
    order : int
        From row 0's registers to the accumulators' order.
    result : int
        From the accumulators' order to row 0's result at the front.
    fifo : int
        From a result at the front to its tile at the drain's output.
    room : int
        Tiles that may be between grant and output.
    credit : int
        From a tile's being taken to a grant in its room.
    hold : int
        From a tile's being taken to its first accumulator in the requantiser's pipeline.
    requantise : int
        Stages of that pipeline.
    word_hold : int
        From a gathered word's leaving to the pipeline's next step.
    idle : int
        From the end of all that went on behind to the front's knowing.
    landing : int
        From a REQUANTISE's last word on the bus to the front's knowing.
    conflict : int
        By how much later a GEMM that reads that word's memory knows.
    """

    decode: int = DECODER_LATENCY + 1
    settle: int = ITEM_LATENCY + SEGMENT_LATENCY
    prime: int = 3
    checked: int = ITEM_LATENCY + 1
    begin: int = 1
    fill: int = ACTIVATION_LATENCY + 1
    steps: int
    read_ahead: int
    gathers: int = GATHERS_AHEAD
    words: int = WORDS_AHEAD
    unpack: int = UNPACK_LATENCY
    planes: int
    word: int
    rest: int
    bus: int = 2
    order: int
    result: int = RESULT_LATENCY + 2
    fifo: int = FIFO_LATENCY
    room: int
    credit: int = 2
    hold: int = 1
    requantise: int
    word_hold: int = 1
    idle: int = 1
    landing: int = 3
    conflict: int = 1

    @classmethod
    def of(cls, config: EngineConfig) -> "Timing":
        """Return the timing of the engine that ``summand.rtl`` builds for ``config``."""
        multiplier = element(config)
        return cls(
            steps=multiplier.steps,
            read_ahead=multiplier.read_ahead,
            planes=multiplier.planes,
            word=1 + multiplier.turn,
            rest=drain_rest(config),
            order=multiplier.latency + scaler_latency(config) - SUM_DELAY,
            room=drain_room(config),
            requantise=requantise_latency(config),
        )

    def answer(self, row: int) -> int:
        """Return the cycles from a drain's grant to the tile of ``row`` at its output."""
        return self.bus + self.order + self.result + 2 * row + self.fifo

    def filled(self, words: int) -> int:
        """Return the cycles from an order to read ``words`` words to the first step over them."""
        return self.fill + words - 1

    def stays(self, planes: int) -> int:
        """Return the cycles for which the first word of a tile of ``planes`` stays."""
        return -planes % self.planes

    def ahead(self, words: int) -> int:
        """Return the cycles from a pass's first step to the earliest first step of the next."""
        return max(self.steps, self.read_ahead + self.filled(words))
