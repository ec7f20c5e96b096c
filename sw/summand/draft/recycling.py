"""Suggestions from the model's rows: what was likely after the same tokens before."""

from collections.abc import Iterator, Sequence

from summand.draft.evidence import Context, Evidence, Read, Suggestion
from summand.draft.ranking import merged
from summand.draft.recent import Recent
from summand.draft.recycled import PAIRS, WIDTH, Recycled

__all__ = ["TokenRecycling"]

_SINGLE = Evidence((0.25, 0.09, 0.06, 0.04, 0.025, 0.02, 0.02, 0.02))
_PAIR = Evidence((0.28, 0.125, 0.07, 0.06, 0.03, 0.02, 0.02, 0.01))
_COMMON = Evidence((0.03, 0.025, 0.025, 0.02, 0.015, 0.015, 0.01, 0.01))

#: How much a row counts against all earlier ones of the same token or pair.
_NEWEST = 0.7

#: How much the followers of the last token alone count beside those of the last two.
_LAST = 0.7

#: Distinct tokens that are counted.
_COUNTED = 256


class TokenRecycling:
    """Remembers the likeliest followers of tokens and of pairs of tokens, from all rows.

    After Token Recycling (Luo et al., arXiv 2408.08696), which keeps the newest followers of single
    tokens. Here older ones fade, pairs are used where they are known, and common tokens of the
    texts come last.

    Parameters
    ----------
    vocabulary : int
        Tokens are 0 to ``vocabulary - 1``.
    learned : Recycled, optional
        What was learned before.

    Raises
    ------
    ValueError
        If that is of another vocabulary.

    Notes
    -----
    State: 8 followers of each token of the vocabulary and of the 32768 pairs that were seen last;
    counts of 256 tokens.
    """

    def __init__(self, vocabulary: int, learned: Recycled | None = None):
        learned = learned or Recycled(vocabulary)
        if learned.vocabulary != vocabulary:
            raise ValueError(
                f"what was learned must be of {vocabulary} tokens, not {learned.vocabulary}"
            )
        self._vocabulary = vocabulary
        self._singles = dict(learned.singles)
        self._pairs: Recent[Context, tuple[int, ...]] = Recent(PAIRS)
        for pair, followers in learned.pairs:
            self._pairs[pair] = followers
        self._counts: dict[int, int] = {}
        self._common: tuple[int, ...] = ()

    @property
    def learned(self) -> Recycled:
        """What was learned so far, but for the counts."""
        pairs = tuple(((a, b), followers) for (a, b), followers in self._pairs)
        return Recycled(self._vocabulary, tuple(self._singles.items()), pairs)

    def begin(self, prompt: Sequence[int]) -> None:
        """Start a new text; what was learned stays."""

    def suggest(self, context: Context, *, drafted: bool) -> Iterator[Suggestion]:
        """Yield followers of the last two tokens, or of the last one, and common tokens."""
        single = self._singles.get(context[-1], ()) if context else ()
        if (pair := self._pairs.get(context[-2:])) is not None:
            yield Suggestion(_PAIR, merged(((1.0, pair), (_LAST, single)), WIDTH))
        elif single:
            yield Suggestion(_SINGLE, single)
        if self._common:
            yield Suggestion(_COMMON, self._common)

    def write(self, token: int) -> None:
        """Count a token."""
        counts = self._counts
        if token not in counts and len(counts) == _COUNTED:
            # The rarest makes room, as in the space-saving algorithm (Metwally et al., 2005).
            rarest = min(counts, key=lambda other: counts[other])
            counts[token] = counts.pop(rarest)
        counts[token] = counts.get(token, 0) + 1

    def read(self, rows: Sequence[Read]) -> None:
        """Learn from the rows of a pass.

        Raises
        ------
        ValueError
            If a token is not of the vocabulary.
        """
        for context, followers, _ in rows:
            for token in (*context[-2:], *followers):
                if not 0 <= token < self._vocabulary:
                    raise ValueError(f"tokens must be 0 to {self._vocabulary - 1}, not {token}")
            if not followers:
                continue
            token = context[-1]
            self._singles[token] = _updated(self._singles.get(token), followers)
            if len(context) > 1:
                pair = context[-2:]
                self._pairs[pair] = _updated(self._pairs.get(pair), followers)
        ordered = sorted(self._counts, key=lambda token: -self._counts[token])
        self._common = tuple(ordered[: len(_COMMON.rates)])


def _updated(known: tuple[int, ...] | None, new: tuple[int, ...]) -> tuple[int, ...]:
    return merged(((_NEWEST, new), (1 - _NEWEST, known or ())), WIDTH)
