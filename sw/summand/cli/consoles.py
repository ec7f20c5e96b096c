"""Where commands write: standard output and standard error, names of strangers as they are."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["open_console"]


def open_console(*, stderr: bool = False) -> "Console":
    """Return a console that prints text as it is.

    Names of layers and files come from models' folders; what Rich would take for markup in them
    is text here, also within tables.
    """
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False)
