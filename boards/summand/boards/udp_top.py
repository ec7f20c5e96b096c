"""An engine behind a UDP port: the gateware of a board without its Ethernet."""

from dataclasses import dataclass
from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, flipped

from summand.boards.link.datagram_receiver import DatagramReceiver
from summand.boards.link.datagram_sender import DatagramSender
from summand.boards.link.datagrams import (
    DATAGRAM_BYTES,
    DATAGRAM_HEADER_BYTES,
    longest_frame,
)
from summand.boards.link.link import LinkConfig
from summand.boards.link.udp_port import UdpSink, UdpSource
from summand.boards.linked import linked
from summand.boards.top_memory import TopMemory
from summand.isa import ConfigError, EngineConfig
from summand.rtl.feeds.hosted import HostedEngine

__all__ = ["UdpLinkConfig", "UdpTop"]


@dataclass(frozen=True, kw_only=True)
class UdpLinkConfig(LinkConfig):
    """Sizes of the buffers of a link over UDP, bytes.

    Those of both directions hold what a datapath of a byte a cycle carries at 75 MHz in a fifth of
    a millisecond. A frame of ``frame_bytes``, all of them escapes, must fit in a datagram.
    """

    receive_bytes: int = 16384
    transmit_bytes: int = 16384
    frame_bytes: int = 640

    def __post_init__(self):
        super().__post_init__()
        room = DATAGRAM_BYTES - DATAGRAM_HEADER_BYTES
        if longest_frame(self.frame_bytes) > room:
            raise ConfigError(
                f"frame_bytes must be at most {(room - longest_frame(0)) // 2}, not "
                f"{self.frame_bytes}, so that every frame fits in a datagram"
            )


class UdpTop(wiring.Component):
    """An engine, its registers and the gateware's end of the link, on a port of LiteEth's. ::

        source > DatagramReceiver >        > ByteFeed       > HostedEngine
                                    Link   > RegisterBridge >
        sink   < DatagramSender   <        < ByteFeed       <

    With a memory there are its player and its port, as in a
    :class:`~summand.boards.memory_top.MemoryTop`.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine's sizes. Its stream may be of any width: beats are put together from bytes.
    link : :class:`UdpLinkConfig`
        Sizes of the link's buffers. As many bytes of datagrams as it receives wait in front of it.
    memory : :class:`~summand.boards.top_memory.TopMemory`, optional
        The engine's memory.

    Members
    -------
    clk, rst : ``In(1)``
        Clock, and reset, synchronous.
    source_... : members of ``In(UdpSource())``
        Datagrams that arrive, by LiteEth's names.
    sink_... : members of ``Out(UdpSink())``
        Datagrams to be sent.
    native, control
        With a memory: those of :attr:`~summand.boards.top_memory.TopMemory.members`.
    """

    clk: Signal
    rst: Signal
    native: Any
    control: Any

    def __init__(
        self, config: EngineConfig, *, link: UdpLinkConfig, memory: TopMemory | None = None
    ):
        self.config = config
        self.link = link
        self.memory = memory
        source = {f"source_{name}": m.flip() for name, m in UdpSource().members.items()}
        sink = {f"sink_{name}": m for name, m in UdpSink().members.items()}
        more = memory.members if memory else {}
        super().__init__({"clk": In(1), "rst": In(1), **source, **sink, **more})

    def elaborate(self, platform):
        m = Module()

        domain: Any = ClockDomain("sync", local=True)
        domain.clk = self.clk
        m.domains += domain
        m.submodules.receiver = receiver = DatagramReceiver(self.link.receive_bytes)
        m.submodules.sender = sender = DatagramSender(self.link.frame_bytes)
        line: dict[str, Any] = {"heard": receiver.o, "said": sender.i}
        if self.memory:
            hosted = self.memory.engine(self.config)
            link = linked(m, hosted, self.link, **line, control=flipped(self.control))
            self.memory.join(m, hosted, self.native)
        else:
            link = linked(m, HostedEngine(self.config), self.link, **line)

        m.d.comb += [
            ResetSignal().eq(self.rst),
            sender.cut.eq(link.reset),
            sender.line.eq(receiver.line),
            sender.begins.eq(receiver.begins),
        ]
        for name, member in UdpSource().members.items():
            pin, inner = getattr(self, f"source_{name}"), getattr(receiver.source, name)
            m.d.comb += inner.eq(pin) if member.flow is Out else pin.eq(inner)
        for name, member in UdpSink().members.items():
            pin, inner = getattr(self, f"sink_{name}"), getattr(sender.sink, name)
            m.d.comb += pin.eq(inner) if member.flow is Out else inner.eq(pin)

        return m
