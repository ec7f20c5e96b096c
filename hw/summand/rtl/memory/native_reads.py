"""The reading half of a memory behind a native port."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from summand.isa.memory import EngineMemory, MemoryKind
from summand.rtl.fifo import CountedFifo
from summand.rtl.gearbox import BeatGatherer
from summand.rtl.memory.port import ReadBeat, Run
from summand.rtl.memory.walk import RunWalk

__all__ = ["NativeReads"]


class NativeReads(wiring.Component):
    """Ask for the words of runs and put beats together from them.

    Words come some cycles after they were asked for and cannot be held back. So a beat's first
    word is asked for only when a place of the buffer is free for the beat. Beats of which a word
    was asked for are always read to their end; :attr:`abort` drops them.

    Parameters
    ----------
    stream_bits : int
        Width of a beat.
    address_bits, word_bits : int
        Those of the native port.

    Members
    -------
    reads : ``In(stream.Signature(Run()))``
        Runs to read.
    beats : ``Out(stream.Signature(ReadBeat(stream_bits)))``
        Their beats.
    wanted, address : ``Out(1)``, ``Out(address_bits)``
        A word to ask for.
    asked : ``In(1)``
        It has been asked for.
    words : ``In(stream.Signature(word_bits))``
        The words that were asked for, in order. It is always ready.
    abort : ``In(1)``
        As :class:`~summand.rtl.memory.port.MemoryPort` has it.
    idle : ``Out(1)``
        No run is under way, and no beat.
    """

    #: Beats that are under way or wait to be taken. A word comes some 20 cycles after it was asked
    #: for, so 16 are enough where a word takes two cycles or a beat several words.
    DEPTH = 32

    reads: stream.Interface
    beats: stream.Interface
    wanted: Signal
    address: Signal
    asked: Signal
    words: stream.Interface
    abort: Signal
    idle: Signal

    def __init__(self, *, stream_bits: int, address_bits: int, word_bits: int):
        self.stream_bits = stream_bits
        self.address_bits = address_bits
        self.word_bits = word_bits
        super().__init__(
            {
                "reads": In(stream.Signature(Run())),
                "beats": Out(stream.Signature(ReadBeat(stream_bits))),
                "wanted": Out(1),
                "address": Out(address_bits),
                "asked": In(1),
                "words": In(stream.Signature(word_bits)),
                "abort": In(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        words = self.stream_bits // self.word_bits
        buffer = EngineMemory(
            name="beats", kind=MemoryKind.BLOCK, width=self.stream_bits, depth=self.DEPTH
        )
        m.submodules.walk = walk = RunWalk(address_bits=self.address_bits, words=words)
        m.submodules.gatherer = gatherer = BeatGatherer(self.word_bits, words)
        m.submodules.fifo = fifo = CountedFifo(buffer)
        connect(m, wiring.flipped(self.reads), walk.runs)
        connect(m, wiring.flipped(self.words), gatherer.i)

        free = Signal(range(self.DEPTH + 1), init=self.DEPTH)
        begun = Signal()
        left = Signal()
        m.d.comb += [
            walk.drop.eq(self.abort & walk.first),
            self.wanted.eq(walk.running & ~walk.drop & (~walk.first | (free != 0))),
            self.address.eq(walk.address),
            walk.step.eq(self.asked),
            begun.eq(self.asked & walk.first),
            left.eq(fifo.o.valid & fifo.o.ready),
            self.idle.eq(~walk.running & (free == self.DEPTH)),
        ]
        with m.If(begun ^ left):
            m.d.sync += free.eq(Mux(begun, free - 1, free + 1))

        m.d.comb += [
            gatherer.o.ready.eq(1),
            fifo.write.eq(gatherer.o.valid),
            fifo.data.eq(gatherer.o.payload),
            fifo.o.ready.eq(self.beats.ready | self.abort),
            self.beats.valid.eq(fifo.o.valid & ~self.abort),
            self.beats.payload.data.eq(fifo.o.payload),
        ]

        return m
