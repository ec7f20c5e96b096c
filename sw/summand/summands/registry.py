"""The kinds of summands that there are, by name and by class."""

from collections.abc import Iterator

from summand.summands.base import Entry, Summand
from summand.summands.choosing import SummandChoice
from summand.summands.dense import DENSE
from summand.summands.kind import Kind
from summand.summands.lowrank import LOW_RANK
from summand.summands.outliers import OUTLIERS

__all__ = ["entry_of", "kind_named", "kind_of", "kinds", "register"]

_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Add a kind.

    Raises
    ------
    ValueError
        If another kind has its name.
    """
    if _KINDS.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"there is a kind of summand called {kind.name!r} already")


def kinds() -> Iterator[Kind]:
    """Yield all kinds, in the order in which they were registered."""
    yield from _KINDS.values()


def kind_named(name: str) -> Kind | None:
    """Return the kind of a name, if there is one."""
    return _KINDS.get(name)


def kind_of(what: Summand | Entry | SummandChoice) -> Kind:
    """Return the kind that a summand, an entry or a choice is of."""
    for kind in kinds():
        if isinstance(what, kind.summand | kind.entry | kind.choice):
            return kind
    raise TypeError(f"{type(what).__name__} is of no registered kind of summand")


def entry_of(summand: Summand) -> Entry:
    """Return a summand's sizes."""
    return kind_of(summand).entry.of(summand)


for _kind in (DENSE, OUTLIERS, LOW_RANK):
    register(_kind)
