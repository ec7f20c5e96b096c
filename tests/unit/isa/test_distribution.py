import json
import sys
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

from summand.isa.distribution import VERSION, install_command

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Pretend that pip installed Summand, and wrote that it came from ``origin``."""

    def pretend(origin: dict | None) -> None:
        info = tmp_path / "summand_fpga-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: summand-fpga\nVersion: 0.1.0\n")
        if origin is not None:
            (info / "direct_url.json").write_text(json.dumps(origin))
        monkeypatch.setattr(sys, "path", [str(tmp_path)])

    return pretend


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install 'summand-fpga[sim]'"),
        (
            {"url": "file:///home/me/my%20clone", "dir_info": {}},
            "pip install '/home/me/my clone[sim]'",
        ),
        (
            {"url": "file:///home/me/clone", "dir_info": {"editable": True}},
            "pip install -e '/home/me/clone[sim]'",
        ),
        (
            {"url": "file:///tmp/summand_fpga-0.1.0-py3-none-any.whl", "archive_info": {}},
            "pip install '/tmp/summand_fpga-0.1.0-py3-none-any.whl[sim]'",
        ),
        (
            {"url": "https://host/s.git", "vcs_info": {"vcs": "git", "commit_id": "1a2b"}},
            "pip install 'summand-fpga[sim] @ git+https://host/s.git@1a2b'",
        ),
    ],
)
def test_extras_come_from_where_summand_came_from(installed, origin, command):
    installed(origin)
    assert install_command("sim") == command


def test_a_clone_that_is_not_installed_names_its_folder(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    assert install_command("sim") == f"pip install '{ROOT}[sim]'"


def test_a_wheel_is_of_the_version_that_the_code_says():
    metadata = ProjectMetadata(str(ROOT), PluginManager())
    assert (metadata.name, metadata.version) == ("summand-fpga", VERSION)
