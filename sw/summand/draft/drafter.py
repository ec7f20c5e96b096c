"""What a drafter is, for the code that writes a text with one."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from summand.draft.tree import Draft

__all__ = ["Drafter", "Seen"]


class Seen(NamedTuple):
    """A token that went through the model, and the likeliest tokens after it, best first."""

    token: int
    followers: tuple[int, ...]


class Drafter(Protocol):
    """Proposes what may follow a text; it can be wrong, and then costs time but changes no token.

    One text at a time: :meth:`begin`, then :meth:`propose` and :meth:`learn` for each pass.
    """

    def begin(self, prompt: Sequence[int]) -> None:
        """Start a new text; what earlier texts taught stays."""
        ...

    def propose(self, most: int) -> Draft:
        """Return at most ``most`` nodes, likeliest first: its first nodes are a good smaller tree.

        The same history gives the same draft.
        """
        ...

    def learn(self, written: Sequence[int], seen: Sequence[Seen]) -> None:
        """Take what a pass brought.

        Parameters
        ----------
        written : sequence of int
            Tokens that the pass added to the text.
        seen : sequence of Seen
            Its rows in order: the text's last token, then the nodes of the draft or the first of
            them, accepted or not. For a prompt, its tokens or the last of them.
        """
        ...
