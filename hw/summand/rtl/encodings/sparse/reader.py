"""From beats to plane words, where segments may be sparse."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.latencies import UNPACK_LATENCY
from summand.isa.structure import GATHERS_AHEAD, WORDS_AHEAD
from summand.rtl.encodings.sparse.expander import WordExpander
from summand.rtl.encodings.sparse.funnel import ChunkFunnel
from summand.rtl.encodings.sparse.gathers import Gather
from summand.rtl.encodings.sparse.planner import Planner, PlanPort
from summand.rtl.queue import LutQueue
from summand.rtl.ring import RingPort

__all__ = ["SparseReader"]


class SparseReader(wiring.Component):
    """Read a walk's beats ahead of its words, and make plane words of them, one a cycle.

    ::

        ring -> planner -> orders (queue) -+
                  +-> wanted               v
        i ------------------------------> funnel -> expander -> words (queue) -> o

    It takes no beat that the walk's segments do not have, and none of a group's before the words of
    the group before have been walked.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``sparse_block`` is not 0.

    Members
    -------
    walks : ``In(PlanPort)``
        Walks.
    ring : ``Out(RingPort)``
        Their segments.
    i : ``In(stream.Signature(stream_bits))``
        Beats.
    o : ``Out(stream.Signature(plane_bits))``
        Words. While there is none, it ends with the beat at :attr:`i`.
    """

    #: Cycles from an order to gather a word's chunks to the word.
    LATENCY = UNPACK_LATENCY

    walks: Any
    ring: Any
    i: stream.Interface
    o: stream.Interface

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "walks": In(PlanPort(config)),
                "ring": Out(RingPort(config)),
                "i": In(stream.Signature(config.stream_bits)),
                "o": Out(stream.Signature(config.plane_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        m.submodules.planner = planner = Planner(cfg)
        m.submodules.orders = orders = LutQueue(Gather(cfg), WORDS_AHEAD)
        m.submodules.funnel = funnel = ChunkFunnel(cfg)
        m.submodules.expander = expander = WordExpander(cfg)
        m.submodules.words = words = LutQueue(cfg.plane_bits, WORDS_AHEAD)
        wiring.connect(m, wiring.flipped(self.walks), planner.walks)
        wiring.connect(m, planner.ring, wiring.flipped(self.ring))
        wiring.connect(m, wiring.flipped(self.i), funnel.i)
        wiring.connect(m, orders.o, funnel.orders)

        gathered = Signal()
        word_taken = Signal()
        planned = _count(m, planner.give, gathered, GATHERS_AHEAD, "planned")
        owed = _count(m, gathered & orders.o.payload.word, word_taken, WORDS_AHEAD, "owed")
        m.d.comb += [
            gathered.eq(orders.o.valid & orders.o.ready),
            word_taken.eq(self.o.valid & self.o.ready),
            planner.room.eq(planned != GATHERS_AHEAD),
            orders.write.eq(planner.give),
            orders.item.eq(planner.order),
            funnel.wanted.eq(planner.wanted),
            funnel.room.eq(owed != WORDS_AHEAD),
            expander.i.eq(funnel.o),
            expander.valid.eq(funnel.valid),
            words.write.eq(expander.write),
            words.item.eq(expander.word),
            words.o.ready.eq(self.o.ready),
            self.o.valid.eq(words.o.valid),
            self.o.payload.eq(words.o.payload),
        ]
        with m.If(~words.o.valid):
            m.d.comb += self.o.payload[-cfg.stream_bits :].eq(self.i.payload)

        return m


def _count(m: Module, more: Value, less: Value, most: int, name: str) -> Signal:
    """Return a count of what came and has not left."""
    count = Signal(range(most + 1), name=name)
    with m.If(more ^ less):
        m.d.sync += count.eq(Mux(more, count + 1, count - 1))
    return count
