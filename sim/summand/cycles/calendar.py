"""The cycles that the plane words of a walk occupy."""

from collections import deque

__all__ = ["Calendar"]


class Calendar:
    """Cycles that are taken: arithmetic progressions, one after the other.

    Questions must be asked in ascending order; what lies before them is forgotten.
    """

    def __init__(self):
        self._taken: deque[tuple[int, int, int]] = deque()  # first, step, last
        #: The first cycle of which nothing is known yet.
        self.horizon = 0

    def take(self, first: int, step: int, count: int) -> None:
        """Mark ``count`` cycles from ``first`` on, ``step`` apart, after all marked before."""
        self._taken.append((first, step, first + step * (count - 1)))

    def free(self, cycle: int) -> int | None:
        """Return the first free cycle from ``cycle`` on, or None if it is not known yet."""
        taken = self._taken
        while taken and taken[0][2] < cycle:
            taken.popleft()
        for first, step, last in taken:
            if cycle < first:
                break
            if cycle > last or (cycle - first) % step:
                continue
            cycle = last + 1 if step == 1 else cycle + 1
        return cycle if cycle < self.horizon else None
