"""What token recycling has learned."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["PAIRS", "WIDTH", "Recycled"]

#: Followers kept of a token or pair, at most.
WIDTH = 8

#: Pairs of tokens whose followers are kept, at most.
PAIRS = 32768

_Followers = tuple[int, ...]


@dataclass(frozen=True)
class Recycled:
    """The likeliest tokens after single tokens and after pairs of tokens.

    Parameters
    ----------
    vocabulary : int
        Tokens are 0 to ``vocabulary - 1``.
    singles : tuple of (int, tuple of int)
        Tokens, each with 1 to :data:`WIDTH` followers, best first.
    pairs : tuple of ((int, int), tuple of int)
        Pairs of tokens in the order of a text, at most :data:`PAIRS`, the least recent first, with
        followers likewise.

    Raises
    ------
    ValueError
        If there are more of anything, a token or pair occurs twice, or a token is out of range.
    """

    vocabulary: int
    singles: tuple[tuple[int, _Followers], ...] = ()
    pairs: tuple[tuple[tuple[int, int], _Followers], ...] = ()

    def __post_init__(self):
        if self.vocabulary < 1:
            raise ValueError(f"vocabulary must be at least 1, not {self.vocabulary}")
        if len(self.pairs) > PAIRS:
            raise ValueError(f"pairs must be at most {PAIRS}, not {len(self.pairs)}")
        self._check("singles", ((token,) for token, _ in self.singles))
        self._check("pairs", (pair for pair, _ in self.pairs))
        for name, table in (("singles", self.singles), ("pairs", self.pairs)):
            if len({key for key, _ in table}) < len(table):
                raise ValueError(f"{name} must each occur once")
            self._check(f"followers of {name}", (followers for _, followers in table))
            for key, followers in table:
                if not 1 <= len(set(followers)) == len(followers) <= WIDTH:
                    raise ValueError(
                        f"followers of {key} must be 1 to {WIDTH} different tokens, not {followers}"
                    )

    def _check(self, name: str, rows: Iterable[tuple[int, ...]]) -> None:
        for row in rows:
            for token in row:
                if not 0 <= token < self.vocabulary:
                    raise ValueError(f"{name} must be 0 to {self.vocabulary - 1}, not {token}")
