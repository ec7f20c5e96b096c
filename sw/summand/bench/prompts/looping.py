"""Texts that end in a loop, as greedy decoding of small models often does."""

import math
from collections.abc import Sequence

__all__ = ["loops"]

#: Tokens of the longest run whose repetition is a loop.
_LONGEST_RUN = 40

#: How often the run must be there.
_COPIES = 3

#: Tokens that all copies must have together, so that "no, no, no" is no loop.
_LEAST = 12


def loops(tokens: Sequence[int]) -> bool:
    """Return whether a text ends in a loop.

    It does if its last tokens are one run of 1 to 40 tokens, three times or more in a row and
    12 tokens or more together. A loop that is cut off inside its run is one as well if enough is
    left: its last copies are then of a run that begins elsewhere in the loop. What follows a loop
    ends it, be it a single token, so an end-of-text token must not be among ``tokens``.
    """
    return any(_repeats(tokens, run) for run in range(1, _LONGEST_RUN + 1))


def _repeats(tokens: Sequence[int], run: int) -> bool:
    """Return whether the last ``run`` tokens are there often enough."""
    length = run * max(_COPIES, math.ceil(_LEAST / run))
    tail = tokens[-length:]
    return len(tail) == length and tail[run:] == tail[:-run]
