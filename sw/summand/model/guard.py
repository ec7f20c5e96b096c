"""Keeps other libraries' notices and tracebacks away from the user."""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from summand.isa import SummandError
from summand.model.errors import ModelError, Refusal

__all__ = ["cause", "guarded", "quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars, notices, warnings and questions from the terminal.

    This includes the output of libraries in C or Rust to standard error. Standard input is empty,
    so that questions get no answer.
    """
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    stdin = sys.stdin
    sys.stdin = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), _no_stderr():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stdin = stdin
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Point the process's standard error to nowhere."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def guarded(what: Path | str, remedy: str) -> Iterator[None]:
    """Turn any exception of a library into a :class:`ModelError`: what, why, and the remedy.

    The error for a module that is not installed passes through unchanged.
    """
    try:
        yield
    except (SummandError, ModuleNotFoundError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as e:  # Rust's panics are no Exceptions
        raise ModelError(f"{what}: {cause(e)}; {remedy}") from None


def cause(error: BaseException) -> str:
    """Return one short line on the cause of a library's error."""
    match error:
        case RecursionError():
            return "too many levels within each other"
        case MemoryError():
            return "it asks for more memory than a model of its size needs"
        case Refusal():
            return str(error)
        case _:
            text = " ".join(str(error).split())
    if "trust_remote_code" in text:
        return "it asks for Python code of its own (auto_map), which is never executed"
    return f"{type(error).__name__}: {text[:300]}"
