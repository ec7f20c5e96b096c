"""Proposes tokens that may follow a text, as many as pay."""

from collections.abc import Sequence

from summand.decoding.payoff import Payoff
from summand.draft import Draft, Drafter, Seen

__all__ = ["Speculation"]


class Speculation:
    """Drafts of a drafter, of a size that is fixed or pays.

    Parameters
    ----------
    drafter : Drafter
        Proposes the tokens.
    proposals : int or Payoff
        How many tokens a pass at most; a :class:`Payoff` chooses anew for each pass.
    """

    def __init__(self, drafter: Drafter, proposals: int | Payoff):
        self._drafter = drafter
        self._proposals = proposals

    def begin(self, text: Sequence[int]) -> None:
        """Turn to a new text, of at least one token."""
        self._drafter.begin(text)

    def propose(self) -> Draft:
        """Return a draft of the next pass; it may be empty."""
        wanted = self._proposals
        most = wanted.choose() if isinstance(wanted, Payoff) else wanted
        return self._drafter.propose(most) if most else Draft()

    def learn(
        self, written: Sequence[int], seen: Sequence[Seen], draft: Draft, path: Sequence[int]
    ) -> None:
        """Take in a pass: the tokens written, all that were read, and the nodes accepted."""
        self._drafter.learn(written, seen)
        if isinstance(self._proposals, Payoff):
            self._proposals.learn(len(draft), path)
