"""The input stream's registers, as the front sees them."""

from summand.cycles.stalls import NextTrue

__all__ = ["Inlet"]


class Inlet:
    """Two beats deep: a register is free again in the cycle after its beat has left.

    Parameters
    ----------
    offered : NextTrue, optional
        When the source offers a beat; always, where None.
    """

    def __init__(self, offered: NextTrue | None):
        self._offered = offered
        first = self._entry(0)
        #: The first cycle in which the next beat is there.
        self.valid = first + 1
        self._following = self._entry(first + 1)  # when the beat after that one comes in

    @property
    def steady(self) -> bool:
        """Whether a beat is there in every cycle after one was taken."""
        return self._offered is None

    def take(self, cycle: int) -> None:
        """Take the beat that is there, in ``cycle``."""
        self.valid = max(self._following, cycle) + 1
        self._following = self._entry(max(self._following, cycle) + 1)

    def hold(self, cycle: int) -> None:
        """Note that the source has nothing to offer before ``cycle``; no beat is there."""
        self.valid = max(self.valid, self._entry(cycle) + 1)
        self._following = max(self._following, self._entry(self.valid))

    def _entry(self, cycle: int) -> int:
        """Return the cycle in which a beat comes in, if there is room for it from ``cycle`` on."""
        return cycle if self._offered is None else self._offered(cycle)
