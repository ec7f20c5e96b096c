"""The cost law: what an engine's cycles go to, as exact integer functions of its commands."""

from summand.cycles.reader import read_commands
from summand.cycles.stalls import Stalls
from summand.cycles.timeline import Timeline, count
from summand.cycles.timing import Timing

__all__ = ["Stalls", "Timeline", "Timing", "count", "read_commands"]
