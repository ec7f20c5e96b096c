"""CRC-32 of beats."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from summand.rtl.mux import choose

__all__ = ["BeatChecksum"]


class BeatChecksum(wiring.Component):
    """Compute the CRC-32 of zlib, gzip and PNG of beats, a byte a cycle, the lowest first.

    A whole beat a cycle would take some thousand look-up tables.

    Parameters
    ----------
    stream_bits : int
        Width of a beat, a multiple of 8.

    Members
    -------
    start : ``In(1)``
        Begin anew; no beat is under way.
    i : ``In(stream.Signature(stream_bits))``
        Beats.
    busy : ``Out(1)``
        A byte that was taken is not in :attr:`crc` yet.
    crc : ``Out(32)``
        Of all beats since :attr:`start`.
    """

    start: Signal
    i: stream.Interface
    busy: Signal
    crc: Signal

    def __init__(self, stream_bits: int):
        self.stream_bits = stream_bits
        super().__init__(
            {
                "start": In(1),
                "i": In(stream.Signature(stream_bits)),
                "busy": Out(1),
                "crc": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        count = self.stream_bits // 8

        crc: Any = CRC32_ISO_HDLC(data_width=8).create()
        m.submodules.crc = crc
        place = Signal(range(count))
        byte = Signal(8, reset_less=True)
        m.d.sync += [
            byte.eq(choose(m, self.i.payload, place, 8)),
            self.busy.eq(self.i.valid),
        ]
        m.d.comb += [
            crc.start.eq(self.start),
            crc.data.eq(byte),
            crc.valid.eq(self.busy),
            self.crc.eq(crc.crc),
            self.i.ready.eq(place == count - 1),
        ]
        with m.If(self.i.valid):
            m.d.sync += place.eq(place + 1)

        return m
