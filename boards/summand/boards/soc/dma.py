"""A SoC's bus to an engine's streams and back, by LiteX's DMA."""

from litex.gen import LiteXModule
from litex.soc.cores.dma import WishboneDMAReader, WishboneDMAWriter
from litex.soc.interconnect import wishbone
from litex.soc.interconnect.csr import CSRStatus

from summand.boards.soc.engine import SummandEngine

__all__ = ["EngineDma"]


class EngineDma(LiteXModule):
    """Bring beats from a SoC's memory to an engine, and its packets to that memory.

    A transfer begins when ``enable`` of its half is set, with ``base`` and ``length`` in bytes, and
    is over until ``enable`` has been cleared. One to the engine has ended when ``taken`` is set,
    which is when the engine has all of it; cleared before, ``enable`` drops the rest. One from
    the engine has ended when ``done`` is: after a packet's last beat, or when ``length`` bytes
    have come. ``offset`` says how many beats did.

    Parameters
    ----------
    engine : SummandEngine
        The engine.
    address_bits : int
        Of an address on the SoC's bus.

    Attributes
    ----------
    reader : WishboneDMAReader
        To the engine; its ``bus`` is as wide as a beat.
    writer : WishboneDMAWriter
        From it, in the same way.
    """

    def __init__(self, engine: SummandEngine, *, address_bits: int):
        bits = engine.config.stream_bits

        def bus() -> wishbone.Interface:
            return wishbone.Interface(
                data_width=bits, address_width=address_bits, addressing="word"
            )

        # What LiteX calls big leaves the bytes of a word as they are.
        self.reader = reader = WishboneDMAReader(bus(), endianness="big", with_csr=True)
        self.writer = writer = WishboneDMAWriter(bus(), endianness="big")
        writer.add_ctrl(ready_on_idle=0)
        writer.add_csr()
        self._taken = CSRStatus()

        # # #

        self.comb += [
            engine.sink.data.eq(reader.source.data),
            engine.sink.valid.eq(reader.source.valid & reader.enable),
            reader.source.ready.eq(engine.sink.ready | ~reader.enable),
            self._taken.status.eq(reader.done & ~reader.source.valid),
            engine.source.connect(writer.sink),
        ]
