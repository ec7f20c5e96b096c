"""AXI4 as its manager sees it, and the sizes of what drives it."""

from dataclasses import dataclass

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import ConfigError
from summand.isa.limits import FIELDS, Limits
from summand.isa.rounding import ceil_log2
from summand.rtl.memory.port import ADDRESS_BITS

__all__ = ["PAGE_BITS", "AxiConfig", "AxiReads", "AxiWrites", "refused"]

#: Bits of a byte address within the 4 KB that no burst may leave.
PAGE_BITS = 12

_BURST_BEATS = Limits(2, 256, power_of_two=True)
_BURSTS = Limits(2, 64, power_of_two=True)


@dataclass(frozen=True, kw_only=True)
class AxiConfig:
    """How a memory is reached by AXI4.

    Parameters
    ----------
    stream_bits : int
        Width of a beat, here and on the bus.
    address_bits : int
        Width of a byte address on the bus: 32 or 64.
    burst_beats : int
        Beats of the longest burst, which is at most 4 KB. Bursts end where an address is a multiple
        of it.
    bursts : int
        Bursts of each direction that may be under way at once.
    """

    stream_bits: int
    address_bits: int = 64
    burst_beats: int = 16
    bursts: int = 16

    def __post_init__(self):
        FIELDS["stream_bits"].check("stream_bits", self.stream_bits)
        if self.address_bits not in (32, 64):
            raise ConfigError(f"address_bits must be 32 or 64, not {self.address_bits}")
        _BURST_BEATS.check("burst_beats", self.burst_beats)
        _BURSTS.check("bursts", self.bursts)
        if self.burst_beats * self.stream_bits // 8 > 1 << PAGE_BITS:
            raise ConfigError(
                f"burst_beats must be at most {(1 << PAGE_BITS) * 8 // self.stream_bits} where "
                f"stream_bits is {self.stream_bits}, because no burst is longer than 4 KB, not "
                f"{self.burst_beats}"
            )

    @property
    def size(self) -> int:
        """Logarithm of a beat's bytes, as the bus calls it."""
        return ceil_log2(self.stream_bits // 8)

    @property
    def run_bits(self) -> int:
        """Bits of a run's address, in beats, that reach the bus."""
        return min(ADDRESS_BITS, self.address_bits - self.size)

    @property
    def length_bits(self) -> int:
        """Bits of a beat's place in a burst."""
        return ceil_log2(self.burst_beats)

    @property
    def depth(self) -> int:
        """Beats that are read ahead of whoever takes them."""
        return self.bursts * self.burst_beats


def _requests(prefix: str, config: AxiConfig) -> dict[str, wiring.Member]:
    """Return the members of the channel of addresses whose names begin with ``prefix``."""
    return {
        f"{prefix}addr": Out(config.address_bits),
        f"{prefix}len": Out(8),
        f"{prefix}size": Out(3),
        f"{prefix}burst": Out(2),
        f"{prefix}cache": Out(4),
        f"{prefix}prot": Out(3),
        f"{prefix}valid": Out(1),
        f"{prefix}ready": In(1),
    }


class AxiReads(wiring.Signature):
    """The channels of AXI4 that read, as the manager sees them.

    There is no identifier, so the answers come in order. ``INCR`` bursts only; neither exclusive
    nor of any quality of service.
    """

    def __init__(self, config: AxiConfig):
        super().__init__(
            {
                **_requests("ar", config),
                "rdata": In(config.stream_bits),
                "rresp": In(2),
                "rlast": In(1),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiWrites(wiring.Signature):
    """The channels of AXI4 that write, as the manager sees them; else as :class:`AxiReads`."""

    def __init__(self, config: AxiConfig):
        super().__init__(
            {
                **_requests("aw", config),
                "wdata": Out(config.stream_bits),
                "wstrb": Out(config.stream_bits // 8),
                "wlast": Out(1),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
            }
        )


def refused(response):
    """Return whether an answer is ``SLVERR`` or ``DECERR``."""
    return response[1]
