"""The output stream's last register, and the packets that go through it."""

from collections import deque

from summand.cycles.stalls import NextTrue

__all__ = ["Outlet"]


class Outlet:
    """One beat deep: a beat enters when the one before leaves, or later.

    Parameters
    ----------
    ready : NextTrue, optional
        When the sink takes a beat; always, where None.
    """

    def __init__(self, ready: NextTrue | None):
        self._ready = ready
        #: When the last beat leaves.
        self.left = 0
        self._blocked: deque[tuple[int, int]] = deque()  # first cycle, and the one after the last

    def push(self, available: int) -> int:
        """Send a beat that is there from cycle ``available`` on; return when it enters."""
        enters = max(available, self.left)
        if self._ready is None:
            self.left = enters + 1
        else:
            self.left = self._ready(enters + 1)
            if self.left > enters + 1:
                self._blocked.append((enters + 1, self.left))
        return enters

    def blocked(self, start: int, stop: int) -> int:
        """Return in how many of the cycles from ``start`` to ``stop`` a beat was not taken.

        Spans must be asked for in ascending order.
        """
        while self._blocked and self._blocked[0][1] <= start:
            self._blocked.popleft()
        return sum(max(0, min(stop, b) - max(start, a)) for a, b in self._blocked)
