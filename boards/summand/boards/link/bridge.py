"""Register accesses of the link, as AXI4-Lite."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.boards.link.listener import RegisterAccess
from summand.rtl.registers import AxiLite

__all__ = ["RegisterBridge"]


class RegisterBridge(wiring.Component):
    """Carry out one register access at a time on an AXI4-Lite bus.

    A refused access ends like any other: a read gives what the bus gave with it.

    Members
    -------
    access : ``In(RegisterAccess())``
        Accesses.
    bus : ``Out(AxiLite())``
        The bus.
    """

    access: Any
    bus: Any

    def __init__(self):
        super().__init__({"access": In(RegisterAccess()), "bus": Out(AxiLite())})

    def elaborate(self, platform):
        m = Module()
        access, bus = self.access, self.bus

        m.d.comb += [
            bus.awaddr.eq(access.offset),
            bus.araddr.eq(access.offset),
            bus.wdata.eq(access.data),
            bus.wstrb.eq(0b1111),
            bus.bready.eq(1),
            bus.rready.eq(1),
            access.value.eq(Mux(access.write, 0, bus.rdata)),
            access.done.eq(bus.bvalid | bus.rvalid),
        ]
        for valid, ready in (
            (bus.awvalid, bus.awready),
            (bus.wvalid, bus.wready),
            (bus.arvalid, bus.arready),
        ):
            with m.If(ready):
                m.d.sync += valid.eq(0)
        with m.If(access.strobe):
            with m.If(access.write):
                m.d.sync += [bus.awvalid.eq(1), bus.wvalid.eq(1)]
            with m.Else():
                m.d.sync += bus.arvalid.eq(1)

        return m
