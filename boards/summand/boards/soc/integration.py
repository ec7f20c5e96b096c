"""An engine in a SoC, and all that a host needs of it on the SoC's bus."""

from pathlib import Path
from typing import Any

from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import wishbone

from summand.boards.soc.dma import EngineDma
from summand.boards.soc.engine import SummandEngine
from summand.boards.soc.places import DMA, RECEIVED, SENT
from summand.boards.soc.region import DramRegion
from summand.isa import ConfigError, EngineConfig
from summand.rtl.registers import ADDRESS_BITS
from summand.rtl.technology import Technology

__all__ = ["add_summand"]


def add_summand(
    soc: Any,
    config: EngineConfig,
    *,
    name: str = "summand",
    origin: int = 0x9000_0000,
    memory: DramRegion | None = None,
    buffer_bytes: int = 4096,
    technology: Technology = Technology.GENERIC,
    folder: str | Path = "build/summand",
) -> SummandEngine:
    """Put an engine into a SoC: registers, two buffers and a DMA between these and its streams.

    Any master of the bus can drive it then, as :class:`~summand.runtime.litex.LitexDevice` does.

    Parameters
    ----------
    soc : SoC
        The SoC, before it is finalised.
    config, memory, technology, folder
        As for :class:`~summand.boards.soc.engine.SummandEngine`.
    name : str
        Of the registers' region. What else belongs to it has names that begin so.
    origin : int
        Address of the registers, a multiple of ``buffer_bytes``. The buffers follow. No cache of
        the SoC's may hold any of it.
    buffer_bytes : int
        Size of each buffer, a power of two, at least 256. They are block RAM.

    Raises
    ------
    ConfigError
        As :class:`~summand.boards.soc.engine.SummandEngine`, or for one of these.
    """
    if buffer_bytes < 1 << ADDRESS_BITS or buffer_bytes & (buffer_bytes - 1):
        raise ConfigError(
            f"buffer_bytes must be a power of two, at least {1 << ADDRESS_BITS}, not {buffer_bytes}"
        )
    if (soc.csr.data_width, soc.csr.ordering) != (32, "big"):
        raise ConfigError(
            f"the SoC's CSRs must have 32 bits and the big ordering, which are LiteX's defaults, "
            f"not {soc.csr.data_width} bits and {soc.csr.ordering}"
        )
    if origin % buffer_bytes:
        raise ConfigError(
            f"origin must be a multiple of buffer_bytes, {buffer_bytes:#x}, not {origin:#x}"
        )
    engine = SummandEngine(
        soc.platform,
        config,
        memory=memory,
        technology=technology,
        module=f"{name}_engine",
        folder=folder,
    )
    dma = EngineDma(engine, address_bits=soc.bus.address_width)
    soc.add_module(name=name, module=engine)
    soc.add_module(name=name + DMA, module=dma)
    engine.add_registers(soc, name, origin)
    halves = ((dma.reader, SENT), (dma.writer, RECEIVED))
    for place, (half, which) in enumerate(halves, 1):
        bus = wishbone.Interface(data_width=32, address_width=32, addressing="word")
        buffer = wishbone.SRAM(buffer_bytes, bus=bus, name=name + which)
        soc.add_module(name=f"{name}{which}_buffer", module=buffer)
        at = origin + place * buffer_bytes
        soc.bus.add_slave(name + which, bus, SoCRegion(origin=at, size=buffer_bytes, cached=False))
        soc.bus.add_master(f"{name}{which}_dma", half.bus)
    return engine
