"""A mapping that forgets."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The ``most`` keys that were set last, the oldest first."""

    def __init__(self, most: int):
        if most < 1:
            raise ValueError(f"most must be at least 1, not {most}")
        self._most = most
        self._items: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return iter(self._items.items())

    def __setitem__(self, key: K, value: V) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._most:
            self._items.popitem(last=False)

    def get(self, key: K) -> V | None:
        """Return what a key was set to, or None."""
        return self._items.get(key)
