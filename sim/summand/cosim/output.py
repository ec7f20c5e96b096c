"""Checks of an engine's output stream."""

from dataclasses import astuple

from summand.golden import split_packets
from summand.isa import EngineConfig
from summand.isa.packets import Counters, Kind

__all__ = ["check_counters", "packet_ends"]


def packet_ends(output: bytes, config: EngineConfig) -> list[int]:
    """Return the numbers of the beats that end a packet."""
    ends, beats = [], 0
    for packet in split_packets(output, config):
        beats += config.header_beats + packet.header.length
        ends.append(beats - 1)
    return ends


def check_counters(output: bytes, config: EngineConfig) -> None:
    """Assert that the counters of every STATUS packet add up, and never run backwards."""
    before = Counters()
    for packet in split_packets(output, config):
        if packet.header.kind == Kind.STATUS:
            counters = Counters.decode(packet.payload)
            cycles, *parts = astuple(counters)
            assert cycles == sum(parts), counters
            since = astuple(counters.since(before))
            assert max(since) < 1 << 31, (before, counters)
            before = counters
