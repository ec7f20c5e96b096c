"""Beats leave as they came, in order; none is withdrawn, lost or made up."""

from typing import Any

import pytest
from amaranth import *
from amaranth.asserts import AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Assert, Assume

from summand.isa import EngineConfig
from summand.rtl.gearbox import BeatGatherer, ResultPacker
from summand.rtl.stream import StreamBuffer, StreamRegister

#: A tile of two accumulators is two beats; one is half a beat; one is a quarter.
SPLIT = EngineConfig(cols=2, depth=16, stream_bits=32, act_bits=4, acc_bits=16)
HALF = EngineConfig(cols=1, depth=64, stream_bits=64, act_bits=4, acc_bits=18)
QUARTER = EngineConfig(cols=1, depth=128, stream_bits=128, act_bits=4, acc_bits=19)


class Spec(Elaboratable):
    """A component between any source that keeps the stream rules and any sink."""

    def __init__(self, dut: Any):
        self.dut = dut

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        i, o = dut.i, dut.o
        i_payload, o_payload = Value.cast(i.payload), Value.cast(o.payload)

        waiting, before = Signal(), Signal(len(i_payload))
        m.d.comb += [
            i.valid.eq(AnySeq(1)),
            i_payload.eq(AnySeq(len(i_payload))),
            o.ready.eq(AnySeq(1)),
        ]
        m.d.sync += [waiting.eq(i.valid & ~i.ready), before.eq(i_payload)]
        with m.If(waiting):
            m.d.comb += Assume(i.valid & (i_payload == before), "the source keeps the rules")

        offered, held = Signal(), Signal(len(o_payload))
        m.d.sync += [offered.eq(o.valid & ~o.ready), held.eq(o_payload)]
        with m.If(offered):
            m.d.comb += Assert(o.valid & (o_payload == held), "so does the component")

        self.contents(m, i.valid & i.ready, o.valid & o.ready)
        return m

    def contents(self, m, came, left):
        """Add the assertions on the beats themselves; ``came`` and ``left`` mark transfers."""


class RegisterSpec(Spec):
    """One beat at most is inside, and it is the one that came last."""

    def contents(self, m, came, left):
        dut = self.dut
        inside, beat = Signal(2), Signal.like(dut.i.payload)
        m.d.sync += inside.eq(inside + came - left)
        m.d.comb += [
            Assert(inside == dut.o.valid, "a beat inside is offered"),
            Assert(dut.o.valid | dut.i.ready, "an empty register takes a beat"),
        ]
        with m.If(came):
            m.d.sync += beat.eq(dut.i.payload)
        with m.If(dut.o.valid):
            m.d.comb += Assert(dut.o.payload == beat, "it is the one that came")


class BufferSpec(Spec):
    """Two beats at most are inside, in order, and neither side waits unnecessarily."""

    ORDER = "(= [first] (ite [dut.out_of] [dut.payload_1] [dut.payload_0]))"
    BEHIND = "(= [second] (ite [dut.out_of] [dut.payload_0] [dut.payload_1]))"
    lemmas = (
        "(= (= [dut.into] [dut.out_of]) (distinct [inside] #b01))",
        "(distinct [inside] #b11)",
        "(=> (= [inside] #b00) (= [dut.empty] #b11))",
        f"(=> (= [inside] #b01) (and {ORDER} (= [dut.empty] (ite [dut.out_of] #b01 #b10))))",
        f"(=> (= [inside] #b10) (and {ORDER} {BEHIND} (= [dut.empty] #b00)))",
    )

    def contents(self, m, came, left):
        dut = self.dut
        inside = Signal(2)
        first = Signal.like(dut.i.payload)
        second = Signal.like(dut.i.payload)
        m.d.sync += inside.eq(inside + came - left)
        m.d.comb += [
            Assert(dut.o.valid == (inside != 0), "a beat inside is offered"),
            Assert(dut.i.ready == (inside < 2), "while there is room a beat is taken"),
        ]
        with m.If(left):
            m.d.sync += first.eq(second)
        with m.If(came):
            m.d.sync += second.eq(dut.i.payload)
            with m.If(inside == left):
                m.d.sync += first.eq(dut.i.payload)
        with m.If(dut.o.valid):
            m.d.comb += Assert(dut.o.payload == first, "it is the one that came first")


class GathererSpec(Spec):
    """Every ``count`` beats leave as one word, the first lowest, in the cycle of the last."""

    lemmas = ("(= [dut.part] [place])", "(= [dut.held] [kept])")

    def contents(self, m, came, left):
        dut = self.dut
        place = Signal(range(dut.count))
        kept = Signal(dut.width * (dut.count - 1), reset_less=True)
        whole = place == dut.count - 1
        m.d.comb += [
            Assert(place < dut.count, "there is such a place"),
            Assert(dut.o.valid == (dut.i.valid & whole), "a word is offered with its last beat"),
            Assert(left == (came & whole), "and moves with it"),
            Assert(whole | dut.i.ready, "no other beat waits"),
        ]
        with m.If(dut.o.valid):
            m.d.comb += Assert(dut.o.payload == Cat(kept, dut.i.payload), "it is the beats")
        with m.If(came):
            m.d.sync += place.eq(Mux(whole, 0, place + 1))
            with m.If(~whole):
                m.d.sync += kept.word_select(place, dut.width).eq(dut.i.payload)


