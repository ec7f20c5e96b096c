"""What a quantisation's configuration states, none of it passed over."""

from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import regex

from summand.compress.errors import CompressError

__all__ = ["Expression", "Section"]

#: Seconds that one expression may take on one name; Python's own would take as long as it likes.
_TIMEOUT_S = 1.0


class Section:
    """A part of ``config.json`` whose every key is known.

    Parameters
    ----------
    path : str
        What it is called in messages.
    raw : mapping
        The part.
    applied : collection of str
        Keys that are read.
    without_effect : collection of str
        Keys that say how the weights came about, or how other programs run them: the stored
        weights stand for the same numbers whatever these say.

    Raises
    ------
    CompressError
        If it is no mapping, or has another key with a value that says something.
    """

    def __init__(
        self,
        path: str,
        raw: object,
        *,
        applied: Collection[str],
        without_effect: Collection[str] = (),
    ):
        if not isinstance(raw, Mapping):
            raise CompressError(f"config.json: {path} must be an object, not {raw!r}")
        self.path, self.raw = path, raw
        for key, value in raw.items():
            if key not in applied and key not in without_effect and not _is_empty(value):
                self.refuse(key, "is not understood")

    def refuse(self, key: str, why: str) -> NoReturn:
        """Raise :class:`CompressError` about the value of a key."""
        value = str(self.raw.get(key))
        value = value if len(value) <= 80 else f"{value[:80]}..."
        raise CompressError(
            f"config.json: {self.path}.{key} {why} ({value}), and weights read without regard to "
            f"it would be wrong; give the model before it was quantised"
        )

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value; the default if it is missing or null."""
        value = self.raw.get(key)
        return default if value is None else value

    def one_of(self, key: str, values: Collection[Any]) -> Any:
        """Return a value, which must be one of some, or null if None is among these."""
        value = self.raw.get(key)
        if not any(type(value) is type(v) and value == v for v in values):
            self.refuse(key, f"must be {_either(values)}")
        return value

    def whole(self, key: str, *, least: int) -> int | None:
        """Return a whole number of ``least`` or more; None if it is missing or null."""
        value = self.raw.get(key)
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or value < least
        ):
            self.refuse(key, f"must be a whole number of {least} or more")
        return value


class Expression:
    """A regular expression that the configuration has at ``path``.

    Raises
    ------
    CompressError
        If it is none.
    """

    def __init__(self, path: str, text: str):
        self.path, self.text = path, text
        try:
            self._pattern = regex.compile(text)
        except (regex.error, OverflowError, RecursionError) as e:
            raise CompressError(
                f"config.json: {path} has {text!r}, which is no regular expression: {e}"
            ) from None

    def matches(self, name: str) -> bool:
        """Return whether a name matches from its first letter on.

        Raises
        ------
        CompressError
            If that takes longer than any honest expression does.
        """
        try:
            return self._pattern.match(name, timeout=_TIMEOUT_S) is not None
        except TimeoutError:
            raise CompressError(
                f"config.json: {self.path} has {self.text!r}, which takes more than "
                f"{_TIMEOUT_S:g} s to compare with {name}; write it without nested repetitions"
            ) from None


def _is_empty(value: object) -> bool:
    return value is None or value is False or value in ("", [], {}, ())


def _either(values: Collection[Any]) -> str:
    return " or ".join("null" if value is None else str(value) for value in values)
