"""Read accumulators in free slots of the array, and bring them back in order."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.structure import drain_memory, drain_rest, drain_room
from summand.isa.widths import row_bits, tile_bits
from summand.rtl.counters import CountDown
from summand.rtl.delay import delayed
from summand.rtl.fifo import CountedFifo
from summand.rtl.token import Result

__all__ = ["Drain", "DrainOrder", "DrainPort", "DrainedTile", "SlotPort"]


class DrainOrder(data.StructLayout):
    """Tiles ``tile`` to ``tile + tiles - 1`` of rows 0 to ``rows - 1``: ``reads`` in all."""

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "tile": range(config.acc_depth),
                "tiles": range(config.acc_depth + 1),
                "rows": range(config.rows + 1),
                "reads": range(config.acc_depth * config.rows + 1),
            }
        )


class DrainedTile(data.StructLayout):
    """A tile of a row.

    Members
    -------
    acc : array of ``cols`` signed ``acc_bits``
        Accumulators.
    row_ends : 1
        It is its row's last tile.
    final : 1
        It is the order's last tile.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "acc": data.ArrayLayout(signed(config.acc_bits), config.cols),
                "row_ends": 1,
                "final": 1,
            }
        )


class DrainPort(wiring.Signature):
    """Accumulators to read, as the front orders them.

    Members
    -------
    start : ``Out(1)``
        Begin; only when the last tile of the order before has left the drain.
    order : ``Out(DrainOrder)``
        What to read, in the cycle of :attr:`start` and in the one before.
    reading : ``In(1)``
        Accumulators of the order are still to be read.
    """

    def __init__(self, config: EngineConfig):
        super().__init__({"start": Out(1), "order": Out(DrainOrder(config)), "reading": In(1)})


class SlotPort(wiring.Signature):
    """Slots of the array in which accumulators can be read, as the drain sees them.

    Members
    -------
    request : ``Out(1)``
        A slot is wanted.
    grant : ``In(1)``
        This cycle's slot is the drain's; only with :attr:`request`.
    tile, row : ``Out(tile_bits)``, ``Out(row_bits)``
        What is read in the slot that was granted in the cycle before.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "request": Out(1),
                "grant": In(1),
                "tile": Out(tile_bits(config)),
                "row": Out(row_bits(config)),
            }
        )


class _Place(wiring.Component):
    """Count an order's tiles, row after row.

    ``one_tile`` and ``one_row`` say in the cycle of ``start`` that the order has one tile a row, or
    one row.
    """

    start: Signal
    order: Any
    one_tile: Signal
    one_row: Signal
    step: Signal
    tile: Signal
    row: Signal
    row_ends: Signal
    final: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "order": In(DrainOrder(config)),
                "one_tile": In(1),
                "one_row": In(1),
                "step": In(1),
                "tile": Out(tile_bits(config)),
                "row": Out(row_bits(config)),
                "row_ends": Out(1),
                "final": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        left = Signal.like(self.order.tiles)
        rows_left = Signal.like(self.order.rows)
        order = Signal(DrainOrder(self.config))
        single = Signal()  # a row is one tile
        with m.If(self.step):
            m.d.sync += [
                self.tile.eq(self.tile + 1),
                left.eq(left - 1),
                self.row_ends.eq(left == 2),
            ]
            with m.If(self.row_ends):
                m.d.sync += [
                    self.tile.eq(order.tile),
                    left.eq(order.tiles),
                    self.row_ends.eq(single),
                    self.row.eq(self.row + 1),
                    rows_left.eq(rows_left - 1),
                    self.final.eq(rows_left == 2),
                ]
        with m.If(self.start):
            m.d.sync += [
                order.eq(self.order),
                single.eq(self.one_tile),
                self.tile.eq(self.order.tile),
                left.eq(self.order.tiles),
                self.row_ends.eq(self.one_tile),
                self.row.eq(0),
                rows_left.eq(self.order.rows),
                self.final.eq(self.one_row),
            ]

        return m


class Drain(wiring.Component):
    """Read one tile a cycle while slots are granted.

    The first slot is requested :func:`~summand.isa.structure.drain_rest` cycles after the one
    behind the order.
    The rows' answers cannot be held up, so a slot is only requested while the FIFO has room for the
    answer.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    orders : ``In(DrainPort)``
        What to read.
    slots : ``Out(SlotPort)``
        Slots to read in.
    result : ``In(Result)``
        Tiles that come back from the rows.
    o : ``Out(stream.Signature(DrainedTile))``
        The same tiles, row after row.
    """

    o: stream.Interface

    orders: Any
    slots: Any
    result: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "orders": In(DrainPort(config)),
                "slots": Out(SlotPort(config)),
                "result": In(Result(config)),
                "o": Out(stream.Signature(DrainedTile(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        orders, slots = self.orders, self.slots

        room = drain_room(cfg)
        free = Signal(range(room + 1), init=room)
        taken = Signal()
        m.d.comb += taken.eq(self.o.valid & self.o.ready)
        freed = Signal()
        some = Signal(init=1)  # free != 0; a register, because `grant` comes late in its cycle
        m.d.sync += [
            freed.eq(taken),
            free.eq(free - slots.grant + freed),
            some.eq(freed | Mux(slots.grant, free > 1, some)),
        ]

        one_tile, one_row = Signal(), Signal()
        m.d.sync += [one_tile.eq(orders.order.tiles == 1), one_row.eq(orders.order.rows == 1)]
        asks = orders.reading & some
        begun = orders.start
        for n in range(drain_rest(cfg)):
            begun = delayed(m, begun, 1, f"begun_{n}")
            asks = asks & ~begun
        # `grant` comes late in its cycle, so the place follows a cycle later.
        m.submodules.left = left = CountDown(len(orders.order.reads))
        m.submodules.asked = asked = _Place(cfg)
        m.d.sync += asked.step.eq(slots.grant)
        m.d.comb += [
            left.start.eq(orders.start),
            left.value.eq(orders.order.reads),
            left.step.eq(slots.grant),
            orders.reading.eq(~left.none),
            slots.request.eq(asks),
            slots.tile.eq(asked.tile),
            slots.row.eq(asked.row),
        ]

        m.submodules.fifo = fifo = CountedFifo(drain_memory(cfg))
        m.submodules.answered = answered = _Place(cfg)
        m.d.comb += [
            fifo.write.eq(self.result.valid),
            fifo.data.eq(
                Cat(self.result.acc, answered.row_ends, answered.row_ends & answered.final)
            ),
            fifo.o.ready.eq(self.o.ready),
            answered.step.eq(self.result.valid),
            self.o.valid.eq(fifo.o.valid),
            self.o.payload.as_value().eq(fifo.o.payload),
        ]
        for place in (asked, answered):
            m.d.comb += [
                place.start.eq(orders.start),
                place.order.eq(orders.order),
                place.one_tile.eq(one_tile),
                place.one_row.eq(one_row),
            ]

        return m
