"""The ECP5's PLL: a clock of another frequency than the board's oscillator."""

from dataclasses import dataclass

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import ConfigError

__all__ = ["Ecp5Pll", "PllSettings"]

#: What the ECP5's PLL can do, Hz: its phase detector's input and its oscillator.
_DETECTOR_HZ = (10_000_000, 400_000_000)
_OSCILLATOR_HZ = (400_000_000, 800_000_000)


@dataclass(frozen=True, kw_only=True)
class PllSettings:
    """Dividers of an ECP5 PLL that feeds its output back.

    The output is ``input * feedback / reference``, and the PLL's oscillator runs at ``output``
    times the output.
    """

    reference: int
    feedback: int
    output: int

    @classmethod
    def find(cls, *, input_hz: int, output_hz: int) -> "PllSettings":
        """Return settings that give ``output_hz`` exactly; raises :class:`ConfigError`."""
        for reference in range(1, 129):
            if not _within(input_hz / reference, _DETECTOR_HZ):
                continue
            feedback, rest = divmod(output_hz * reference, input_hz)
            if rest or not 1 <= feedback <= 80:
                continue
            for output in range(1, 129):
                if _within(output_hz * output, _OSCILLATOR_HZ):
                    return cls(reference=reference, feedback=feedback, output=output)
        raise ConfigError(
            f"no PLL makes {output_hz} Hz of {input_hz} Hz; choose a clock in a simpler ratio"
        )


def _within(value: float, limits: tuple[int, int]) -> bool:
    return limits[0] <= value <= limits[1]


class Ecp5Pll(wiring.Component):
    """An ECP5 PLL with one output, in phase with its input.

    Parameters
    ----------
    settings : :class:`PllSettings`
        Its dividers.

    Members
    -------
    i : ``In(1)``
        Clock in.
    o : ``Out(1)``
        Clock out.
    locked : ``Out(1)``
        The output is stable; asynchronous.
    """

    i: Signal
    o: Signal
    locked: Signal

    def __init__(self, settings: PllSettings):
        self.settings = settings
        super().__init__({"i": In(1), "o": Out(1), "locked": Out(1)})

    def elaborate(self, platform):
        m = Module()

        m.submodules.pll = Instance(
            "EHXPLLL",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_CLKI_DIV=self.settings.reference,
            p_CLKFB_DIV=self.settings.feedback,
            p_CLKOP_DIV=self.settings.output,
            p_CLKOP_CPHASE=self.settings.output - 1,
            p_CLKOP_FPHASE=0,
            p_CLKOP_ENABLE="ENABLED",
            p_FEEDBK_PATH="CLKOP",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            i_CLKI=self.i,
            i_CLKFB=self.o,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(0),
            i_PHASESTEP=Const(0),
            i_PHASELOADREG=Const(0),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=self.o,
            o_LOCK=self.locked,
        )

        return m
