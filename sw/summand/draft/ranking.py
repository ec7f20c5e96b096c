"""Merging lists of tokens that are ordered from the best."""

from collections.abc import Iterable

__all__ = ["merged"]


def merged(lists: Iterable[tuple[float, tuple[int, ...]]], width: int) -> tuple[int, ...]:
    """Return the ``width`` best tokens of several lists, each with its weight.

    A token's score is the sum of weight / (rank + 1), with ranks from 0.
    """
    scores: dict[int, float] = {}
    for weight, tokens in lists:
        for place, token in enumerate(tokens, 1):
            scores[token] = scores.get(token, 0.0) + weight / place
    return tuple(sorted(scores, key=lambda token: -scores[token])[:width])
