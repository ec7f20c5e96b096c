"""Why a token may come next, and how often each reason turns out right."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

__all__ = ["CONTEXT", "Context", "Evidence", "HitRates", "Read", "Source", "Suggestion", "likely"]

#: The most tokens of a text that suggestions depend on.
CONTEXT = 8

#: The last tokens of a text, up to CONTEXT of them.
Context = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Evidence:
    """A reason for suggestions.

    Parameters
    ----------
    rates : tuple of float
        How often the first, second, ... token is right that no better reason suggests, as
        measured on other texts. They add up to less than 1.
    """

    rates: tuple[float, ...]

    def __post_init__(self):
        if not self.rates or min(self.rates) < 0 or sum(self.rates) >= 1:
            raise ValueError(f"rates must be 0 or more and add up to less than 1, not {self.rates}")


class Suggestion(NamedTuple):
    """Different tokens that may come next, best first, and why."""

    evidence: Evidence
    tokens: tuple[int, ...]


class Read(NamedTuple):
    """A row of a pass: its context (its own token last) and the likeliest tokens after it.

    ``beside`` holds of nodes that were rejected in favour of the text's new last token.
    """

    context: Context
    followers: tuple[int, ...]
    beside: bool


class Source(Protocol):
    """Suggests tokens for one or more reasons."""

    def begin(self, prompt: Sequence[int]) -> None:
        """Start a new text."""
        ...

    def suggest(self, context: Context, *, drafted: bool) -> Iterable[Suggestion]:
        """Return what may come after a context, which is the text's own unless ``drafted``."""
        ...

    def write(self, token: int) -> None:
        """Add a token to the text."""
        ...

    def read(self, rows: Sequence[Read]) -> None:
        """Take the rows of a pass, after its tokens were written."""
        ...


class HitRates:
    """How often suggestions are right, by their evidence and rank, measured as the text grows.

    Starts from each evidence's own rates, which weigh as much as ``weight`` trials. State: a count
    for each rank of each evidence; counts are halved when they reach ``most`` trials.
    """

    def __init__(self, *, weight: int = 20, most: int = 2000):
        self._weight = weight
        self._most = most
        self._trials: dict[Evidence, float] = {}
        self._hits: dict[Evidence, list[float]] = {}
        self._rates: dict[Evidence, tuple[float, ...]] = {}

    def __getitem__(self, evidence: Evidence) -> tuple[float, ...]:
        return self._rates.get(evidence, evidence.rates)

    def ranked(self, suggestions: Iterable[Suggestion]) -> Iterator[Suggestion]:
        """Yield suggestions, that with the likeliest first token first, each token once."""
        known: set[int] = set()
        for evidence, tokens in sorted(suggestions, key=lambda s: -self[s.evidence][0]):
            new = tuple(token for token in tokens if token not in known)
            known.update(new)
            yield Suggestion(evidence, new)

    def record(self, suggestions: Iterable[Suggestion], token: int) -> None:
        """Count which suggestion was right, and the better ones that were wrong."""
        for evidence, tokens in self.ranked(suggestions):
            hit = token in tokens
            rank = tokens.index(token) if hit else len(evidence.rates)
            self._count(evidence, rank)
            if hit:
                return

    def _count(self, evidence: Evidence, rank: int) -> None:
        hits = self._hits.setdefault(evidence, [0.0] * len(evidence.rates))
        trials = self._trials.get(evidence, 0.0) + 1
        if rank < len(hits):
            hits[rank] += 1
        if trials >= self._most:
            trials /= 2
            hits[:] = [count / 2 for count in hits]
        self._trials[evidence] = trials
        self._rates[evidence] = tuple(
            (count + self._weight * rate) / (trials + self._weight)
            for count, rate in zip(hits, evidence.rates, strict=True)
        )


def likely(suggestions: Iterable[Suggestion], rates: HitRates) -> list[tuple[float, int]]:
    """Return each suggested token with its estimated probability, likeliest first.

    The best suggestion's tokens have its rates; the next one's share what is left, and so on, as
    symbols do that escape to shorter contexts in prediction by partial matching (Cleary and Witten,
    1984).
    """
    found: list[tuple[float, int]] = []
    left = 1.0
    for evidence, tokens in rates.ranked(suggestions):
        shares = [left * rate for rate in rates[evidence][: len(tokens)]]
        found += zip(shares, tokens, strict=False)
        left -= sum(shares)
    return sorted(found, key=lambda pair: -pair[0])
