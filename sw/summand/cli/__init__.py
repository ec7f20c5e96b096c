"""The command line. One module per subcommand, each with ``register(app)``.

Modules of subcommands import nothing heavy: torch and Amaranth are imported when a command runs, so
that ``summand --help`` is quick. A command raises :class:`~summand.isa.SummandError` for what the
user can correct, and ``typer.Exit(1)`` where it ran and the answer is no.
"""

import importlib
import io
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from summand.isa import SummandError
from summand.isa.distribution import VERSION, install_command

__all__ = ["build_app", "main"]

_COMMANDS = (
    "boards",
    "compress",
    "adapt",
    "explore",
    "generate",
    "build",
    "program",
    "estimate",
    "synth",
    "hello",
    "verify",
    "run",
    "bench",
    "evaluate",
    "flow",
)

#: What to install when a module is missing, by its name.
_EXTRAS = {
    "accelerate": "model",
    "gguf": "model",
    "greenlet": "model",
    "joblib": "model",
    "safetensors": "model",
    "scipy": "model",
    "torch": "model",
    "transformers": "model",
    "cocotb": "sim",
    "cocotbext": "sim",
    "amaranth_boards": "boards",
    "serial": "serial",
}


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"summand {VERSION}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Turn the linear layers of a language model into an FPGA engine."""


def build_app() -> typer.Typer:
    """Return the application with every subcommand."""
    app = typer.Typer(
        name="summand",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_root)
    for name in _COMMANDS:
        importlib.import_module(f"summand.cli.{name}").register(app)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status, 2 for errors that the user can correct."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may not be valid text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        build_app()(args=argv, prog_name="summand")
    except SummandError as e:
        return _refuse(str(e))
    except ModuleNotFoundError as e:
        extra = _EXTRAS.get((e.name or "").partition(".")[0])
        if extra is None:
            return _refuse(f"this needs the Python module {e.name}, which is not installed")
        return _refuse(f"this command needs {e.name}; {install_command(extra)}")
    except SystemExit as e:
        return e.code if isinstance(e.code, int) else int(e.code is not None)
    return 0


def _refuse(why: str) -> int:
    # A name in a stranger's file must not steer the terminal.
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(why.splitlines()))
    print("summand:", line, file=sys.stderr)  # noqa: T201
    return 2
