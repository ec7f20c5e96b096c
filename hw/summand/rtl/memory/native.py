"""A memory behind LiteDRAM's native port."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from summand.isa import ConfigError
from summand.rtl.memory.native_reads import NativeReads
from summand.rtl.memory.native_writes import NativeWrites
from summand.rtl.memory.port import MemoryPort

__all__ = ["NativeCommand", "NativeMemory", "NativePort"]


class NativeCommand(data.StructLayout):
    """A word to read or to write.

    Members
    -------
    we : 1
        It is written.
    addr : ``address_bits``
        Which word.
    """

    def __init__(self, address_bits: int):
        super().__init__({"we": 1, "addr": address_bits})


class NativePort(wiring.Signature):
    """LiteDRAM's native port, as the one who uses it sees it.

    Commands are carried out in order. The controller takes a word to write, and brings a word that
    it has read, some cycles after their commands, whether or not the user is ready for it.

    Parameters
    ----------
    address_bits : int
        Width of a word's address.
    word_bits : int
        Width of a word.

    Members
    -------
    cmd : ``Out(stream.Signature(NativeCommand(address_bits)))``
        Commands.
    wdata : ``Out(stream.Signature(word_bits))``
        What is written, whole words.
    rdata : ``In(stream.Signature(word_bits))``
        What was read. It is always ready.
    """

    def __init__(self, *, address_bits: int, word_bits: int):
        self.address_bits = address_bits
        self.word_bits = word_bits
        super().__init__(
            {
                "cmd": Out(stream.Signature(NativeCommand(address_bits))),
                "wdata": Out(stream.Signature(word_bits)),
                "rdata": In(stream.Signature(word_bits)),
            }
        )

    def words(self, stream_bits: int) -> int:
        """Return how many words a beat of ``stream_bits`` is.

        Raises
        ------
        ConfigError
            If that is no power of two.
        """
        words = stream_bits // self.word_bits
        if words * self.word_bits != stream_bits or words & (words - 1) or not words:
            raise ConfigError(
                f"a beat must be 1, 2, 4, ... words of the memory's port: stream_bits is "
                f"{stream_bits}, a word {self.word_bits} bits"
            )
        return words


class NativeMemory(wiring.Component):
    """Offer a native port as a memory of beats. Reading, it asks for a word a cycle.

    Beats lie in the memory one after the other, their lowest word first. A beat can be taken three
    cycles after its last word has come. Nothing is refused.

    Parameters
    ----------
    stream_bits : int
        Width of a beat: that of the port's words, or a multiple by a power of two.
    native : :class:`NativePort`
        The port.

    Members
    -------
    port : ``In(MemoryPort(stream_bits))``
        The memory of beats.
    native : ``Out(native)``
        What it lies in.

    Raises
    ------
    ConfigError
        If beats are no such multiple of words.
    """

    port: Any
    native: Any

    def __init__(self, *, stream_bits: int, native: NativePort):
        native.words(stream_bits)
        self.stream_bits = stream_bits
        super().__init__({"port": In(MemoryPort(stream_bits)), "native": Out(native)})

    def elaborate(self, platform):
        m = Module()

        native, port = self.native, self.port
        sizes = {
            "stream_bits": self.stream_bits,
            "address_bits": native.signature.address_bits,
            "word_bits": native.signature.word_bits,
        }
        m.submodules.reads = reads = NativeReads(**sizes)
        m.submodules.writes = writes = NativeWrites(**sizes)
        connect(m, wiring.flipped(port.reads), reads.reads)
        connect(m, reads.beats, wiring.flipped(port.beats))
        connect(m, wiring.flipped(port.writes), writes.writes)
        connect(m, wiring.flipped(port.data), writes.data)
        connect(m, writes.words, wiring.flipped(native.wdata))
        connect(m, wiring.flipped(native.rdata), reads.words)
        m.d.comb += [
            port.idle.eq(reads.idle & writes.idle),
            *(half.abort.eq(port.abort) for half in (reads, writes)),
        ]

        # Writes come first: after each its half waits, so they leave cycles to reads.
        advance = ~native.cmd.valid | native.cmd.ready
        m.d.comb += [
            writes.asked.eq(advance & writes.wanted),
            reads.asked.eq(advance & reads.wanted & ~writes.wanted),
        ]
        with m.If(advance):
            m.d.sync += [
                native.cmd.valid.eq(writes.wanted | reads.wanted),
                native.cmd.payload.we.eq(writes.wanted),
                native.cmd.payload.addr.eq(Mux(writes.wanted, writes.address, reads.address)),
            ]

        return m
