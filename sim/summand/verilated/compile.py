"""Compile what Verilator has written; its runtime only once for all simulators."""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from summand.verilated.cache import cached
from summand.verilated.tools import Verilator, content_key

__all__ = ["compile_model"]

#: Sources of Verilator's runtime, as its makefile lists them.
_RUNTIME = re.compile(r"^\s+(verilated\w*) \\$", re.MULTILINE)


def compile_model(
    tool: Verilator,
    folder: Path,
    prefix: str,
    flags: Sequence[str],
    *,
    cache: Path,
    options: Sequence[str] = (),
) -> None:
    """Run the makefile that Verilator has written into ``folder / "obj"``.

    The runtime takes half of a small engine's time and is the same for every engine, so its
    objects are kept in the cache.

    Parameters
    ----------
    tool : Verilator
        The Verilator that has written it.
    folder : Path
        The build's folder, within ``cache``.
    prefix : str
        The makefile's name, and the model's class.
    flags : sequence of str
        Arguments of make.
    cache : Path
        Where the runtime's objects are kept.
    options : sequence of str
        What else the runtime's objects depend on.

    Raises
    ------
    ToolError
        If a step fails, or the cache cannot be written.
    """
    made = folder / "obj"
    make = ["make", "-C", "obj", "-f", f"{prefix}.mk", f"-j{os.cpu_count() or 1}", *flags]
    make.append(f"PYTHON3={sys.executable}")  # which else is a `python` that PATH may lack
    digest = content_key(tool.version, *options, *flags)
    for source in _RUNTIME.findall((made / f"{prefix}_classes.mk").read_text()):
        name = f"{source}.o"

        def build(_: Path, name: str = name) -> Path:
            tool.run([*make, name], folder)
            return made / name

        # Copied without its time, it is newer than its source, and make leaves it as it is.
        shutil.copyfile(cached(cache, f"{digest}-{name}", build), made / name)
    tool.run(make, folder)