class SplitSpec(Spec):
    """A tile leaves as its words, lowest first; it is taken with the last."""

    lemmas = ("(= [dut.part] [place])",)

    def contents(self, m, came, left):
        dut, cfg = self.dut, self.dut.config
        count = cfg.cols * 32 // cfg.stream_bits
        place = Signal(range(count))
        final = place == count - 1
        m.d.comb += [
            Assert(dut.o.valid == dut.i.valid, "no word waits"),
            Assert(came == (left & final), "a tile goes with its last word"),
        ]
        with m.If(dut.o.valid):
            word = extended(dut).word_select(place, cfg.stream_bits)
            m.d.comb += [
                Assert(dut.o.p.data == word, "the words are the tile's"),
                Assert(dut.o.p.last == (dut.i.p.final & final), "a packet's last is its last word"),
            ]
        with m.If(left):
            m.d.sync += place.eq(Mux(final, 0, place + 1))


class GatherSpec(Spec):
    """Tiles fill a beat from below, a packet's last one completes it, and it leaves once."""

    def contents(self, m, came, left):
        dut, cfg = self.dut, self.dut.config
        size = cfg.cols * 32
        place = Signal(range(cfg.stream_bits // size))
        filling, inside = Signal(cfg.stream_bits), Signal(2)
        # The beat that leaves next, and behind it one that zeros are to complete; their marks last.
        first, second = Signal(cfg.stream_bits + 1), Signal(cfg.stream_bits + 1)
        whole = (place == cfg.stream_bits // size - 1) | dut.i.p.final
        grown = Signal.like(filling)
        m.d.comb += [
            grown.eq(filling | extended(dut) << (place * size)),
            Assert(inside <= 2, "a whole beat and a last one at most are inside"),
        ]
        m.d.sync += inside.eq(inside + (came & whole) - left)
        with m.If(left):
            m.d.sync += first.eq(second)
        with m.If(came):
            m.d.sync += [place.eq(place + 1), filling.eq(grown)]
            with m.If(whole):
                m.d.sync += [place.eq(0), filling.eq(0), second.eq(Cat(grown, dut.i.p.final))]
                with m.If(inside == left):
                    m.d.sync += first.eq(Cat(grown, dut.i.p.final))
        with m.If(dut.o.valid):
            m.d.comb += [
                Assert(inside != 0, "what is offered came"),
                Assert(dut.o.p.data == first[:-1], "it is the tiles, and zeros"),
                Assert(dut.o.p.last == first[-1], "a packet's last is its last beat"),
            ]


def extended(dut) -> Value:
    """Return the packer's tile as it should leave: each accumulator sign-extended to 32 bits."""
    cfg = dut.config
    words = []
    for c in range(cfg.cols):
        acc = Value.cast(dut.i.p.acc)[c * cfg.acc_bits : (c + 1) * cfg.acc_bits]
        words.append(Cat(acc, acc[-1].replicate(32 - cfg.acc_bits)))
    return Cat(words)


def test_stream_register(prove):
    prove(RegisterSpec(StreamRegister(4)), 3)


def test_stream_buffer(prove):
    prove(BufferSpec(StreamBuffer(4)), 3, lemmas=BufferSpec.lemmas)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_gatherer(prove, count):
    prove(GathererSpec(BeatGatherer(3, count)), 3, lemmas=GathererSpec.lemmas)


def test_packer_of_wide_tiles(prove):
    prove(SplitSpec(ResultPacker(SPLIT)), 3, lemmas=SplitSpec.lemmas)


@pytest.mark.parametrize("config", [HALF, QUARTER], ids=["half", "quarter"])
def test_packer_of_narrow_tiles_keeps_the_stream_rules(prove, config):
    places = config.stream_bits // (32 * config.cols)
    parts = [f"(= [dut.part] #b{1 << n:0{places}b})" for n in range(places)]
    lemmas = (
        f"(or {' '.join(parts)})",
        f"(= [dut.move] (not (and [dut.o__valid] {parts[-1]})))",
        "(= [dut.i__ready] (and [dut.move] (not [dut.padding])))",
        f"(= [dut.ends_padding] (and [dut.padding] {parts[-1]}))",
    )
    prove(Spec(ResultPacker(config)), 2, lemmas=lemmas)


@pytest.mark.parametrize(("config", "cycles"), [(HALF, 11), (QUARTER, 8)], ids=["half", "quarter"])
def test_packer_of_narrow_tiles_loses_nothing(prove, config, cycles):
    """For the first few beats, whatever source and sink do."""
    prove(GatherSpec(ResultPacker(config)), cycles, bounded=True)


class Hasty(StreamRegister):
    """A register that takes a beat while its own still waits."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.i.ready.eq(1)
        return m


def test_a_register_that_loses_beats_is_refuted(prove):
    with pytest.raises(AssertionError, match="FAILED"):
        prove(RegisterSpec(Hasty(4)), 3)
