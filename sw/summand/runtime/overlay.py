"""A loaded design on the processor's own chip: an overlay, as PYNQ calls it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from summand.boards.vivado.interfaces import PLAYED_IP_MODULE
from summand.runtime.errors import DeviceError
from summand.runtime.windows import Window

__all__ = ["Buffer", "Overlay"]


class Buffer(Protocol):
    """Bytes in a row of physical memory, such as ``pynq.allocate`` gives: a NumPy array of uint8.

    The processor's caches lie between it and the AXI DMA.
    """

    device_address: int

    def flush(self) -> None:
        """Write the processor's caches back."""
        ...

    def invalidate(self) -> None:
        """Forget what the processor's caches hold of it."""
        ...

    def freebuffer(self) -> None:
        """Give the memory back."""
        ...

    def __getitem__(self, key: slice, /) -> Any:
        """Return some of the bytes."""
        ...

    def __setitem__(self, key: slice, value: Any, /) -> None:
        """Set some of the bytes."""
        ...


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """A loaded design: an engine's IP block and a stock AXI DMA in simple mode.

    Parameters
    ----------
    engine, dma : Window
        Their registers.
    allocate : callable
        Returns a :class:`Buffer` of so many bytes, at an address that is a multiple of 64, and of
        4096 where it is large.
    played : bool
        Whether the engine has a player, which takes items and plays weights from a buffer.
    """

    engine: Window
    dma: Window
    allocate: Callable[[int], Buffer]
    played: bool = False

    @classmethod
    def load(cls, bitstream: str) -> "Overlay":
        """Load a bitstream, beside which its ``.hwh`` lies, by the package pynq.

        Raises
        ------
        DeviceError
            If pynq is not installed, or the design's cells are not called ``engine`` and ``dma``.
        """
        try:
            import pynq  # pyright: ignore[reportMissingImports]  # on boards only
        except ImportError:
            raise DeviceError(
                "there is no package pynq, which loads bitstreams; run this on the board, in the "
                "environment that PYNQ's image has"
            ) from None
        cells = pynq.Overlay(bitstream).ip_dict
        if missing := {"engine", "dma"} - cells.keys():
            raise DeviceError(
                f"{bitstream} has no cell {' and '.join(sorted(missing))}; take the design of "
                f"summand generate --ip vivado, or give its cells these names"
            )
        engine, dma = (
            pynq.MMIO(cells[name]["phys_addr"], cells[name]["addr_range"])
            for name in ("engine", "dma")
        )

        def allocate(size: int) -> Buffer:
            try:
                return pynq.allocate(size, dtype="u1")
            except (MemoryError, RuntimeError) as e:
                raise DeviceError(
                    f"there are no {size:,} bytes in a row for the engine ({e}); let the kernel "
                    f"keep more, such as by cma=256M in its boot arguments, or generate the engine "
                    f"with a smaller --memory"
                ) from None

        # By its kind, because the registers of a player cannot be asked for where there is none:
        # the bus answers with an error, which ends the process.
        played = PLAYED_IP_MODULE in cells["engine"]["type"].split(":")
        return cls(engine=engine, dma=dma, allocate=allocate, played=played)
