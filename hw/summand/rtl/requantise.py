"""Accumulators to activations: the low-rank intermediate T, which never leaves the chip."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from summand.isa import EngineConfig
from summand.rtl.stream import Beat
from summand.rtl.token import act_addr_bits, row_bits

__all__ = ["ActWrite", "Parameter", "Requantiser"]


class Parameter(data.StructLayout):
    """The four bytes of one output feature in a REQUANTISE payload."""

    def __init__(self):
        super().__init__({"mult": 16, "shift": 8, "pad": 8})


class ActWrite(data.StructLayout):
    """A word for a row's activation memory.

    Members
    -------
    word : ``stream_bits``
        Activations as in a beat of a LOAD.
    row : ``row_bits``
        Whose.
    addr : ``act_addr_bits``
        Where.
    last : 1
        The command's last word.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "word": config.stream_bits,
                "row": row_bits(config),
                "addr": act_addr_bits(config),
                "last": 1,
            }
        )


class Requantiser(wiring.Component):
    """``t = sat((acc * mult[n] + 2**(shift[n] - 1)) >> shift[n])``, one accumulator a cycle.

    Bit-exact with :func:`summand.golden.requantise`. The rounding uses that
    ``(v + 2**(s-1)) >> s`` equals ``((v >> (s-1)) + 1) >> 1``.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    start : ``In(1)``
        Begin a command that writes from word ``addr`` on.
    params : ``In(stream.Signature(stream_bits))``
        Beats of :class:`Parameter`, from feature 0 on after ``start``; always taken.
    i : ``In(stream.Signature(Beat(array of cols signed acc_bits)))``
        Tiles, row after row; ``last`` ends a row.
    final : ``In(1)``
        The row now at ``i`` is the command's last.
    o : ``Out(stream.Signature(ActWrite))``
        Words of activations, filled up with zeros at a row's end.
    """

    i: stream.Interface
    o: stream.Interface
    params: stream.Interface

    def __init__(self, config: EngineConfig):
        self.config = config
        tile = data.ArrayLayout(signed(config.acc_bits), config.cols)
        super().__init__(
            {
                "start": In(1),
                "addr": In(act_addr_bits(config)),
                "params": In(stream.Signature(config.stream_bits, always_ready=True)),
                "i": In(stream.Signature(Beat(tile))),
                "final": In(1),
                "o": Out(stream.Signature(ActWrite(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        advance = Signal()  # the whole pipeline moves

        # Parameters, a beat a word.
        per_beat = cfg.stream_bits // 32
        m.submodules.memory = memory = Memory(
            shape=cfg.stream_bits, depth=max(1, cfg.requant_depth // per_beat), init=[]
        )
        write = memory.write_port()
        m.d.comb += [write.en.eq(self.params.valid), write.data.eq(self.params.payload)]
        with m.If(self.params.valid):
            m.d.sync += write.addr.eq(write.addr + 1)

        # Stage 0: one accumulator of the tile, and its parameter's place.
        col = Signal(range(cfg.cols))
        feature = Signal(ceil_log2(cfg.requant_depth))
        last_col = col == cfg.cols - 1
        row_ends = self.i.payload.last & last_col
        m.d.comb += self.i.ready.eq(advance & last_col)
        with m.If(advance & self.i.valid):
            m.d.sync += [
                col.eq(Mux(last_col, 0, col + 1)),
                feature.eq(Mux(row_ends, 0, feature + 1)),
            ]
        read = memory.read_port()
        m.d.comb += [read.en.eq(advance), read.addr.eq(feature >> ceil_log2(per_beat))]

        # Marks travel beside the values: one bit a stage.
        STAGES = 7
        valid = Signal(STAGES)
        ends = Signal(STAGES)
        final = Signal(STAGES)
        with m.If(advance):
            m.d.sync += [
                valid.eq(Cat(self.i.valid, valid)),
                ends.eq(Cat(row_ends, ends)),
                final.eq(Cat(self.final, final)),
            ]

        # Stage 1: registered, while the memory is read. Stage 2: parameter chosen.
        acc1 = Signal(signed(cfg.acc_bits), reset_less=True)
        acc2 = Signal.like(acc1)
        part = Signal(range(per_beat))
        param = Signal(Parameter())
        # Stages 3 and 4: the product, with a register of its own for a DSP block to take in.
        product = Signal(signed(cfg.acc_bits + 17), reset_less=True)
        product4 = Signal.like(product)
        down = Signal(6, reset_less=True)
        down4 = Signal.like(down)
        # Stages 5 and 6: shift in two steps. Stage 7: round and saturate.
        coarse = Signal.like(product)
        fine5 = Signal(3, reset_less=True)
        shifted = Signal.like(product)
        t = Signal(signed(cfg.act_bits), reset_less=True)
        rounded = Signal(signed(len(product) + 1))
        m.d.comb += rounded.eq((shifted + 1) >> 1)
        with m.If(advance):
            m.d.sync += [
                acc1.eq(self.i.payload.data[col]),
                part.eq(feature[: ceil_log2(per_beat)]),
                acc2.eq(acc1),
                param.eq(read.data.word_select(part, 32)),
                product.eq(acc2 * param.mult),
                down.eq(param.shift - 1),
                product4.eq(product),
                down4.eq(down),
                coarse.eq(product4 >> Cat(Const(0, 3), down4[3:])),
                fine5.eq(down4[:3]),
                shifted.eq(coarse >> fine5),
                t.eq(
                    Mux(
                        rounded > cfg.act_max,
                        cfg.act_max,
                        Mux(rounded < cfg.act_min, cfg.act_min, rounded),
                    )
                ),
            ]

        # Gather activations into words, row after row.
        place = Signal(range(cfg.beat_elems))
        held = Signal(cfg.stream_bits)  # zero where nothing has come yet
        word = Signal(cfg.stream_bits)
        m.d.comb += word.eq(held)
        for n in range(cfg.beat_elems):
            with m.If(place == n):
                m.d.comb += word[n * cfg.elem_bits : (n + 1) * cfg.elem_bits].eq(t)
        row = Signal(row_bits(cfg))
        base = Signal(act_addr_bits(cfg))
        addr = Signal(act_addr_bits(cfg))
        whole = (place == cfg.beat_elems - 1) | ends[-1]
        m.d.comb += advance.eq(~self.o.valid | self.o.ready)
        with m.If(advance):
            m.d.sync += self.o.valid.eq(valid[-1] & whole)
            with m.If(valid[-1]):
                m.d.sync += [
                    self.o.p.word.eq(word),
                    self.o.p.row.eq(row),
                    self.o.p.addr.eq(addr),
                    self.o.p.last.eq(ends[-1] & final[-1]),
                    place.eq(Mux(whole, 0, place + 1)),
                    held.eq(Mux(whole, 0, word)),
                ]
                with m.If(whole):
                    m.d.sync += addr.eq(addr + 1)
                with m.If(ends[-1]):
                    m.d.sync += [addr.eq(base), row.eq(row + 1)]

        with m.If(self.start):
            m.d.sync += [write.addr.eq(0), row.eq(0), addr.eq(self.addr), base.eq(self.addr)]

        return m
