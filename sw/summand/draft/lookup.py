"""Suggestions from the text itself: what followed when its last tokens occurred before."""

from collections.abc import Iterator, Sequence

from summand.draft.evidence import CONTEXT, Context, Evidence, Read, Suggestion
from summand.draft.recent import Recent

__all__ = ["PromptLookup"]

#: By the length of the run of tokens that occurred before, from 1.
_EVIDENCE = (
    Evidence((0.10, 0.03, 0.01)),
    Evidence((0.46, 0.04, 0.01)),
    Evidence((0.57, 0.02, 0.01)),
    Evidence((0.62, 0.01, 0.01)),
    Evidence((0.70, 0.01, 0.01)),
    Evidence((0.75, 0.01, 0.01)),
    Evidence((0.85, 0.01, 0.01)),
    Evidence((0.94, 0.01, 0.01)),
)

#: Continuations kept of a run.
_WIDTH = 3


class PromptLookup:
    """Finds the longest run at the text's end, of up to 8 tokens, that the text had before.

    Suggests what followed it then, newest first, up to 3 tokens. This is prompt look-up decoding
    (Saxena, 2023), with several continuations.

    State: the runs of the last ``most`` tokens of one text, prompt included.
    """

    def __init__(self, most: int = 8192):
        self._most = most
        self.begin(())

    def begin(self, prompt: Sequence[int]) -> None:
        """Start a new text and forget the old one."""
        self._tail: Context = ()
        self._after: Recent[Context, tuple[int, ...]] = Recent(CONTEXT * self._most)
        for token in prompt:
            self.write(token)

    def suggest(self, context: Context, *, drafted: bool) -> Iterator[Suggestion]:
        """Yield what followed the longest run, if any did."""
        for length in range(min(CONTEXT, len(context)), 0, -1):
            if (tokens := self._after.get(context[-length:])) is not None:
                yield Suggestion(_EVIDENCE[length - 1], tokens)
                return

    def write(self, token: int) -> None:
        """Add a token to the text."""
        tail = self._tail
        for length in range(1, len(tail) + 1):
            run = tail[-length:]
            before = self._after.get(run) or ()
            others = tuple(other for other in before if other != token)
            self._after[run] = (token, *others[: _WIDTH - 1])
        self._tail = (*tail, token)[-CONTEXT:]

    def read(self, rows: Sequence[Read]) -> None:
        """Take nothing: the text is all that is used."""
