"""A batch's end, walked and fetched little by little."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from summand.schedule.steps import Fetch, PlanStep, Walk

__all__ = ["Stair", "Tail"]


@dataclass(frozen=True)
class Stair:
    """Tiles that are finished together, by walks of their own over the last ``slices``."""

    tiles: int
    slices: int


@dataclass(frozen=True)
class Tail:
    """A batch's end: walks that follow each other without anything between, and a fetch.

    Their slices count from the first walk's first to the last walk's last.
    """

    before: tuple[PlanStep, ...]
    walks: tuple[Walk, ...]
    fetch: Fetch

    @classmethod
    def of(cls, steps: Sequence[PlanStep]) -> "Tail":
        """Return the end of a batch's steps."""
        *rest, fetch = steps
        assert isinstance(fetch, Fetch)
        walks: list[Walk] = []
        while rest and isinstance(walk := rest[-1], Walk):
            walks.insert(0, walk)
            rest.pop()
        return cls(tuple(rest), tuple(walks), fetch)

    @property
    def slices(self) -> int:
        """Slices of all walks."""
        return sum(w.slices for w in self.walks)

    def tapered(self, stairs: Sequence[Stair]) -> tuple[PlanStep, ...]:
        """Let the tiles be finished little by little, each lot fetched behind the next.

        All tiles are walked together only as far as the first stair leaves it; then the stair's
        tiles to the end, which are fetched; and so on with what remains. Every plane word is sent
        once, whatever the stairs.

        Parameters
        ----------
        stairs : sequence of Stair
            The fetch's tiles, from the first on; ``slices`` do not grow.
        """
        steps = list(self.before)
        low, end, done = self.fetch.tile, self.fetch.tile + self.fetch.tiles, 0
        for stair in stairs:
            upto = max(done, self.slices - stair.slices)
            steps += self._part(low, end, done, upto)
            steps += self._part(low, low + stair.tiles, upto, self.slices)
            steps.append(self.fetch.within(low, low + stair.tiles))
            low, done = low + stair.tiles, upto
        return tuple(steps)

    def _part(self, low: int, high: int, start: int, stop: int) -> Iterator[Walk]:
        """Yield what the walks do to tiles ``low`` to ``high`` in slices ``start`` to ``stop``."""
        for walk in self.walks:
            a, b = max(start, 0), min(stop, walk.slices)
            if a < b:
                yield from walk.within(low, high).between(a, b).lots()
            start, stop = start - walk.slices, stop - walk.slices
