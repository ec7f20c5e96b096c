"""Requantise parameters: taken from the stream one by one, and checked."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig

__all__ = ["Parameter", "ParameterReader"]


class Parameter(data.StructLayout):
    """The four bytes of one output feature in a REQUANTISE payload."""

    def __init__(self):
        super().__init__({"mult": 16, "shift": 8, "pad": 8})


class ParameterReader(wiring.Component):
    """Cut beats into parameters, one a cycle, so that a narrow memory can hold them.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    start, features : ``In``
        Take this many parameters.
    i : ``In(stream.Signature(stream_bits))``
        Beats; only taken while ``taking``. What pads the last one is dropped.
    taking : ``Out(1)``
        Parameters are still to come.
    param, param_valid : ``Out(Parameter)``, ``Out(1)``
        A parameter, a cycle after it was cut off.
    checked : ``Out(1)``
        All of them have been looked at, and ``bad`` tells.
    bad : ``Out(1)``
        One of them has a shift outside 1 to 47, or its pad byte set.
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
        per_beat = self.config.stream_bits // 32

        left = Signal.like(self.features)
        part = Signal(range(per_beat))
        # Both are registers: from `i.ready` on it is a long way back to the inlet.
        final = Signal()  # one is left
        whole = Signal()  # and the beat ends with it, or in any case
        next_part = Mux(whole, 0, part + 1)
        step = self.taking & self.i.valid
        m.d.comb += self.i.ready.eq(self.taking & whole)
        m.d.sync += [
            self.param.eq(self.i.payload.word_select(part, 32)),
            self.param_valid.eq(step),
        ]
        with m.If(step):
            m.d.sync += [
                left.eq(left - 1),
                part.eq(next_part),
                final.eq(left == 2),
                whole.eq((left == 2) | (next_part == per_beat - 1)),
            ]
            with m.If(final):
                m.d.sync += self.taking.eq(0)

        p = self.param
        m.d.comb += self.checked.eq(~self.taking & ~self.param_valid)
        with m.If(self.param_valid):
            m.d.sync += self.bad.eq(self.bad | (p.shift == 0) | (p.shift > 47) | (p.pad != 0))
        with m.If(self.start):
            m.d.sync += [
                self.taking.eq(1),
                self.bad.eq(0),
                left.eq(self.features),
                final.eq(self.features == 1),
                whole.eq((self.features == 1) | (per_beat == 1)),
            ]

        return m
