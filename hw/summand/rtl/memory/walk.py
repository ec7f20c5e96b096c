"""Go through the words of runs, one after the other."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from summand.rtl.memory.port import Run

__all__ = ["RunWalk"]


class RunWalk(wiring.Component):
    """Show the words of a run, of ``words`` to a beat. The next run is taken when all have passed.

    Parameters
    ----------
    address_bits : int
        Width of a word's address in the memory.
    words : int
        Words of a beat, a power of two.

    Members
    -------
    runs : ``In(stream.Signature(Run()))``
        Runs.
    running : ``Out(1)``
        Not all words of a run have passed.
    address : ``Out(address_bits)``
        The word that is next, while :attr:`running`.
    first, last : ``Out(1)``
        It is the first word of its beat, or the last.
    step : ``In(1)``
        Go on to the word after it.
    drop : ``In(1)``
        Forget the rest of the run, and take none. Only while :attr:`first`.
    """

    runs: stream.Interface
    running: Signal
    address: Signal
    first: Signal
    last: Signal
    step: Signal
    drop: Signal

    def __init__(self, *, address_bits: int, words: int):
        self.address_bits = address_bits
        self.words = words
        super().__init__(
            {
                "runs": In(stream.Signature(Run())),
                "running": Out(1),
                "address": Out(address_bits),
                "first": Out(1),
                "last": Out(1),
                "step": In(1),
                "drop": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        place_bits = ceil_log2(self.words)
        place = self.address[:place_bits]  # of the word in its beat
        # As many beats as the memory has, which is the longest run.
        left = Signal(self.address_bits - place_bits + 1, reset_less=True)
        m.d.comb += [
            self.runs.ready.eq(~self.running & ~self.drop),
            self.first.eq(~place.any()),
            self.last.eq(place.all()),
        ]
        with m.If(self.runs.valid & self.runs.ready):
            m.d.sync += [
                self.running.eq(1),
                self.address.eq(self.runs.payload.address << place_bits),
                left.eq(self.runs.payload.beats),
            ]
        with m.Elif(self.step):
            m.d.sync += self.address.eq(self.address + 1)
            with m.If(self.last):
                m.d.sync += [left.eq(left - 1), self.running.eq(left != 1)]
        with m.If(self.drop):
            m.d.sync += self.running.eq(0)

        return m
