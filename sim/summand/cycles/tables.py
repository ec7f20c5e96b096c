"""When tables are ready for each slice of a walk."""

from summand.cycles.timing import Timing
from summand.isa import EngineConfig

__all__ = ["Tables"]


class Tables:
    """When the look-up tables hold each slice of a walk.

    A slice takes ``table_share`` passes of the writers, which begin when its activations have
    been read and the slice before has been walked.

    Parameters
    ----------
    begin : int
        Cycle in which they begin.
    """

    def __init__(self, begin: int, config: EngineConfig, timing: Timing):
        words = config.slice_words // config.table_share
        self._steps = timing.steps
        self._ahead = timing.ahead(words)
        self._passes = (config.table_share - 1) * self._ahead  # all but the last
        #: When the next slice's first pass can begin.
        self.earliest = begin + timing.filled(words)

    def ready(self, released: int) -> int:
        """Return the first cycle in which the next slice's words may enter.

        ``released`` is the cycle of the last word of the slice before.
        """
        last_pass = max(self.earliest, released + 1) + self._passes
        self.earliest = last_pass + self._ahead
        return last_pass + self._steps
