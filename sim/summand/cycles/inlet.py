"""The input stream's first register, as the front sees it."""

from summand.cycles.stalls import NextTrue

__all__ = ["Inlet"]


class Inlet:
    """One beat deep. It takes a beat when the one before is taken from it, or later.

    Parameters
    ----------
    offered : NextTrue, optional
        When the source offers a beat; always, where None.
    """

    def __init__(self, offered: NextTrue | None):
        self._offered = offered
        #: The first cycle in which the next beat is there.
        self.valid = 0
        self.take(0)

    @property
    def steady(self) -> bool:
        """Whether a beat is there in every cycle after one was taken."""
        return self._offered is None

    def take(self, cycle: int) -> None:
        """Take the beat that is there, in ``cycle``."""
        self.valid = self._seen(cycle)

    def hold(self, cycle: int) -> None:
        """Note that the source has nothing to offer before ``cycle``."""
        self.valid = max(self.valid, self._seen(cycle))

    def _seen(self, cycle: int) -> int:
        """Return when the front sees the first beat that is offered from ``cycle`` on."""
        return (cycle if self._offered is None else self._offered(cycle)) + 1
