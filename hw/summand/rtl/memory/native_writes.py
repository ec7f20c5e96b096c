"""The writing half of a memory behind a native port."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import ceil_log2

from summand.rtl.memory.port import Run
from summand.rtl.memory.walk import RunWalk

__all__ = ["NativeWrites"]


class NativeWrites(wiring.Component):
    """Write beats, a word at a time: the next is asked for when the one before has been taken.

    What is written comes over a host's link, which is slower than that, so nothing is buffered
    but the beat itself. A beat that was taken is always written.

    Parameters
    ----------
    stream_bits : int
        Width of a beat.
    address_bits, word_bits : int
        Those of the native port.

    Members
    -------
    writes : ``In(stream.Signature(Run()))``
        Runs to write.
    data : ``In(stream.Signature(stream_bits))``
        Their beats.
    wanted, address : ``Out(1)``, ``Out(address_bits)``
        A word to announce.
    asked : ``In(1)``
        It has been announced.
    words : ``Out(stream.Signature(word_bits))``
        The words that were announced. A word is valid before it is announced, because its
        ``ready`` does not wait.
    abort : ``In(1)``
        As :class:`~summand.rtl.memory.port.MemoryPort` has it.
    idle : ``Out(1)``
        No run is under way, and all beats that were taken have been written.
    """

    writes: stream.Interface
    data: stream.Interface
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
                "writes": In(stream.Signature(Run())),
                "data": In(stream.Signature(stream_bits)),
                "wanted": Out(1),
                "address": Out(address_bits),
                "asked": In(1),
                "words": Out(stream.Signature(word_bits)),
                "abort": In(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        words = self.stream_bits // self.word_bits
        m.submodules.walk = walk = RunWalk(address_bits=self.address_bits, words=words)
        connect(m, wiring.flipped(self.writes), walk.runs)

        beat = Signal(self.stream_bits, reset_less=True)
        place = walk.address[: ceil_log2(words)]
        waiting = Signal()  # the word was announced, and not yet taken
        m.d.comb += [
            walk.drop.eq(self.abort & ~self.words.valid),
            self.data.ready.eq(walk.running & ~walk.drop & ~self.words.valid),
            self.wanted.eq(self.words.valid & ~waiting),
            self.address.eq(walk.address),
            self.words.payload.eq(beat.word_select(place, self.word_bits)),
            walk.step.eq(self.words.valid & self.words.ready),
            self.idle.eq(~walk.running),  # a word passes when it is taken
        ]
        with m.If(self.asked):
            m.d.sync += waiting.eq(1)
        with m.If(walk.step):
            m.d.sync += [waiting.eq(0), self.words.valid.eq(~walk.last)]
        with m.If(self.data.valid & self.data.ready):
            m.d.sync += [beat.eq(self.data.payload), self.words.valid.eq(1)]

        return m
