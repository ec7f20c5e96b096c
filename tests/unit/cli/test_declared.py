from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer

from summand.cli.declared import expanded
from summand.isa.limits import Limits
from summand.options.declaration import Option


@dataclass(frozen=True)
class Paint:
    coats: Annotated[int, Option("Coats", limits=Limits(1, 5), metavar="N")] = 2
    matt: Annotated[bool, Option("Leave it matt")] = False
    base_coat: Annotated[bool, Option("Begin with a base coat")] = True


@dataclass(frozen=True)
class Ladder:
    rungs: Annotated[int, Option("Rungs")] = 7


@pytest.fixture
def command():
    """Return a command of two dataclasses, and the arguments that it was called with."""
    seen: list[Any] = []

    def work(
        wall: Annotated[str, typer.Argument()],
        paint: Paint,
        ladder: Ladder,
        quick: Annotated[bool, typer.Option("--quick")] = False,
    ) -> None:
        """Paint a wall."""
        seen.append((wall, paint, ladder, quick))

    app = typer.Typer()
    app.command()(expanded(work))
    return typer.main.get_command(app), seen


def test_each_field_is_an_option(command):
    run, _ = command
    names = [name for p in run.params for name in (*p.opts, *p.secondary_opts)]
    assert names[:6] == ["wall", "--coats", "--matt", "--base-coat", "--no-base-coat", "--rungs"]
    assert "--quick" in names
    coats = run.params[1]
    assert (coats.default, coats.help, coats.metavar) == (2, "Coats, 1 to 5.", "N")
    assert run.help == "Paint a wall."


def test_the_command_gets_the_dataclasses(command):
    run, seen = command
    run(["north"], standalone_mode=False)
    run(
        ["south", "--coats", "3", "--matt", "--no-base-coat", "--rungs", "9"], standalone_mode=False
    )
    assert seen == [
        ("north", Paint(), Ladder(), False),
        ("south", Paint(coats=3, matt=True, base_coat=False), Ladder(rungs=9), False),
    ]


def test_two_fields_of_one_name_are_refused():
    def work(paint: Paint, other: Paint) -> None: ...

    with pytest.raises(ValueError, match="duplicate parameter name"):
        expanded(work)
