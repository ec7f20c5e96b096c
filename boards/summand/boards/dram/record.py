"""A board's DRAM and its controller, as its TOML file describes them."""

from dataclasses import fields
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from summand.families.toml import RECORD, Count, Some, Text
from summand.isa import ConfigError

__all__ = ["BoardDram", "DramTime", "DramTimings"]

_Ns = Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, config=RECORD)
class DramTime:
    """A time that a memory needs: the longer of two.

    Parameters
    ----------
    clocks : int
        Clocks of the memory.
    ns : float
        Nanoseconds.
    """

    clocks: Count = 0
    ns: _Ns = 0.0

    def __post_init__(self):
        if not self.clocks and not self.ns:
            raise ConfigError("give clocks, ns or both")


@dataclass(frozen=True, kw_only=True, config=RECORD)
class DramTimings:
    """The times of a memory's data sheet, by the names that they have there.

    ``tfaw`` and ``tzqcs`` are of DDR3 memories, and needed there.
    """

    trefi: DramTime
    trfc: DramTime
    trp: DramTime
    trcd: DramTime
    tras: DramTime
    twr: DramTime
    twtr: DramTime
    tccd: DramTime
    trrd: DramTime
    tfaw: DramTime | None = None
    tzqcs: DramTime | None = None


@dataclass(frozen=True, kw_only=True, config=RECORD)
class BoardDram:
    """A DRAM, and the clock and PHY of the controller that LiteDRAM makes for it.

    Parameters
    ----------
    phy : str
        LiteDRAM's class for the pins: ``ECP5DDRPHY`` of DDR3 memories on ECP5, which moves four
        words of the memory a cycle of the user, or ``GENSDRPHY`` of SDR memories, which moves one.
    clock_hz : int
        The user's clock: that of everything behind the controller.
    data_bits : int
        Data lines.
    banks, rows, columns : int
        Its geometry, powers of two.
    timings : DramTimings
        Its times.
    source : str
        Which memory, and where its times are from.
    """

    phy: Literal["ECP5DDRPHY", "GENSDRPHY"]
    clock_hz: Some
    data_bits: Some
    banks: Some
    rows: Some
    columns: Some
    timings: DramTimings
    source: Text

    def __post_init__(self):
        for name in ("data_bits", "banks", "rows", "columns"):
            value = getattr(self, name)
            if value & (value - 1):
                raise ConfigError(f"{name} must be a power of two, not {value}")
        # Commands use the eleventh address line, and columns must find room on the rows' lines.
        least = {"data_bits": 8, "banks": 2, "columns": 8, "rows": max(2048, self.columns)}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ConfigError(f"{name} must be at least {value}, not {getattr(self, name)}")
        for name in ("tfaw", "tzqcs"):
            if (getattr(self.timings, name) is None) == (self.kind == "DDR3"):
                raise ConfigError(f"timings.{name} is of DDR3 memories, and needed there")

    @property
    def kind(self) -> str:
        """The memory's kind, as LiteDRAM calls it."""
        return "DDR3" if self.phy == "ECP5DDRPHY" else "SDR"

    @property
    def bytes(self) -> int:
        """The memory's size."""
        return self.banks * self.rows * self.columns * self.data_bits // 8

    @property
    def peak_bytes_s(self) -> float:
        """Bytes a second that its pins carry."""
        return self.clock_hz * self.data_bits / 8 * (4 if self.kind == "DDR3" else 1)

    def named_timings(self) -> dict[str, tuple[int, float]]:
        """Return clocks and nanoseconds by LiteDRAM's names, such as ``tRFC``."""
        times = {f.name: getattr(self.timings, f.name) for f in fields(self.timings)}
        return {f"t{n[1:].upper()}": (t.clocks, t.ns) for n, t in times.items() if t is not None}
