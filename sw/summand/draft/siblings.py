"""Suggestions from rows that were rejected at the place where the text went on."""

from collections.abc import Iterator, Sequence

from summand.draft.evidence import Context, Evidence, Read, Suggestion
from summand.draft.ranking import merged

__all__ = ["Siblings"]

_EVIDENCE = Evidence((0.09, 0.07, 0.04, 0.035, 0.025, 0.02, 0.02, 0.015))


class Siblings:
    """Suggests what the model found likely after the tokens that it rejected just now.

    They stood where the text's last token stands, after the same text, so what follows them often
    follows that token too: the model read all of the context but one token. Nothing is suggested
    after a token that was itself drafted.

    State: 8 tokens of one text.
    """

    def __init__(self):
        self._after: tuple[int, ...] = ()

    def begin(self, prompt: Sequence[int]) -> None:
        """Start a new text."""
        self._after = ()

    def suggest(self, context: Context, *, drafted: bool) -> Iterator[Suggestion]:
        """Yield what may come after the text."""
        if self._after and not drafted:
            yield Suggestion(_EVIDENCE, self._after)

    def write(self, token: int) -> None:
        """Add a token to the text, of which the rows of earlier passes say nothing."""
        self._after = ()

    def read(self, rows: Sequence[Read]) -> None:
        """Take the rows of a pass."""
        beside = (
            (1 / order, row.followers)
            for order, row in enumerate((row for row in rows if row.beside), 1)
        )
        self._after = merged(beside, len(_EVIDENCE.rates))
