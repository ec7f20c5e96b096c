"""Commands print only Summand's own output: no warnings and no log lines of libraries."""

import json
import re
import subprocess
import sys
from pathlib import Path

#: Runs commands one after the other, in a process that loads the libraries once.
_COMMANDS = """
import json, sys
from summand.cli import main
for arguments in json.loads(sys.argv[1]):
    if status := main(arguments):
        sys.exit(status)
"""

#: The lines that these commands write to standard error.
_OWN = re.compile(r"|\d tokens after \d of prompt in .* stream bits")


def test_no_library_speaks_to_the_user(llama_folder: Path, tmp_path: Path):
    """Warnings are errors here, also those that come while modules are imported."""
    model = str(tmp_path / "model")
    commands = [
        ["compress", str(llama_folder), "-o", model],
        ["evaluate", model, "--tokens", "64"],
        ["run", model, "--prompt", "Hi", "--tokens", "3"],
    ]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _COMMANDS, json.dumps(commands)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stderr.splitlines()]
    assert [line for line in lines if not _OWN.fullmatch(line)] == []
