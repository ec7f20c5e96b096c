"""Output streams cut into packets, and made comparable."""

from dataclasses import dataclass

from summand.isa import EngineConfig
from summand.isa.packets import Kind, PacketHeader

__all__ = ["Packet", "split_packets", "without_counters"]


@dataclass(frozen=True)
class Packet:
    """A packet of the output stream; ``payload`` keeps its padding."""

    header: PacketHeader
    payload: bytes


def split_packets(raw: bytes, config: EngineConfig) -> tuple[Packet, ...]:
    """Cut output into packets; raises ``ValueError`` if it is not a whole number of them."""
    packets = []
    header_bytes = config.header_beats * config.beat_bytes
    at = 0
    while at < len(raw):
        if len(raw) - at < header_bytes:
            raise ValueError(f"packet header cut short at byte {len(raw)}")
        header = PacketHeader.decode(raw[at:])
        payload = at + header_bytes
        at = payload + header.length * config.beat_bytes
        if at > len(raw):
            raise ValueError(f"packet's payload cut short at byte {len(raw)} of {at}")
        packets.append(Packet(header, raw[payload:at]))
    return tuple(packets)


def without_counters(raw: bytes, config: EngineConfig) -> bytes:
    """Return output with the counters of its STATUS packets set to 0.

    What remains is the same for every engine of one configuration, the golden model included.
    """
    return b"".join(
        p.header.encode(config)
        + (bytes(len(p.payload)) if p.header.kind == Kind.STATUS else p.payload)
        for p in split_packets(raw, config)
    )
