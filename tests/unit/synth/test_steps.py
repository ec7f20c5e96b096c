"""A tool is run once for equal inputs, and remains of a failed run never count as results."""

import sys

import pytest

from summand.synth.steps import ToolStep, run_step
from summand.synth.tools import Tool, ToolError, ToolSource, find_tool


def _step(code: str, *, text: str = "a", version: str = "1", outputs=("out",)) -> ToolStep:
    return ToolStep(
        tool=Tool(name="tool", version=version, command=(sys.executable, "-c")),
        arguments=(code,),
        inputs={"in": text},
        outputs=outputs,
    )


#: Appends to a file outside of the step's own, so that its runs can be counted.
COPY = "open('out', 'w').write(open('in').read()); open('../runs', 'a').write('x')"


def test_equal_inputs_are_run_once(tmp_path):
    folder, runs = tmp_path / "step", tmp_path / "runs"
    assert not run_step(_step(COPY), folder).reused
    assert run_step(_step(COPY), folder).reused
    assert runs.read_text() == "x"
    for changed in (_step(COPY, text="b"), _step(COPY, version="2"), _step(COPY + "; 0")):
        assert not run_step(changed, folder).reused
    assert runs.read_text() == "xxxx"


def test_damaged_outputs_are_made_anew(tmp_path):
    run_step(_step(COPY), tmp_path / "step")
    for damage in (lambda p: p.write_text("b"), lambda p: p.unlink()):
        damage(tmp_path / "step" / "out")
        assert not run_step(_step(COPY), tmp_path / "step").reused
        assert (tmp_path / "step" / "out").read_text() == "a"


def test_inputs_are_copied_from_files(tmp_path):
    (tmp_path / "source").write_text("from a file")
    step = ToolStep(
        tool=Tool(name="tool", version="1", command=(sys.executable, "-c")),
        arguments=(COPY,),
        inputs={"in": tmp_path / "source"},
        outputs=("out",),
    )
    run_step(step, tmp_path / "step")
    assert (tmp_path / "step" / "out").read_text() == "from a file"


def test_failures_are_told_and_not_kept(tmp_path):
    folder = tmp_path / "step"
    run_step(_step(COPY), folder)
    failing = _step(
        "print('fine'); print('ERROR: no such thing'); print('bye'); raise SystemExit(3)"
    )
    with pytest.raises(ToolError, match="failed with status 3 and said: ERROR: no such thing; see"):
        run_step(failing, folder)
    assert "bye" in (folder / "log.txt").read_text()
    assert not run_step(_step(COPY), folder).reused
    with pytest.raises(ToolError, match=r"tool did not write .*out"):
        run_step(_step("pass"), folder)
    with pytest.raises(ToolError, match="was ended by signal 9"):
        run_step(_step("import os; os.kill(os.getpid(), 9)"), folder)


def test_an_interrupted_tool_ends(tmp_path):
    """Ctrl-C arrives while the tool runs: the tool ends, and the step does not count as done."""

    def interrupt(text):
        raise KeyboardInterrupt

    slow = "import time; time.sleep(3); " + COPY
    with pytest.raises(KeyboardInterrupt):
        run_step(_step(slow), tmp_path / "step", progress=interrupt)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "step" / "step.json").exists()


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="cannot write"):
        run_step(_step(COPY), tmp_path / "file" / "step")


@pytest.mark.parametrize(
    ("says", "refused"),
    [
        ("Yosys 0.9 (old)", r"is only version 0\.9"),
        ("Welcome", "of an unknown version"),
    ],
)
def test_unusable_tools_are_named(says, refused, tmp_path, monkeypatch):
    program = tmp_path / "yosys"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    find_tool.cache_clear()
    with pytest.raises(ToolError, match=refused):
        find_tool("yosys", ToolSource.NATIVE)
    program.write_text("#!/bin/sh\necho 'Yosys 0.61+3 (git sha1 abc)'\n")
    find_tool.cache_clear()
    assert find_tool("yosys", ToolSource.NATIVE).version == "0.61+3"
    find_tool.cache_clear()


def test_no_such_tool():
    with pytest.raises(ToolError, match="no tool is called 'vivado'; there are ecppack"):
        find_tool("vivado")
