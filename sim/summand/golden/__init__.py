"""The golden model: what an engine does with a command stream, exactly. NumPy only."""

from summand.golden.engine import GoldenEngine
from summand.golden.packets import Packet, split_packets, without_counters

__all__ = ["GoldenEngine", "Packet", "split_packets", "without_counters"]
