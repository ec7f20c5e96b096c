"""Engines as IP blocks beside LiteDRAM: AXI4-Stream and AXI4-Lite, a memory on a native port."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import ConfigError, EngineConfig
from summand.rtl.feeds.axi import AxiTop
from summand.rtl.feeds.played import PlayedEngine
from summand.rtl.memory.native import NativeMemory, NativePort

__all__ = ["NATIVE_MODULE", "NativeEngine", "check_memory", "native_members"]

#: Name of the top module in the Verilog that is generated.
NATIVE_MODULE = "summand_native"

_MEMORY = "m_native_"


def native_members(native: NativePort) -> dict[str, wiring.Member]:
    """Return the members of a :class:`NativeEngine` that lead to its memory.

    Behind ``m_native_`` they have the names of LiteDRAM, such as ``cmd_valid``.
    """
    ports = {
        "cmd_valid": Out(1),
        "cmd_ready": In(1),
        "cmd_we": Out(1),
        "cmd_addr": Out(native.address_bits),
        "wdata_valid": Out(1),
        "wdata_ready": In(1),
        "wdata_we": Out(native.word_bits // 8),
        "wdata_data": Out(native.word_bits),
        "rdata_valid": In(1),
        "rdata_ready": Out(1),
        "rdata_data": In(native.word_bits),
    }
    return {_MEMORY + name: member for name, member in ports.items()}


def check_memory(config: EngineConfig, *, memory_beats: int, native: NativePort) -> None:
    """Refuse a memory that ``config``'s engine cannot have behind a port.

    Raises
    ------
    ConfigError
        If beats are no 1, 2, 4, ... words, or the port does not reach the memory's end.
    """
    most = min((1 << native.address_bits) // native.words(config.stream_bits), (1 << 32) - 1)
    if not 1 <= memory_beats <= most:
        raise ConfigError(
            f"memory_beats must be 1 to {most} of {config.stream_bits} bits each behind this port, "
            f"not {memory_beats}"
        )


class NativeEngine(AxiTop):
    """An :class:`~summand.rtl.feeds.axi.AxiEngine` with a player, whose memory is LiteDRAM's.

    ``s_axis`` brings items. The memory begins at the port's first word. A soft reset ends when no
    access to it is under way any more.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.
    memory_beats : int
        The memory's size, at most ``2**32 - 1``.
    native : :class:`~summand.rtl.memory.native.NativePort`
        Sizes of the controller's port.

    Members
    -------
    m_native_*
        The port, see :func:`native_members`. Words are written whole.

    Raises
    ------
    ConfigError
        As :func:`check_memory`.
    """

    m_native_cmd_valid: Signal
    m_native_cmd_ready: Signal
    m_native_cmd_we: Signal
    m_native_cmd_addr: Signal
    m_native_wdata_valid: Signal
    m_native_wdata_ready: Signal
    m_native_wdata_we: Signal
    m_native_wdata_data: Signal
    m_native_rdata_valid: Signal
    m_native_rdata_ready: Signal
    m_native_rdata_data: Signal

    def __init__(self, config: EngineConfig, *, memory_beats: int, native: NativePort):
        check_memory(config, memory_beats=memory_beats, native=native)
        self.memory_beats = memory_beats
        self.native = native
        super().__init__(config, native_members(native))

    def elaborate(self, platform):
        m = Module()

        hosted = PlayedEngine(self.config, self.memory_beats)
        self.joined(m, hosted)
        m.submodules.memory = memory = NativeMemory(
            stream_bits=self.config.stream_bits, native=self.native
        )
        wiring.connect(m, hosted.memory, memory.port)
        native: Any = memory.native
        m.d.comb += [
            self.m_native_cmd_valid.eq(native.cmd.valid),
            native.cmd.ready.eq(self.m_native_cmd_ready),
            self.m_native_cmd_we.eq(native.cmd.payload.we),
            self.m_native_cmd_addr.eq(native.cmd.payload.addr),
            self.m_native_wdata_valid.eq(native.wdata.valid),
            native.wdata.ready.eq(self.m_native_wdata_ready),
            self.m_native_wdata_we.eq(~0),
            self.m_native_wdata_data.eq(native.wdata.payload),
            native.rdata.valid.eq(self.m_native_rdata_valid),
            self.m_native_rdata_ready.eq(native.rdata.ready),
            native.rdata.payload.eq(self.m_native_rdata_data),
        ]

        return m
