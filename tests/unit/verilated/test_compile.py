import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from summand.verilated.compile import compile_model
from summand.verilated.tools import ToolError, Verilator, content_key, find_verilator

CLASSES = """\
VM_PARALLEL_BUILDS = 0
VM_CLASSES_FAST += \\
  Vtop \\

VM_GLOBAL_FAST += \\
  verilated \\
  verilated_threads \\

"""


class Recorder(Verilator):
    """Keeps the targets of each call of make, and makes them from its version."""

    made: list[str]

    def run(self, command: Sequence[str], folder: Path) -> None:
        target = command[-1] if command[-1].endswith(".o") else "Vtop"
        self.made.append(target)
        (folder / "obj" / target).write_text(self.version)


def compile_in(cache: Path, name: str, version: str = "1", flags: Sequence[str] = ("-O1",)):
    """Compile in a folder of its own; returns what has been made and the folder of objects."""
    obj = cache / name / "obj"
    obj.mkdir(parents=True)
    (obj / "Vtop_classes.mk").write_text(CLASSES)
    tool = Recorder("verilator", version)
    object.__setattr__(tool, "made", [])
    compile_model(tool, cache / name, "Vtop", flags, cache=cache)
    return tool.made, obj


def written(folder: Path) -> tuple[Verilator, Path]:
    """Have Verilator write a wire's model; returns it and the folder, where make is to run."""
    tool, work = find_verilator(), folder / "work"
    work.mkdir()
    (work / "top.v").write_text("module top(input i, output o); assign o = i; endmodule\n")
    (work / "main.cpp").write_text("int main() {}\n")
    arguments = ("--cc", "--exe", "--prefix", "Vtop", "-Mdir", "obj", "top.v", "main.cpp")
    tool.run([tool.executable, *arguments], work)
    return tool, work


def test_runtime_is_compiled_once(tmp_path):
    made, _ = compile_in(tmp_path, "first")
    assert made == ["verilated.o", "verilated_threads.o", "Vtop"]
    made, obj = compile_in(tmp_path, "second")
    assert made == ["Vtop"]
    assert (obj / "verilated.o").read_text() == (obj / "verilated_threads.o").read_text() == "1"


@pytest.mark.parametrize("other", [{"version": "2"}, {"flags": ("-O2",)}])
def test_another_tool_or_flag_has_a_runtime_of_its_own(tmp_path, other):
    compile_in(tmp_path, "first")
    made, obj = compile_in(tmp_path, "second", **other)
    assert made == ["verilated.o", "verilated_threads.o", "Vtop"]
    assert (obj / "verilated.o").read_text() == other.get("version", "1")


@pytest.mark.needs("verilator")
def test_make_leaves_a_kept_runtime_as_it_is(tmp_path):
    """Where it did not, it would compile a good one in the broken one's place."""
    tool, work = written(tmp_path)
    for name in ("verilated.o", "verilated_threads.o"):
        (tmp_path / f"{content_key(tool.version)}-{name}").write_text("broken")
    with pytest.raises(ToolError, match="verilated.o: file format not recognized"):
        compile_model(tool, work, "Vtop", (), cache=tmp_path)


@pytest.mark.needs("verilator")
def test_no_python_on_the_path_is_needed(tmp_path, monkeypatch):
    """A small model is one file, which a script of Verilator's puts together."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in (
        "make",
        "c++",
        "g++",
        "ar",
        "sh",
        "as",
        "ld",
        "cp",
        "rm",
        "echo",
        "cat",
        "xargs",
        "uname",
    ):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    tool, work = written(tmp_path)
    monkeypatch.setenv("PATH", str(tools))
    compile_model(tool, work, "Vtop", ("VM_PARALLEL_BUILDS=0",), cache=tmp_path)
    assert (work / "obj" / "Vtop").exists()
