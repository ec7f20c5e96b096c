"""Progress, on a terminal and in a log."""

import io

import pytest
from rich.console import Console

from summand.cli import progress

BARS = {
    "part": lambda console: progress.part_bars(("reading", "writing"), console),
    "step": progress.step_bar,
}


@pytest.mark.parametrize("bars", BARS.values(), ids=BARS)
def test_a_log_gets_a_line_a_minute(bars, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    log = io.StringIO()
    with bars(Console(file=log, force_terminal=False)) as show:
        for done, now[0] in enumerate((0.0, 59.0, 60.0, 119.0)):
            show("reading", done, 4)
        now[0] = 120.0
        show("writing", 1, 2)
    lines = log.getvalue().splitlines()
    assert lines == ["reading: 2 of 4", "writing: 1 of 2"]


@pytest.mark.parametrize("bars", BARS.values(), ids=BARS)
def test_a_terminal_gets_bars(bars):
    screen = io.StringIO()
    with bars(Console(file=screen, force_terminal=True, width=80)) as show:
        show("reading", 1, 4)
        show("reading", 4, 4)
    assert "reading" in screen.getvalue().lower()
    assert "\u2501" in screen.getvalue()
