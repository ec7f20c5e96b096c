"""A row's activation memory, and the staging registers that the element reads."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.latencies import ACTIVATION_LATENCY
from summand.isa.structure import activation_memory
from summand.isa.widths import act_addr_bits
from summand.rtl.ram import BlockRam

__all__ = ["Activations", "Fill"]


class Fill(data.StructLayout):
    """Read a word of activations into the staging registers.

    Members
    -------
    valid : 1
        Read.
    addr : ``act_addr_bits``
        Address of the word; its low bits name the part of the staging registers that it goes to.
    """

    def __init__(self, config: EngineConfig):
        super().__init__({"valid": 1, "addr": act_addr_bits(config)})


class Activations(wiring.Component):
    """Keep a row's activations, and bring those of one pass to the element.

    A pass covers ``depth / table_share`` activations, which are whole words of the memory.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    write : ``In(1)``
        Write :attr:`data` at :attr:`addr`.
    addr : ``In(act_addr_bits)``
        Address of the word that is written.
    data : ``In(stream_bits)``
        A beat of the stream.
    fill : ``In(Fill)``
        Word to read; it is in :attr:`x` :attr:`LATENCY` cycles later.
    x : ``Out(array of depth / table_share signed act_bits)``
        The staging registers.
    """

    #: Cycles from ``fill`` to ``x``.
    LATENCY = ACTIVATION_LATENCY

    write: Signal
    addr: Signal
    data: Signal
    fill: Any
    x: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "write": In(1),
                "addr": In(act_addr_bits(config)),
                "data": In(config.stream_bits),
                "fill": In(Fill(config)),
                "x": Out(
                    data.ArrayLayout(signed(config.act_bits), config.depth // config.table_share)
                ),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        elem = cfg.elem_bits
        words = element(cfg).pass_words(cfg)
        m.submodules.memory = memory = BlockRam.of(activation_memory(cfg))
        m.d.comb += [
            memory.write_en.eq(self.write),
            memory.write_addr.eq(self.addr),
            memory.write_data.eq(
                Cat(self.data[i * elem : i * elem + cfg.act_bits] for i in range(cfg.beat_elems))
            ),
            memory.read_en.eq(1),
            memory.read_addr.eq(self.fill.addr),
        ]

        bits = self.x.as_value()
        width = len(memory.read_data)
        part = self.fill.addr[: ceil_log2(words)]
        for w in range(words):
            came = Signal(BlockRam.LATENCY, name=f"came_{w}")
            m.d.sync += came.eq(Cat(self.fill.valid & (part == w), came))
            with m.If(came[-1]):
                m.d.sync += bits[w * width : (w + 1) * width].eq(memory.read_data)

        return m
