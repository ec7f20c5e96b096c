"""The way from a link's registers to those of a memory controller."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.boards.dram.gateware import ControlPort
from summand.boards.link.listener import RegisterAccess
from summand.isa.registers import register

__all__ = ["ControlBridge"]


class ControlBridge(wiring.Component):
    """Carry out accesses of ``control_address`` and ``control_data``; pass the others on.

    Members
    -------
    access : ``In(RegisterAccess())``
        Accesses.
    others : ``Out(RegisterAccess())``
        Those of all other registers.
    control : ``Out(ControlPort())``
        The controller's registers.
    """

    access: Any
    others: Any
    control: Any

    def __init__(self):
        super().__init__(
            {
                "access": In(RegisterAccess()),
                "others": Out(RegisterAccess()),
                "control": Out(ControlPort()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        access, others, control = self.access, self.others, self.control

        address = Signal(32)
        named = Signal()  # the access is of `control_address`
        wanted = Signal()  # the access is of `control_data`
        m.d.comb += [
            named.eq(access.offset == register("control_address").offset),
            wanted.eq(access.offset == register("control_data").offset),
            others.strobe.eq(access.strobe & ~named & ~wanted),
            others.write.eq(access.write),
            others.offset.eq(access.offset),
            others.data.eq(access.data),
            control.adr.eq(address >> 2),
            control.dat_w.eq(access.data),
            control.we.eq(access.write),
            control.stb.eq(control.cyc),
        ]
        with m.If(access.strobe & named & access.write):
            m.d.sync += address.eq(access.data)
        with m.If(access.strobe & wanted):
            m.d.sync += control.cyc.eq(1)
        with m.Elif(control.ack):
            m.d.sync += control.cyc.eq(0)
        with m.If(named):
            m.d.comb += [
                access.done.eq(access.strobe),
                access.value.eq(Mux(access.write, 0, address)),
            ]
        with m.Elif(wanted):
            m.d.comb += [
                access.done.eq(control.cyc & control.ack),
                access.value.eq(Mux(access.write, 0, control.dat_r)),
            ]
        with m.Else():
            m.d.comb += [access.done.eq(others.done), access.value.eq(others.value)]

        return m
