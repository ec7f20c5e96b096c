"""Where in a SoC's DRAM an engine's weights lie."""

from dataclasses import dataclass
from typing import Any

from summand.isa import ConfigError, EngineConfig
from summand.rtl.feeds.native import check_memory
from summand.rtl.memory.native import NativePort

__all__ = ["DramRegion"]


@dataclass(frozen=True, kw_only=True)
class DramRegion:
    """A part of a SoC's DRAM that an engine's player has for itself.

    Parameters
    ----------
    port : LiteDRAMNativePort
        A port of its own, ``sdram.crossbar.get_port()``, as wide as the controller's words.
    origin : int
        Its first byte, counted from the DRAM's begin, a multiple of a word.
    size : int, optional
        Its bytes; all up to the DRAM's end if not given.

    Raises
    ------
    ConfigError
        If the port is not for reading and writing, or the DRAM has no such part.
    """

    port: Any
    origin: int = 0
    size: int | None = None

    def __post_init__(self):
        if self.port.mode != "both":
            raise ConfigError(
                f"port must be one for reading and writing, not for mode {self.port.mode!r}; take "
                f"sdram.crossbar.get_port()"
            )
        there = self._word_bytes << self.native.address_bits
        if self.origin % self._word_bytes or not 0 <= self.origin < there:
            raise ConfigError(
                f"origin must be a multiple of a word's {self._word_bytes} bytes, 0 to below "
                f"{there:#x}, where the DRAM ends, not {self.origin:#x}"
            )
        if self.size is not None and not 0 < self.size <= there - self.origin:
            raise ConfigError(
                f"size must be 1 to {there - self.origin:#x} bytes, as many as there are behind "
                f"origin, not {self.size:#x}"
            )

    @property
    def native(self) -> NativePort:
        """Sizes of the port."""
        return NativePort(address_bits=self.port.address_width, word_bits=self.port.data_width)

    @property
    def first_word(self) -> int:
        """The port's word with which it begins."""
        return self.origin // self._word_bytes

    def beats(self, config: EngineConfig) -> int:
        """Return how many beats of ``config``'s engine it holds.

        Raises
        ------
        ConfigError
            If that is none, or beats are no 1, 2, 4, ... words.
        """
        there = (self._word_bytes << self.native.address_bits) - self.origin
        size = there if self.size is None else self.size
        beats = min(size // config.beat_bytes, (1 << 32) - 1)
        check_memory(config, memory_beats=beats, native=self.native)
        return beats

    @property
    def _word_bytes(self) -> int:
        return self.port.data_width // 8
