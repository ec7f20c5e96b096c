"""The port that every feed drives."""

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.stream import Beat

__all__ = ["FeedPort"]


class FeedPort(wiring.Signature):
    """An engine's streams, as a feed sees them.

    Members
    -------
    commands : ``Out(stream.Signature(stream_bits))``
        Beats of commands.
    packets : ``In(stream.Signature(Beat(stream_bits)))``
        Beats of packets.
    resetting : ``In(1)``
        The engine is being reset: it takes no beat and offers none, and a beat that it had offered
        is withdrawn. A feed drops what it holds then.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "commands": Out(stream.Signature(config.stream_bits)),
                "packets": In(stream.Signature(Beat(config.stream_bits))),
                "resetting": In(1),
            }
        )
