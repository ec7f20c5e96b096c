"""What a memory outside the FPGA looks like from within, whatever bus leads to it."""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ADDRESS_BITS", "MemoryPort", "ReadBeat", "Run"]

#: Width of an address, and of a number of beats.
ADDRESS_BITS = 32


class Run(data.StructLayout):
    """Beats that follow each other in a memory.

    Members
    -------
    address : 32
        Of the first, in beats.
    beats : 32
        How many, at least 1. No run reaches beyond the memory's end.
    """

    def __init__(self):
        super().__init__({"address": ADDRESS_BITS, "beats": ADDRESS_BITS})


class ReadBeat(data.StructLayout):
    """A beat that was read.

    Members
    -------
    data : ``stream_bits``
        What the memory holds; anything if it could not be read.
    failed : 1
        The memory refused the beat.
    """

    def __init__(self, stream_bits: int):
        super().__init__({"data": stream_bits, "failed": 1})


class MemoryPort(wiring.Signature):
    """A memory of beats, as the one who uses it sees it.

    Runs of each direction are carried out in order. Between reads and writes there is no order but
    this: a run that is asked for while ``idle`` is high sees all runs before it. Every run ends
    with as many beats as it asked for, refused ones included.

    Parameters
    ----------
    stream_bits : int
        Width of a beat.

    Members
    -------
    reads : ``Out(stream.Signature(Run()))``
        Runs to read.
    beats : ``In(stream.Signature(ReadBeat(stream_bits)))``
        What was read.
    writes : ``Out(stream.Signature(Run()))``
        Runs to write.
    data : ``Out(stream.Signature(stream_bits))``
        What is written.
    idle : ``In(1)``
        All runs have ended: what was read has been taken, and what was written can be read. It is
        low from the cycle after a run was taken.
    failed : ``In(1)``
        High for a cycle if the memory has refused something written, before ``idle`` is high again.
    abort : ``Out(1)``
        End all runs: take no run and no beat and offer none, until it is low. A beat that was
        offered is withdrawn. ``idle`` tells when nothing is under way any more; what bursts under
        way write of beats that were not taken is left as it was. It stays high until then.
    """

    def __init__(self, stream_bits: int):
        self.stream_bits = stream_bits
        super().__init__(
            {
                "reads": Out(stream.Signature(Run())),
                "beats": In(stream.Signature(ReadBeat(stream_bits))),
                "writes": Out(stream.Signature(Run())),
                "data": Out(stream.Signature(stream_bits)),
                "idle": In(1),
                "failed": In(1),
                "abort": Out(1),
            }
        )
