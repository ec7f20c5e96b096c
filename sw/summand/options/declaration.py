"""Options as annotated fields of a dataclass: what each is for, and which values it takes."""

import functools
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from summand.isa import SummandError
from summand.isa.limits import Limits

__all__ = ["Option", "OptionError", "OptionSet", "check", "declared"]


class OptionError(SummandError):
    """An option has a value that it cannot have; the text names those that it can."""


@dataclass(frozen=True)
class Option:
    """The purpose and range of one option, given as ``Annotated[type, Option(...)]``.

    Parameters
    ----------
    about : str
        What the option sets; it names each of ``names``.
    limits : Limits, optional
        The numbers that an integer may be.
    zero : str, optional
        What 0 means, where 0 is allowed beside the range.
    note : str, optional
        What else the user should know.
    names : tuple of str
        The values of an option that is a name.
    metavar : str, optional
        What the command line calls the value.
    revocable : bool
        Whether a switch that is off by default can be turned off too, because what else was given
        may turn it on.
    read : callable, optional
        Reads a text that is no name; raises :class:`~summand.isa.SummandError` where it cannot.
    """

    about: str
    limits: Limits | None = None
    zero: str | None = None
    note: str | None = None
    names: tuple[str, ...] = ()
    metavar: str | None = None
    revocable: bool = False
    read: Callable[[str], object] | None = None

    def __post_init__(self):
        if missing := [name for name in self.names if name not in self.about]:
            raise ValueError(f"{self.about!r} must name {', '.join(missing)}")

    @property
    def help(self) -> str:
        """A sentence with all of this."""
        text = self.about
        if self.limits is not None:
            text += f", {self.limits}"
        if self.zero is not None:
            text += f"; 0 for {self.zero}"
        if self.note is not None:
            text += f"; {self.note}"
        return f"{text}."

    def check(self, name: str, value: object, kind: type) -> None:
        """Raise :class:`OptionError` if the option called ``name`` cannot have this value."""
        if kind is bool and not isinstance(value, bool):
            raise OptionError(f"{name} must be true or false, not {value!r}")
        if self.names and value not in self.names:
            raise OptionError(f"{name} must be {' or '.join(self.names)}, not {value!r}")
        if self.read is not None:
            self._check_text(name, value)
        if self.limits is not None:
            allowed = self.limits if self.zero is None else Limits(0, self.limits.high)
            if not isinstance(value, int) or value not in allowed:
                raise OptionError(f"{name} must be {allowed}, not {value!r}")

    def _check_text(self, name: str, value: object) -> None:
        assert self.read is not None
        if not isinstance(value, str):
            raise OptionError(f"{name} must be a text, not {value!r}")
        try:
            self.read(value)
        except SummandError as e:
            raise OptionError(f"{name} cannot be {value!r}: {e}") from None


@functools.cache
def declared(options: type) -> tuple[tuple[Field[Any], type, Option], ...]:
    """Return the fields of a dataclass of options in order, each with its type and declaration.

    Raises
    ------
    TypeError
        If a field has no default, or is not annotated with one :class:`Option`.
    """
    hints = typing.get_type_hints(options, include_extras=True)
    found = []
    for field in fields(options):
        kind, *extras = typing.get_args(hints[field.name]) or (hints[field.name],)
        if len(extras) != 1 or not isinstance(extras[0], Option) or field.default is MISSING:
            raise TypeError(
                f"{options.__name__}.{field.name} must have a default and one Option in its "
                f"annotation"
            )
        found.append((field, kind, extras[0]))
    return tuple(found)


def check(options: Any) -> None:
    """Raise :class:`OptionError` for the first field whose value its declaration does not allow."""
    for field, kind, option in declared(type(options)):
        option.check(field.name, getattr(options, field.name), kind)


@dataclass(frozen=True, kw_only=True)
class OptionSet:
    """Base of dataclasses of options, which are checked when they are made.

    A class may inherit several of them: it has the fields of all, the last one's first.

    Raises
    ------
    OptionError
        If a field has a value that its declaration does not allow.
    """

    def __post_init__(self):
        check(self)
