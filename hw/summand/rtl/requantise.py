"""Accumulators to activations: the low-rank intermediate T, which never leaves the chip."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.limits import MULT_BITS
from summand.isa.products import requantise_product
from summand.isa.structure import parameter_memory, requantise_latency
from summand.isa.widths import act_addr_bits, requantised_bits, row_bits
from summand.rtl.cast import Caster, CastOrder
from summand.rtl.drain import DrainedTile
from summand.rtl.multiply import Multiplier
from summand.rtl.mux import choose
from summand.rtl.operand import OperandWrite
from summand.rtl.parameters import Parameter
from summand.rtl.ram import BlockRam

__all__ = ["ActWrite", "RequantisePort", "Requantiser"]


class ActWrite(data.StructLayout):
    """A word for a row's activation memory.

    Members
    -------
    word : ``stream_bits``
        Activations as in a beat of a LOAD.
    row : ``row_bits``
        Row whose memory it is for.
    addr : ``act_addr_bits``
        Address in that memory.
    last : 1
        It is the command's last word.
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


class RequantisePort(wiring.Signature):
    """REQUANTISE and CAST commands, as the front sends them on.

    Members
    -------
    start : ``Out(1)``
        Begin a command: its parameters follow, from feature 0 on.
    addr : ``Out(act_addr_bits)``
        Word of the activation memory that each row's results begin with, in that cycle.
    param : ``Out(Parameter)``
        A feature's parameters.
    param_valid : ``Out(1)``
        There are some.
    written : ``In(1)``
        The command's last word goes to its memory in this cycle.
    casts : ``Out(1)``
        In the cycle of :attr:`start`: it is a CAST, as :attr:`cast` says. Only in an engine with an
        operand.
    cast : ``Out(CastOrder)``
        Where its weights go; only in an engine with an operand.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "start": Out(1),
                "addr": Out(act_addr_bits(config)),
                "param": Out(Parameter()),
                "param_valid": Out(1),
                "written": In(1),
                **(
                    {"casts": Out(1), "cast": Out(CastOrder(config))}
                    if config.operand_depth
                    else {}
                ),
            }
        )


class Requantiser(wiring.Component):
    """``t = sat((acc * mult[n] + 2**(shift[n] - 1)) >> shift[n])``, a tile in ``cols + 1`` cycles.

    Bit-exact with :func:`summand.golden.requantise`. The rounding uses that
    ``(v + 2**(s-1)) >> s`` equals ``((v >> (s-1)) + 1) >> 1``.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    orders : ``In(RequantisePort)``
        Commands and their parameters.
    i : ``In(stream.Signature(DrainedTile))``
        Tiles of accumulators, row after row.
    o : ``Out(stream.Signature(ActWrite))``
        Words of activations; zeros fill a row's last word.
    operand : ``Out(OperandWrite)``
        Bits of a CAST's weights; only in an engine with an operand.
    """

    i: stream.Interface
    o: stream.Interface

    orders: Any
    operand: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "orders": In(RequantisePort(config)),
                **({"operand": Out(OperandWrite(config))} if config.operand_depth else {}),
                "i": In(stream.Signature(DrainedTile(config))),
                "o": Out(stream.Signature(ActWrite(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()

        advance = Signal()  # the whole pipeline moves
        t, valid, ends, final = self._pipeline(m, advance)
        if self.config.operand_depth:
            self._gather_or_cast(m, advance, t, valid, ends, final)
        else:
            self._gather(m, advance, t, valid, ends, final)

        return m

    def _gather_or_cast(self, m: Module, advance: Signal, t, valid, ends, final) -> None:
        """Send on the last stage as the command says."""
        orders = self.orders
        m.submodules.caster = caster = Caster(self.config)
        casting = Signal()
        with m.If(orders.start):
            m.d.sync += casting.eq(orders.casts)
        self._gather(m, advance, t, valid & ~casting, ends, final, caster)
        m.d.comb += [
            caster.start.eq(orders.start),
            caster.order.eq(orders.cast),
            caster.i.valid.eq(valid & casting),
            caster.i.p.value.eq(t),
            caster.i.p.row_ends.eq(ends),
            caster.i.p.final.eq(final),
            self.operand.eq(caster.o),
        ]

    def _pipeline(self, m: Module, advance: Signal):
        """Return the last stage: an activation, valid, its row ends, it is of the last tile."""
        cfg = self.config

        kept = data.StructLayout({"mult": MULT_BITS, "down": 6})
        m.submodules.memory = memory = BlockRam.of(parameter_memory(cfg))
        down = Signal(6)
        m.d.comb += [
            down.eq(self.orders.param.shift - 1),
            memory.write_en.eq(self.orders.param_valid),
            memory.write_data.eq(Cat(self.orders.param.mult, down)),
        ]
        with m.If(self.orders.start):
            m.d.sync += memory.write_addr.eq(0)
        with m.Elif(self.orders.param_valid):
            m.d.sync += memory.write_addr.eq(memory.write_addr + 1)

        # A tile is held while its accumulators leave one by one. The next tile is only taken after
        # that, so that `i.ready` comes from a register.
        held = Signal.like(self.i.payload)
        held_valid = Signal()
        m.d.comb += self.i.ready.eq(~held_valid)
        with m.If(self.i.ready):
            m.d.sync += [held.eq(self.i.payload), held_valid.eq(self.i.valid)]

        # Stage 0: choose an accumulator of the tile, and read its feature's parameters.
        col = Signal(range(cfg.cols))
        last_col = col == cfg.cols - 1
        row_ends = held.row_ends & last_col
        m.d.comb += memory.read_en.eq(advance)
        with m.If(advance & held_valid):
            with m.If(last_col):
                m.d.sync += held_valid.eq(0)
            m.d.sync += [
                col.eq(Mux(last_col, 0, col + 1)),
                memory.read_addr.eq(Mux(row_ends, 0, memory.read_addr + 1)),
            ]

        # The marks of a value travel beside it, a bit for each stage.
        stages = requantise_latency(cfg)
        valid = Signal(stages)
        ends = Signal(stages)
        final = Signal(stages)
        with m.If(advance):
            m.d.sync += [
                valid.eq(Cat(held_valid, valid)),
                ends.eq(Cat(row_ends, ends)),
                final.eq(Cat(held.final, final)),
            ]

        def stage(name, value):
            later = Signal.like(value, name=name, reset_less=True)
            with m.If(advance):
                m.d.sync += later.eq(value)
            return later

        # Stages 1 and 2: the accumulator waits for its parameters. Then the product.
        assert BlockRam.LATENCY == 2
        acc = stage("acc1", choose(m, held.acc.as_value(), col, cfg.acc_bits))
        acc = stage("acc2", acc)
        param = kept(memory.read_data)
        product = requantise_product(cfg)
        m.submodules.multiplier = multiplier = Multiplier.of(product)
        m.d.comb += [
            multiplier.en.eq(advance),
            multiplier.a.eq(acc.as_signed()),
            multiplier.b.eq(param.mult),
        ]
        down = param.down
        for n in range(product.latency):
            down = stage(f"down{n + 3}", down)

        # Shift by multiples of 16, of 4 and of 1. Each step keeps only the bits that later steps
        # and the rounding need, and a flag whether the value fitted them: if not, it is out of
        # range.
        value = multiplier.p
        fits, negative = Const(1), value[-1]
        for name, bits, rest in (("coarse", 4, 15), ("middle", 2, 3), ("fine", 0, 0)):
            moved = value >> Cat(Const(0, bits), down[bits : bits + 2])
            width = min(requantised_bits(cfg) + 2 + rest, len(moved))
            above = moved[width - 1 :]
            fits = stage(f"{name}_fits", fits & (above.all() | ~above.any()))
            negative = stage(f"{name}_negative", negative)
            value = stage(name, moved[:width].as_signed())
            down = stage(f"{name}_down", down[:bits])
        rounded = stage("rounded", (value + 1) >> 1)
        fits = stage("rounded_fits", fits)
        negative = stage("rounded_negative", negative)
        if cfg.operand_depth:
            t = self._saturated(m, stage, rounded, fits, negative)
            return t, valid[-1], ends[-1], final[-1]
        high = rounded[cfg.act_bits - 1 :]  # all equal where the value is in range
        over = Mux(fits, ~rounded[-1] & high.any(), ~negative)
        under = Mux(fits, rounded[-1] & ~high.all(), negative)
        plain = rounded[: cfg.act_bits].as_signed()
        t = stage("t", Mux(over, cfg.act_max, Mux(under, cfg.act_min, plain)))
        return t, valid[-1], ends[-1], final[-1]

    def _saturated(self, m: Module, stage, rounded: Value, fits: Value, negative: Value) -> Value:
        """Return values saturated to as many bits as the command's have, two stages later."""
        cfg = self.config
        bits = requantised_bits(cfg)
        outside = Signal(bits)  # bits that are equal in all values that the command's bits hold
        order = self.orders
        with m.If(order.start):
            for n in range(bits):
                few = Mux(order.casts, order.cast.planes <= n + 1, cfg.act_bits <= n + 1)
                m.d.sync += outside[n].eq(few)
        tested = Cat(outside, Const(1, 1).replicate(len(rounded) - bits))
        over = Mux(fits, ~rounded[-1] & (rounded & tested).any(), ~negative)
        under = Mux(fits, rounded[-1] & (~rounded & tested).any(), negative)
        over, under = stage("over", over), stage("under", under)
        plain = stage("plain", rounded[:bits])
        return stage("t", Mux(over, ~outside, Mux(under, outside, plain)).as_signed())

    def _gather(
        self, m: Module, advance: Signal, t, valid, ends, final, caster: Caster | None = None
    ) -> None:
        """Shift activations into words from the top, then zeros until a row's last is whole."""
        cfg = self.config
        place = Signal(range(cfg.beat_elems))
        padding = Signal()
        final_word = Signal()
        row = Signal(row_bits(cfg))
        base = Signal(act_addr_bits(cfg))
        addr = Signal(act_addr_bits(cfg))
        move = Signal()
        step = Signal()
        whole = place == cfg.beat_elems - 1
        row_done = padding | ends
        elem = Signal(cfg.elem_bits)
        moves, written = move & ~padding, self.o.valid & self.o.ready & self.o.p.last
        if caster is not None:
            moves, written = moves & caster.i.ready, written | caster.written
        # The pipeline stops while a finished word waits to leave. Words are rare, and so `o.ready`
        # is not on the pipeline's enable path.
        m.d.comb += [
            move.eq(~self.o.valid),
            advance.eq(moves),
            step.eq(move & (padding | valid)),
            elem.eq(Mux(padding, 0, t)),
            self.orders.written.eq(written),
        ]
        with m.If(step & whole):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(step):
            m.d.sync += [
                self.o.p.word.eq(Cat(self.o.p.word[cfg.elem_bits :], elem)),
                self.o.p.row.eq(row),
                self.o.p.addr.eq(addr),
                self.o.p.last.eq(row_done & Mux(padding, final_word, final)),
                place.eq(Mux(whole, 0, place + 1)),
                padding.eq(row_done & ~whole),
            ]
            with m.If(~padding):
                m.d.sync += final_word.eq(final)
            with m.If(whole):
                m.d.sync += addr.eq(addr + 1)
                with m.If(row_done):
                    m.d.sync += [addr.eq(base), row.eq(row + 1)]
        with m.If(self.orders.start):
            m.d.sync += [row.eq(0), addr.eq(self.orders.addr), base.eq(self.orders.addr)]
