"""A command's header: put together from beats, kept, and decoded."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.header import operations
from summand.rtl.decoder import Decoder, HeaderLayout
from summand.rtl.delay import delayed

__all__ = ["HeaderReader"]


class HeaderReader(wiring.Component):
    """Take the beats of a header while asked to, and decode it.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    take : ``In(1)``
        Take a beat if there is one.
    beat, valid : ``In(stream_bits)``, ``In(1)``
        The beat at the input.
    partial : ``Out(1)``
        Some beats of a header were taken, and not all.
    whole : ``Out(1)``
        The header is whole with this beat.
    decoded : ``Out(1)``
        :attr:`op`, :attr:`error`, :attr:`reach` and :attr:`area` are the header's from this cycle
        on.
    header : ``Out(HeaderLayout)``
        The header, steady until :attr:`take`.
    op, error, reach, area
        As the :class:`~summand.rtl.decoder.Decoder`'s.
    commands : ``Out(32)``
        Headers that were whole.
    """

    take: Signal
    beat: Signal
    valid: Signal
    partial: Signal
    whole: Signal
    decoded: Signal
    header: Any
    op: Any
    error: Signal
    reach: Signal
    area: Signal
    commands: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        self.decoder = Decoder(config)
        super().__init__(
            {
                "take": In(1),
                "beat": In(config.stream_bits),
                "valid": In(1),
                "partial": Out(1),
                "whole": Out(1),
                "decoded": Out(1),
                "header": Out(HeaderLayout()),
                "op": Out(data.StructLayout({op.name: 1 for op in operations(config)})),
                "error": Out(8),
                "reach": Out(17),
                "area": Out(len(self.decoder.area)),
                "commands": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        m.submodules.decoder = decoder = self.decoder
        header = Signal(HeaderLayout(), reset_less=True)
        m.d.comb += [
            decoder.header.eq(header),
            self.header.eq(header),
            self.op.eq(decoder.op),
            self.error.eq(decoder.error),
            self.reach.eq(decoder.reach),
            self.area.eq(decoder.area),
        ]

        part = Signal(range(cfg.header_beats))
        m.d.comb += self.partial.eq(part != 0)
        with m.If(self.take):
            m.d.comb += self.whole.eq(self.valid & (part == cfg.header_beats - 1))
            # The register follows the input until a beat is offered.
            for n in range(cfg.header_beats):
                with m.If(part == n):
                    here = slice(n * cfg.stream_bits, (n + 1) * cfg.stream_bits)
                    m.d.sync += header.as_value()[here].eq(self.beat)
            with m.If(self.valid):
                m.d.sync += part.eq(Mux(self.whole, 0, part + 1))
        m.d.comb += self.decoded.eq(delayed(m, self.whole, Decoder.LATENCY + 1, "decoded"))

        counted = Signal()
        m.d.sync += [counted.eq(self.whole), self.commands.eq(self.commands + counted)]

        return m
