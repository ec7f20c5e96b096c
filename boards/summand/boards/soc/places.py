"""Where a SoC has an engine: what LiteX writes down of its bus."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from summand.isa import SummandError

__all__ = ["DMA", "RECEIVED", "SENT", "EnginePlaces"]

#: What follows an engine's name in those of its DMA and its buffers.
DMA, SENT, RECEIVED = "_dma", "_sent", "_received"


@dataclass(frozen=True, kw_only=True)
class EnginePlaces:
    """Addresses on a SoC's bus.

    Parameters
    ----------
    registers : int
        The engine's registers.
    sent, received : int
        Buffers of what goes to the engine, and of what comes from it.
    buffer_bytes : int
        Bytes of each.
    dma : dict of str to int
        The DMA's registers, such as ``reader_base``.
    """

    registers: int
    sent: int
    received: int
    buffer_bytes: int
    dma: dict[str, int]

    @classmethod
    def load(cls, path: str | Path, name: str = "summand") -> "EnginePlaces":
        """Read the ``csr.json`` that LiteX's builder writes.

        Raises
        ------
        SummandError
            If it cannot be read, or is not of a SoC with such an engine.
        """
        try:
            return cls.of(json.loads(Path(path).read_text(encoding="utf-8")), name)
        except (OSError, ValueError, TypeError, KeyError) as e:
            raise SummandError(
                f"{path} is not the csr.json of a SoC with an engine {name!r} of add_summand: "
                f"{type(e).__name__}: {e}"
            ) from None

    @classmethod
    def of(cls, found: dict[str, Any], name: str = "summand") -> "EnginePlaces":
        """Take them from the contents of ``csr.json``."""
        memories, prefix = found["memories"], f"{name}{DMA}_"
        return cls(
            registers=memories[name]["base"],
            sent=memories[name + SENT]["base"],
            received=memories[name + RECEIVED]["base"],
            buffer_bytes=min(memories[name + which]["size"] for which in (SENT, RECEIVED)),
            dma={
                register.removeprefix(prefix): place["addr"]
                for register, place in found["csr_registers"].items()
                if register.startswith(prefix)
            },
        )
