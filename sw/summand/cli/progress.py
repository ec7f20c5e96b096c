"""Progress of steps that take minutes."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["heartbeat", "part_bars", "step_bar"]

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
def _counted(console: "Console") -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that says what is being done, how much of it is, and how much there is."""
    with heartbeat(console) as tell:
        yield lambda what, done, total: tell(f"{what}: {done} of {total}")


@contextlib.contextmanager
def step_bar(console: "Console") -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for the present step alone, in a log a line a minute."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    if not console.is_terminal:
        with _counted(console) as tell:
            yield tell
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("Beginning", total=None)

        def show(what: str, done: int, total: int) -> None:
            bars.update(task, description=what, completed=done, total=total)

        yield show


@contextlib.contextmanager
def part_bars(
    parts: Iterable[str], console: "Console"
) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each part that has begun, in a log a line a minute for the present one."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    if not console.is_terminal:
        with _counted(console) as tell:
            yield tell
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn())
    with Progress(*columns, TaskProgressColumn(), TimeElapsedColumn(), console=console) as bars:
        tasks = {what: bars.add_task(what.capitalize(), visible=False) for what in parts}

        def show(what: str, done: int, total: int) -> None:
            bars.update(tasks[what], completed=done, total=total, visible=True)

        yield show
