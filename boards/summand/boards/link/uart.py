"""Serial bytes: a receiver and a transmitter, eight data bits, no parity, one stop bit."""

from dataclasses import dataclass

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from summand.isa import ConfigError

__all__ = ["Baud", "UartReceiver", "UartTransmitter"]

#: Width of the phase counters that time the bits.
_PHASE_BITS = 16


@dataclass(frozen=True, kw_only=True)
class Baud:
    """A bit rate at a clock.

    Bits are timed by a phase counter, so that the ratio need not be whole: at 25 MHz and 3 Mbaud
    bits take 8, 8 and 9 cycles in turn and no error adds up.

    Parameters
    ----------
    clock_hz : int
        Clock of the gateware.
    rate : int
        Bits a second. The clock must have at least 4 cycles for each.
    """

    clock_hz: int
    rate: int

    def __post_init__(self):
        if self.rate < 1:
            raise ConfigError(f"rate must be at least 1 bit a second, not {self.rate}")
        if self.rate * 4 > self.clock_hz:
            raise ConfigError(
                f"rate must be at most a quarter of the clock ({self.clock_hz} Hz), "
                f"not {self.rate}; lower the rate or raise the clock"
            )
        if abs(self.step * self.clock_hz / (self.rate << _PHASE_BITS) - 1) > 0.005:
            raise ConfigError(
                f"rate ({self.rate}) is too slow for the clock ({self.clock_hz} Hz); "
                f"raise the rate above {self.clock_hz // 650}"
            )

    @property
    def step(self) -> int:
        """Advance of the phase counter in a cycle; ``2**16`` is a bit."""
        return round((self.rate << _PHASE_BITS) / self.clock_hz)


class UartReceiver(wiring.Component):
    """Take bytes off a serial line.

    A start bit that is not low in its middle is noise and ignored; a byte without its stop bit is
    dropped. Checksums of frames detect the loss.

    Parameters
    ----------
    baud : :class:`Baud`
        Bit rate.

    Members
    -------
    rx : ``In(1)``
        The line, not synchronised; idles high.
    o : ``Out(stream.Signature(8, always_ready=True))``
        Received bytes, each transferred in the cycle after the middle of its stop bit. All of it
        is from flip-flops, because ``rx`` enters the FPGA far from what takes bytes.
    """

    rx: Signal
    o: stream.Interface

    def __init__(self, baud: Baud):
        self.baud = baud
        super().__init__({"rx": In(1), "o": Out(stream.Signature(8, always_ready=True))})

    def elaborate(self, platform):
        m = Module()

        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)

        step = self.baud.step
        phase = Signal(_PHASE_BITS)
        sample = Signal()
        m.d.sync += Cat(phase, sample).eq(phase + step)

        bits = Signal(8)
        count = Signal(range(10))
        m.d.comb += self.o.payload.eq(bits)
        m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(~line):
                    # Half a bit, less the two cycles of delay at the edge and at the sample.
                    half = 1 << (_PHASE_BITS - 1)
                    m.d.sync += [Cat(phase, sample).eq(half + 2 * step), count.eq(0)]
                    m.next = "BITS"
            with m.State("BITS"):
                with m.If(sample):
                    m.d.sync += [count.eq(count + 1), bits.eq(Cat(bits[1:], line))]
                    with m.If((count == 0) & line):
                        m.next = "IDLE"
                    with m.If(count == 8):
                        m.next = "STOP"
            with m.State("STOP"):
                with m.If(sample):
                    m.d.sync += self.o.valid.eq(line)
                    m.next = "END"
            with m.State("END"):
                # A line held low is a break, not a row of start bits.
                with m.If(line):
                    m.next = "IDLE"

        return m


class UartTransmitter(wiring.Component):
    """Put bytes on a serial line, back to back when they are there.

    Parameters
    ----------
    baud : :class:`Baud`
        Bit rate.

    Members
    -------
    i : ``In(stream.Signature(8))``
        Bytes.
    tx : ``Out(1)``
        The line, from a flip-flop; idles high.
    """

    i: stream.Interface
    tx: Signal

    def __init__(self, baud: Baud):
        self.baud = baud
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1)})

    def elaborate(self, platform):
        m = Module()

        phase = Signal(_PHASE_BITS)
        total = Signal(_PHASE_BITS + 1)
        m.d.comb += total.eq(phase + self.baud.step)
        tick = total[-1]

        line = Signal(init=1)
        m.d.comb += self.tx.eq(line)
        bits = Signal(9, init=0x1FF)  # bits after the one on the line; the stop bit is last
        left = Signal(range(11))  # bits still to be timed, the one on the line included
        m.d.comb += self.i.ready.eq((left == 0) | (left == 1) & tick)
        m.d.sync += phase.eq(total)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [line.eq(0), bits.eq(Cat(self.i.payload, 1)), left.eq(10)]
            with m.If(left == 0):
                m.d.sync += phase.eq(0)
        with m.Elif((left != 0) & tick):
            m.d.sync += [line.eq(bits[0]), bits.eq(Cat(bits[1:], 1)), left.eq(left - 1)]

        return m
