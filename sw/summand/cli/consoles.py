"""Consoles on standard output and standard error that print text without interpreting markup."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["open_console"]


def open_console(*, stderr: bool = False) -> "Console":
    """Return a console that prints text as it is.

    Names of layers and files come from models' folders and may contain what Rich takes for markup;
    this console prints it literally, also within tables.
    """
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False)
