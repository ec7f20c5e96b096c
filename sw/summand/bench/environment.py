"""The machine and the versions with which a benchmark ran."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import summand.isa
from summand.isa.distribution import VERSION
from summand.verilated import ToolError, find_verilator

__all__ = ["load_average", "machine", "versions"]


def machine() -> dict[str, Any]:
    """Return the processor, the cores that this process may use, memory and system."""
    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "memory_bytes": _memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def load_average() -> float | None:
    """Return how many processes wanted to run, averaged over the last minute; None if unknown."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):  # not on this system
        return None


def versions() -> dict[str, str | None]:
    """Return the versions of all programs that affect figures; None if not installed."""
    packages = ("amaranth", "numpy", "torch", "transformers")
    return {
        "summand": VERSION,
        **{name: _package(name) for name in packages},
        "python": platform.python_version(),
        "verilator": _verilator(),
        "commit": _commit(),
    }


def _package(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _verilator() -> str | None:
    try:
        return find_verilator().version
    except ToolError:
        return None


def _commit() -> str | None:
    """Return the commit of a checkout, with ``+`` where files differ from it; None elsewhere."""
    file = Path(summand.isa.__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(file.parent), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)  # else this is someone else's repository
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on this system
        return None
