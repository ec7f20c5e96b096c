"""pyproject.toml admits the versions of constraints.txt and the oldest ones of tools/floors.py."""

import re
import tomllib
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def requirements() -> Iterator[Requirement]:
    """Yield everything that the package, its extras and its groups name."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    groups = PROJECT["dependency-groups"].values()
    for some in (PROJECT["project"]["dependencies"], *extras, *groups):
        yield from map(Requirement, some)


def test_constraints_are_versions_and_nothing_else():
    """They name no local folder, no host, and no build that only one index has."""
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line


def test_constraints_pin_every_requirement_within_its_range():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines)
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    wrong = [str(r) for r in requirements() if pins[canonicalize_name(r.name)] not in r.specifier]
    assert wrong == []


@pytest.fixture
def floors():
    spec = spec_from_file_location("floors", ROOT / "tools" / "floors.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.floors


def test_the_oldest_are_the_floors_of_everything_named(floors):
    found = floors(PROJECT)
    assert found.keys() == {requirement.name for requirement in requirements()}
    for requirement in requirements():
        assert found[requirement.name] in requirement.specifier
        assert f">={found[requirement.name]}" in str(requirement.specifier)


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        (["a>=1", "a>=2"], "two floors for a"),
        (["a"], "'a' must be NAME>=VERSION"),
        (["a~=1.2"], "'a~=1.2' must be"),
        (["a>=1; python_version<'3.12'"], "must be NAME"),
    ],
)
def test_what_has_no_single_floor_is_refused(floors, listed, why):
    project = {"project": {"dependencies": listed, "optional-dependencies": {}}}
    with pytest.raises(ValueError, match=why):
        floors(project | {"dependency-groups": {}})
