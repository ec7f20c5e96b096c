"""Registers in gateware, from the maps of :mod:`summand.isa.registers`."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from summand.isa import EngineConfig
from summand.isa.registers import (
    IDENTITY,
    REGISTERS,
    STREAM_VERSION,
    Access,
    Register,
)
from summand.rtl.mux import choose

__all__ = [
    "ADDRESS_BITS",
    "AxiLite",
    "RegisterBank",
    "connect_engine",
    "connect_player",
    "identity",
]

#: Width of a byte address on the register bus.
ADDRESS_BITS = 8

_OKAY, _SLVERR = 0, 2


class AxiLite(wiring.Signature):
    """An AXI4-Lite port with 32-bit data and no protection bits, as its initiator sees it."""

    def __init__(self):
        super().__init__(
            {
                "awaddr": Out(ADDRESS_BITS),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(ADDRESS_BITS),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class RegisterBank(wiring.Component):
    """Serve the register map on AXI4-Lite.

    Address and data of a write may come in either order. One read and one write are in progress
    at a time; a read is answered in the cycle after its address, a write three cycles after the
    later of address and data. The two lowest address bits are ignored. An access to an unknown
    offset and a write to a read-only register get ``SLVERR``, change nothing and read 0.

    Parameters
    ----------
    registers : tuple of :class:`~summand.isa.registers.Register`
        The map, from offset 0 on without gaps.

    Members
    -------
    bus : ``In(AxiLite())``
        The bus.
    value : one ``In(32)`` for each read-only register, by name
        The register's value.
    pulse : one ``Out(1)`` for each action register, by name
        High for one cycle after a 1 was written to bit 0, in the cycle before ``bvalid``.
    kept : one ``Out(32)`` for each register that keeps what is written, by name
        What was written last.
    """

    bus: Any
    value: Any
    pulse: Any
    kept: Any

    def __init__(self, registers: tuple[Register, ...] = REGISTERS):
        self.registers = registers
        readable = {r.name: In(32) for r in registers if r.access is Access.RO}
        actions = {r.name: Out(1) for r in registers if r.access is Access.PULSE}
        kept = {r.name: Out(32) for r in registers if r.access is Access.RW}
        super().__init__(
            {
                "bus": In(AxiLite()),
                "value": In(wiring.Signature({k: Out(v.shape) for k, v in readable.items()})),
                "pulse": Out(wiring.Signature(actions)),
                "kept": Out(wiring.Signature(kept)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._elaborate_read(m)
        self._elaborate_write(m)
        return m

    def _elaborate_read(self, m: Module) -> None:
        bus = self.bus
        m.d.comb += bus.arready.eq(~bus.rvalid)
        with m.If(bus.rvalid):
            m.d.sync += bus.rvalid.eq(~bus.rready)
        with m.Elif(bus.arvalid):
            m.d.sync += bus.rvalid.eq(1)
        index = bus.araddr[2:]
        slots = 1 << ceil_log2(len(self.registers))
        words: list[Value] = [Const(0, 32)] * slots
        for register in self.registers:
            if register.access is Access.RO:
                words[register.offset // 4] = getattr(self.value, register.name)
            elif register.access is Access.RW:
                words[register.offset // 4] = getattr(self.kept, register.name)
        word = choose(m, Cat(words), index[: ceil_log2(slots)], 32)
        known = index < len(self.registers)
        with m.If(~bus.rvalid):
            m.d.sync += [
                bus.rdata.eq(Mux(known, word, 0)),
                bus.rresp.eq(Mux(known, _OKAY, _SLVERR)),
            ]

    def _elaborate_write(self, m: Module) -> None:
        bus = self.bus
        # Address and data wait here for each other, and until the last answer has been taken.
        has_address, has_data = Signal(), Signal()
        address = Signal(ADDRESS_BITS - 2)
        act = Signal()
        data = Signal(32)
        strobes = Signal(4)
        acting = Signal()  # the write takes effect in this cycle and is answered in the next
        for name in self.pulse.signature.members:
            m.d.sync += getattr(self.pulse, name).eq(0)
        m.d.comb += [bus.awready.eq(~has_address), bus.wready.eq(~has_data)]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [has_address.eq(1), address.eq(bus.awaddr[2:])]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [has_data.eq(1), act.eq(bus.wdata[0] & bus.wstrb[0])]
            if self.kept.signature.members:
                m.d.sync += [data.eq(bus.wdata), strobes.eq(bus.wstrb)]

        with m.If(bus.bvalid):
            m.d.sync += bus.bvalid.eq(~bus.bready)
        with m.Elif(acting):
            m.d.sync += [acting.eq(0), has_address.eq(0), has_data.eq(0), bus.bvalid.eq(1)]
        with m.Elif(has_address & has_data):
            m.d.sync += [acting.eq(1), bus.bresp.eq(_SLVERR)]
            with m.Switch(address):
                for register in self.registers:
                    if register.access is Access.PULSE:
                        with m.Case(register.offset // 4):
                            m.d.sync += bus.bresp.eq(_OKAY)
                            m.d.sync += getattr(self.pulse, register.name).eq(act)
                    elif register.access is Access.RW:
                        kept = getattr(self.kept, register.name)
                        with m.Case(register.offset // 4):
                            m.d.sync += bus.bresp.eq(_OKAY)
                            for n, byte in enumerate(strobes):
                                with m.If(byte):
                                    m.d.sync += kept.word_select(n, 8).eq(data.word_select(n, 8))


def identity(config: EngineConfig) -> dict[str, int]:
    """Return the registers that identify an engine of ``config``, and their values."""
    digest = int(config.digest, 16)
    return {
        "identity": IDENTITY,
        "version": STREAM_VERSION,
        "digest_lo": digest & 0xFFFFFFFF,
        "digest_hi": digest >> 32,
    }


def connect_engine(m: Module, bank: RegisterBank, engine: Any) -> None:
    """Show an :class:`~summand.rtl.engine.Engine` in the registers of ``bank``."""
    counters = {name: engine.counters[name] for name in engine.counters.shape().members}
    status = Cat(engine.busy, C(0, 7), engine.error)
    values = {**identity(engine.config), "status": status, "commands": engine.commands}
    for name, value in {**values, **counters}.items():
        m.d.comb += getattr(bank.value, name).eq(value)


def connect_player(m: Module, bank: RegisterBank, player: Any) -> None:
    """Show a :class:`~summand.rtl.player.player.Player` in the registers of ``bank``."""
    values = {
        "player_status": Cat(player.busy, ~player.memory.idle, C(0, 6), player.error),
        "player_items": player.items,
        "player_crc": player.crc,
        "memory_beats": C(player.memory_beats, 32),
    }
    for name, value in values.items():
        m.d.comb += getattr(bank.value, name).eq(value)
