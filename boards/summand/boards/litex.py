"""Cores that LiteX writes, each by a script in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from summand.isa import SummandError
from summand.isa.distribution import install_command

__all__ = ["generated"]


def generated(
    script: Path,
    description: Mapping[str, Any],
    *,
    needs: Sequence[str],
    what: str,
    failure: str,
    remedy: str = "",
) -> str:
    """Return what a script prints for a description, which it reads as JSON; equal for equal ones.

    Parameters
    ----------
    script : Path
        Run by this Python, apart from this process, because LiteX keeps state in its modules.
    description : mapping
        What is wanted.
    needs : sequence of str
        Modules that must be installed.
    what, failure, remedy : str
        What needs them, what it is if the script fails, and what to do then, for errors.

    Raises
    ------
    SummandError
        If a module is missing, or the script fails.
    """
    for module in needs:
        if importlib.util.find_spec(module) is None:
            raise SummandError(f"{what} needs {module}; {install_command('litex')}")
    done = subprocess.run(
        [sys.executable, "-P", str(script)],
        input=json.dumps(description),
        capture_output=True,
        text=True,
        # The order of Python's sets must not show in the Verilog.
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise SummandError(f"{failure}: {said[-1] if said else 'it said nothing'}{remedy}")
    return done.stdout
