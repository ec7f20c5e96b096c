"""Requantise parameters: taken from the stream one by one, and checked."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.limits import MULT_BITS, SHIFT
from summand.rtl.compare import exceeds
from summand.rtl.items import ItemReader

__all__ = ["Parameter", "ParameterReader"]


class Parameter(data.StructLayout):
    """The four bytes of one output feature in a REQUANTISE payload."""

    def __init__(self):
        super().__init__({"mult": MULT_BITS, "shift": 8, "pad": 8})


class ParameterReader(wiring.Component):
    """Take parameters one a cycle, so that a narrow memory can keep them, and check them.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    start : ``In(1)``
        Begin to take the parameters of :attr:`features` features.
    features : ``In(range(requant_depth + 1))``
        Features; steady from the cycle before :attr:`start` on.
    i : ``In(stream.Signature(stream_bits))``
        Beats; only taken while :attr:`taking`. Padding in the last beat is dropped.
    taking : ``Out(1)``
        Parameters are still to come.
    param : ``Out(Parameter)``
        A feature's parameters.
    param_valid : ``Out(1)``
        There are some.
    checked : ``Out(1)``
        All parameters have been checked: :attr:`bad` is the verdict.
    bad : ``Out(1)``
        Some parameter has a shift outside :data:`~summand.isa.limits.SHIFT`, or its pad byte set.
    """

    start: Signal
    features: Signal
    i: stream.Interface
    taking: Signal
    param: Any
    param_valid: Signal
    checked: Signal
    bad: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "features": In(range(config.requant_depth + 1)),
                "i": In(stream.Signature(config.stream_bits)),
                "taking": Out(1),
                "param": Out(Parameter()),
                "param_valid": Out(1),
                "checked": Out(1),
                "bad": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.reader = reader = ItemReader(
            Parameter(), width=self.config.stream_bits, most=self.config.requant_depth
        )
        wiring.connect(m, wiring.flipped(self.i), reader.i)
        p = self.param
        m.d.comb += [
            reader.start.eq(self.start),
            reader.count.eq(self.features),
            self.taking.eq(reader.taking),
            p.eq(reader.item),
            self.param_valid.eq(reader.valid),
            self.checked.eq(reader.done),
        ]
        with m.If(reader.valid):
            m.d.sync += self.bad.eq(
                self.bad | (p.shift == 0) | exceeds(p.shift, SHIFT.high) | (p.pad != 0)
            )
        with m.If(self.start):
            m.d.sync += self.bad.eq(0)

        return m
