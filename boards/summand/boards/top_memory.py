"""What a board's top has besides where its engine has a memory."""

from dataclasses import dataclass
from typing import Any

from amaranth import *
from amaranth.lib.wiring import Out, connect, flipped

from summand.boards.dram.gateware import ControlPort
from summand.isa import EngineConfig
from summand.rtl.feeds.played import PlayedEngine
from summand.rtl.memory.native import NativeMemory, NativePort

__all__ = ["TopMemory"]


@dataclass(frozen=True, kw_only=True)
class TopMemory:
    """A memory whose controller is outside of the top, on the same clock.

    Parameters
    ----------
    bytes : int
        Its size.
    native : NativePort
        Sizes of the controller's port.
    """

    bytes: int
    native: NativePort

    @property
    def members(self) -> dict[str, Any]:
        """Members of the top: the controller's port ``native``, and ``control``, its registers."""
        return {"native": Out(self.native), "control": Out(ControlPort())}

    def engine(self, config: EngineConfig) -> PlayedEngine:
        """Return an engine that plays the memory."""
        return PlayedEngine(config, self.bytes // config.beat_bytes)

    def join(self, m: Module, hosted: PlayedEngine, native: Any) -> None:
        """Put what makes beats of the port's words between an engine and the top's ``native``.

        Adds the submodule ``memory``.
        """
        m.submodules.memory = memory = NativeMemory(
            stream_bits=hosted.config.stream_bits, native=native.signature
        )
        connect(m, hosted.memory, memory.port)
        connect(m, memory.native, flipped(native))
