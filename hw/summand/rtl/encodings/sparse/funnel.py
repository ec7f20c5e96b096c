"""A buffer of chunks that takes whole beats and gives any run of chunks up to a plane word's."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.patterns import IndexForm
from summand.isa.rounding import ceil_log2
from summand.isa.structure import chunk_memory
from summand.rtl.delay import delayed
from summand.rtl.encodings.sparse.gathers import Gather, beat_count_bits, by_kept, patterns
from summand.rtl.encodings.sparse.places import most_places
from summand.rtl.mux import choose

__all__ = ["ChunkFunnel", "Gathered"]

#: Chunks that one stage of the turn chooses from.
_NEAR = 4


class Gathered(data.StructLayout):
    """Chunks that came out of the buffer together.

    Members
    -------
    chunks : array of ``sparse_block`` chunks
        Values from the first on, an index up to the last; others may be anything.
    index, word
        As in the :class:`~summand.rtl.encodings.sparse.gathers.Gather`.
    mask, holes, named
        What the index is, as for :class:`~summand.rtl.encodings.sparse.places.KeptPlaces`.
    spare : ``sparse_block``
        Which of the chunks are no values.
    dense : 1
        They are a dense word.
    """

    def __init__(self, config: EngineConfig):
        block = config.sparse_block
        super().__init__(
            {
                "chunks": data.ArrayLayout(config.plane_bits // block, block),
                "index": 1,
                "word": 1,
                "mask": 1,
                "holes": 1,
                "named": most_places(block),
                "spare": block,
                "dense": 1,
            }
        )


class ChunkFunnel(wiring.Component):
    """Gather chunks, an order a cycle, :attr:`LATENCY` cycles.

    Each place of a plane word's chunks has a memory. A beat is written to as many of them as it has
    chunks; an order reads all, and turns what it read so that the chunk that it names is the first.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes; ``sparse_block`` is not 0.

    Members
    -------
    i : ``In(stream.Signature(stream_bits))``
        Beats; only taken where they are :attr:`wanted`.
    wanted : ``In(beat_count_bits)``
        Count of beats up to the last that any order needs.
    orders : ``In(stream.Signature(Gather))``
        Chunks to gather.
    room : ``In(1)``
        There is room for what comes of an order; a register.
    o : ``Out(Gathered)``
        The chunks.
    valid : ``Out(1)``
        There are some.
    """

    #: Cycles from an order to its chunks.
    LATENCY = 3

    i: stream.Interface
    wanted: Signal
    orders: stream.Interface
    room: Signal
    o: Any
    valid: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(config.stream_bits)),
                "wanted": In(beat_count_bits(config)),
                "orders": In(stream.Signature(Gather(config))),
                "room": In(1),
                "o": Out(Gathered(config)),
                "valid": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        order = self.orders.payload

        taken = Signal.like(self.wanted)
        came = Signal()  # all beats that the order needs
        m.d.comb += [
            self.i.ready.eq(taken != self.wanted),
            came.eq(~(taken - order.beats)[len(taken) - 1]),
            self.orders.ready.eq(came & self.room),
        ]
        write = Signal()
        m.d.comb += write.eq(self.i.valid & self.i.ready)
        with m.If(write):
            m.d.sync += taken.eq(taken + 1)

        turn = delayed(m, order.turn, 1, "turn", reset_less=True)
        words = self._memories(m, taken, write)
        near = self._turned(m, words, turn[ceil_log2(_NEAR) :], _NEAR)
        turn = delayed(m, turn[: ceil_log2(_NEAR)], 1, "near_turn", reset_less=True)
        chunks = self._turned(m, near, turn, 1)
        m.d.comb += [to.eq(chunk) for to, chunk in zip(self.o.chunks, chunks, strict=True)]
        for name in ("index", "word"):
            m.d.comb += self.o[name].eq(delayed(m, order[name], self.LATENCY, name))
        self._tell_pattern(m, delayed(m, order.kept, self.LATENCY - 1, "kept", reset_less=True))
        given = self.orders.valid & self.orders.ready
        m.d.comb += self.valid.eq(delayed(m, given, self.LATENCY, "given"))

        return m

    def _tell_pattern(self, m: Module, kept: Value) -> None:
        """Say what the pattern says of index and values; ``kept`` is a cycle ahead of them."""
        found = patterns(self.config)
        forms = [p.index_form for p in found]
        m.d.sync += [
            self.o.mask.eq(by_kept(kept, 0, [form is IndexForm.MASK for form in forms])),
            self.o.holes.eq(by_kept(kept, 0, [form is IndexForm.HOLES for form in forms])),
            self.o.named.eq(by_kept(kept, 0, [(1 << p.places) - 1 for p in found])),
            self.o.spare.eq(by_kept(kept, 0, [-1 << p.kept & (1 << p.block) - 1 for p in found])),
            self.o.dense.eq(kept == 0),
        ]

    def _memories(self, m: Module, taken: Signal, write: Signal) -> list[Value]:
        """Write beats to the memories; returns what each reads for the order a cycle ago."""
        cfg, order = self.config, self.orders.payload
        block, width = cfg.sparse_block, cfg.plane_bits // cfg.sparse_block
        part_bits = ceil_log2(cfg.plane_beats)  # of a beat's place in a plane word
        place = order.chunk[: ceil_log2(block)]
        row = order.chunk[ceil_log2(block) :]
        words: list[Value] = []
        for n in range(block):
            memory = Memory(shape=width, depth=chunk_memory(cfg).depth, init=[])
            m.submodules[f"memory_{n}"] = memory
            writer, reader = memory.write_port(), memory.read_port(domain="comb")
            part, chunk = divmod(n, cfg.beat_chunks)
            m.d.comb += [
                writer.en.eq(write & (taken[:part_bits] == part)),
                writer.addr.eq(taken[part_bits:]),
                writer.data.eq(self.i.payload[chunk * width :][:width]),
            ]
            m.d.sync += reader.addr.eq(row + (place > n))
            words.append(reader.data)
        return words

    def _turned(self, m: Module, words: list[Value], turn: Value, unit: int) -> list[Value]:
        """Return registers of the words, ``turn * unit`` places earlier."""
        width, count = len(words[0]), 1 << len(turn)
        found: list[Value] = []
        for n in range(len(words)):
            sources = [words[(n + unit * t) % len(words)] for t in range(count)]
            word = Signal(width, name=f"turned_{unit}_{n}", reset_less=True)
            chosen = choose(m, Cat(*sources), turn, width, name=f"turn_{unit}_{n}")
            m.d.sync += word.eq(chosen if count > 1 else sources[0])
            found.append(word)
        return found
