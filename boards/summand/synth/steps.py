"""Run one tool in one folder, once: a step whose inputs have not changed is not run again."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from summand.synth.tools import Tool, ToolError

__all__ = ["LOG", "Progress", "ToolStep", "ToolStepResult", "run_step"]

#: Called about every second with a line of text: the present task, and for how long.
Progress = Callable[[str], None]

#: The tool's log, in the step's folder.
LOG = "log.txt"
_OUTPUT = "output.txt"
#: The key of the step that was run. It is written last, so all outputs are there where it is.
_STAMP = "step.json"


@dataclass(frozen=True, kw_only=True)
class ToolStep:
    """A tool, its arguments, and the files it reads and writes, all in one folder.

    Parameters
    ----------
    tool : Tool
        The program.
    arguments : tuple of str
        Its arguments. Files in them are plain names in the step's folder.
    inputs : mapping of str to str or Path
        Files it reads: name and text, or name and the file it is a copy of.
    outputs : tuple of str
        Files that it writes.
    logs : bool
        Its arguments make it write :data:`LOG` itself; otherwise its output is kept there.
    """

    tool: Tool
    arguments: tuple[str, ...]
    inputs: Mapping[str, str | Path] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    logs: bool = False


@dataclass(frozen=True, kw_only=True)
class ToolStepResult:
    """A step that succeeded.

    Parameters
    ----------
    folder : Path
        Where its files are.
    seconds : float
        How long it took when it was run.
    reused : bool
        It was run earlier, with the same inputs.
    """

    folder: Path
    seconds: float
    reused: bool

    @property
    def log(self) -> Path:
        """The tool's log."""
        return self.folder / LOG


def run_step(step: ToolStep, folder: Path, *, progress: Progress | None = None) -> ToolStepResult:
    """Run ``step`` in ``folder``, or find there that it was run before with equal inputs.

    The folder belongs to the step. Its stamp is removed first and written last: a step that fails
    or is interrupted leaves its log and no stamp, and is run anew. Of several processes one runs
    and the others wait. An exception, such as Ctrl-C's, ends the tool.

    Raises
    ------
    ToolError
        If the tool fails (with its last error, and where the log is), or the folder cannot be
        written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            key = _key(step)
            if (seconds := _earlier(folder, key, step.outputs)) is not None:
                return ToolStepResult(folder=folder, seconds=seconds, reused=True)
            for name in (_STAMP, *step.outputs):
                (folder / name).unlink(missing_ok=True)
            for name, content in step.inputs.items():
                _place(content, folder / name)
            start = time.perf_counter()
            _run(step, folder, progress or (lambda _: None))
            seconds = round(time.perf_counter() - start, 1)
            _stamp(step, folder, key, seconds)
    except OSError as e:
        raise ToolError(f"cannot write {e.filename or folder}: {e.strerror or e}") from None
    return ToolStepResult(folder=folder, seconds=seconds, reused=False)


def _key(step: ToolStep) -> dict[str, Any]:
    """Return what the outputs depend on."""
    return {
        "tool": f"{step.tool.name} {step.tool.version}",
        "arguments": list(step.arguments),
        "inputs": {name: _digest(content) for name, content in step.inputs.items()},
    }


def _digest(content: str | Path) -> str:
    if isinstance(content, str):
        return hashlib.sha256(content.encode()).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _earlier(folder: Path, key: dict[str, Any], outputs: tuple[str, ...]) -> float | None:
    """Return how long the step took when it was run with this key, if its outputs are there."""
    try:
        stamp = json.loads((folder / _STAMP).read_text())
        written = {name: _digest(folder / name) for name in outputs}
    except (OSError, ValueError):
        return None
    match stamp:
        case {"key": found, "outputs": digests, "seconds": float(seconds)}:
            return seconds if (found, digests) == (key, written) else None
    return None


def _stamp(step: ToolStep, folder: Path, key: dict[str, Any], seconds: float) -> None:
    missing = [name for name in step.outputs if not (folder / name).exists()]
    if missing:
        raise ToolError(f"{step.tool.name} did not write {folder / missing[0]}")
    written = {name: _digest(folder / name) for name in step.outputs}
    part = folder / f"{_STAMP}.part"
    part.write_text(
        json.dumps({"key": key, "outputs": written, "seconds": seconds}, indent=2) + "\n"
    )
    part.replace(folder / _STAMP)


def _place(content: str | Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    if isinstance(content, str):
        target.write_text(content, encoding="utf-8", newline="\n")
        return
    try:
        os.link(content, target)  # netlists are tens of megabytes
    except OSError:
        shutil.copyfile(content, target)


def _run(step: ToolStep, folder: Path, progress: Progress) -> None:
    """Run the tool to its end; pass the last line of its log to ``progress`` every second."""
    name = step.tool.name
    logs = [folder / LOG, folder / _OUTPUT] if step.logs else [folder / LOG]
    for log in logs:
        log.unlink(missing_ok=True)
    start = time.monotonic()
    with logs[-1].open("wb") as output:
        child = subprocess.Popen(
            [*step.tool.command, *step.arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while (status := _wait(child)) is None:
                lines = _tail(logs[0])
                last = lines[-1].removeprefix("Info:").strip()[:60] if lines else "starting"
                progress(f"{name}, {time.monotonic() - start:.0f} s: {last}")
        finally:
            _end(child)
    if status:
        raise ToolError(f"{name} {_why(status, logs)}; see {logs[0]}")


def _wait(child: subprocess.Popen[bytes]) -> int | None:
    """Return the status of a child that ends within a second."""
    try:
        return child.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return None


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child if it still runs: kindly, then not."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(timeout=2)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _tail(log: Path) -> list[str]:
    """Return the lines at the end of a log, empty ones left out."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 65536))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip(" -|")]


def _why(status: int, logs: list[Path]) -> str:
    """Describe how a tool ended, from its status and the ends of its logs."""
    if status < 0:
        what = " (out of memory?)" if status == -9 else ""
        return f"was ended by signal {-status}{what}"
    lines = [line for log in reversed(logs) for line in _tail(log)]
    errors = [line for line in lines if re.match(r"error\b", line, re.IGNORECASE)]
    said = (errors or lines or ["nothing"])[-1]
    return f"failed with status {status} and said: {said}"


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder, that ends with the process, however it ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
