"""Constraints under which pip installs the oldest releases that pyproject.toml admits.

Prints a line for each requirement that it names, of the package, its extras and its groups. pip
chooses the versions of their own requirements. Runs where nothing is installed yet.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_FLOOR = re.compile(r"(?P<name>[\w.-]+)(\[[\w,-]+\])?>=(?P<version>[\w.]+)(,<[\w.]+)?")


def floors(project: Mapping[str, Any]) -> dict[str, str]:
    """Return the oldest admitted version of each requirement, by its name."""
    found: dict[str, str] = {}
    for requirement in _requirements(project):
        floor = _FLOOR.fullmatch(requirement)
        if floor is None:
            raise ValueError(f"pyproject.toml: {requirement!r} must be NAME>=VERSION[,<VERSION]")
        if found.setdefault(floor["name"], floor["version"]) != floor["version"]:
            raise ValueError(f"pyproject.toml has two floors for {floor['name']}; give it one")
    return found


def _requirements(project: Mapping[str, Any]) -> Iterator[str]:
    yield from project["project"]["dependencies"]
    for some in project["project"]["optional-dependencies"].values():
        yield from some
    for some in project["dependency-groups"].values():
        yield from some


if __name__ == "__main__":
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    for name, version in sorted(floors(tomllib.loads(text)).items()):
        sys.stdout.write(f"{name}=={version}\n")
