"""Progress of steps that take minutes."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["heartbeat", "part_bars"]

#: Seconds between lines where a line cannot replace the one before.
_PAUSE_S = 60


@contextlib.contextmanager
def heartbeat(console: "Console") -> Iterator[Callable[[str], None]]:
    """Give a function that shows the present step; it may be called at any rate.

    On a terminal the last text is shown. Elsewhere, such as in a log, a line is written a minute.
    """
    if console.is_terminal:
        from rich.text import Text

        with console.status("Beginning") as status:
            yield lambda text: status.update(Text(text))
        return
    written = time.monotonic()

    def tell(text: str) -> None:
        nonlocal written
        if time.monotonic() >= written + _PAUSE_S:
            written = time.monotonic()
            console.print(text, soft_wrap=True)

    yield tell


@contextlib.contextmanager
def part_bars(
    parts: Iterable[str], console: "Console"
) -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar for each part that has begun; yields the function that moves them."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn())
    with Progress(*columns, TaskProgressColumn(), TimeElapsedColumn(), console=console) as bars:
        tasks = {what: bars.add_task(what.capitalize(), visible=False) for what in parts}

        def show(what: str, done: int, total: int) -> None:
            bars.update(tasks[what], completed=done, total=total, visible=True)

        yield show
