import os
import subprocess
import sys
from pathlib import Path

import pytest

from summand.isa import SummandError
from summand.verilated import cache
from summand.verilated.cache import cached, default_cache


def make(text: str):
    def build(folder: Path) -> Path:
        (folder / "made").write_text(text)
        return folder / "made"

    return build


def fail(folder: Path) -> Path:
    (folder / "made").write_text("half")
    raise SummandError("no")


def test_built_once(tmp_path):
    assert cached(tmp_path / "a" / "b", "x", make("1")).read_text() == "1"
    assert cached(tmp_path / "a" / "b", "x", make("2")).read_text() == "1"
    assert cached(tmp_path / "a" / "b", "x", make("3"), anew=True).read_text() == "3"


def test_failed_build_leaves_nothing(tmp_path):
    with pytest.raises(SummandError, match="no"):
        cached(tmp_path, "x", fail)
    assert [p.name for p in tmp_path.iterdir()] == ["x.lock"]
    assert cached(tmp_path, "x", make("1")).read_text() == "1"


def test_failed_rebuild_keeps_what_was_there(tmp_path):
    cached(tmp_path, "x", make("1"))
    with pytest.raises(SummandError):
        cached(tmp_path, "x", fail, anew=True)
    assert cached(tmp_path, "x", make("2")).read_text() == "1"


_ASK = """
import os, pathlib, sys, time
from summand.verilated.cache import cached

def slow(folder):
    time.sleep(0.3)
    made = folder / "made"
    made.write_text(str(os.getpid()))
    return made

sys.stdout.write(cached(pathlib.Path(sys.argv[1]), "x", slow).read_text())
"""


def test_concurrent_processes_build_once(tmp_path):
    asking = [
        subprocess.Popen([sys.executable, "-c", _ASK, tmp_path], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    answers = {process.communicate(timeout=60)[0] for process in asking}
    assert len(answers) == 1
    assert answers != {b""}


_BUILD_FOR_EVER = """
import pathlib, sys, time
from summand.verilated.cache import cached

def slow(folder):
    (folder / "half").write_text("half")
    print(folder, flush=True)
    time.sleep(600)

cached(pathlib.Path(sys.argv[1]), sys.argv[2], slow)
"""


@pytest.fixture
def building(tmp_path):
    """Start a process that builds for ever; gives the process and the folder it works in."""
    started = []

    def start(name: str) -> tuple[subprocess.Popen[str], Path]:
        command = [sys.executable, "-c", _BUILD_FOR_EVER, tmp_path, name]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_what_a_killed_build_left_is_removed_by_the_next(tmp_path, building):
    process, killed = building("x")
    process.kill()
    process.wait()
    assert (killed / "half").exists()
    os.utime(killed, (1, 1))
    cached(tmp_path, "y", make("1"))
    assert not killed.exists()


def test_a_build_that_lives_is_left_alone(tmp_path, building):
    _, working = building("x")
    os.utime(working, (1, 1))
    cached(tmp_path, "y", make("1"))
    assert (working / "half").exists()


def test_a_build_that_has_just_begun_is_left_alone(tmp_path):
    (tmp_path / "build-new").mkdir()
    cached(tmp_path, "y", make("1"))
    assert (tmp_path / "build-new").exists()


def test_least_recently_used_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_KEEP", 2)
    for n, name in enumerate("abc"):
        cached(tmp_path, name, make(name))
        os.utime(tmp_path / name, (n, n))
    cached(tmp_path, "b", make("again"))  # used
    cached(tmp_path, "d", make("d"))
    left = {p.name for p in tmp_path.iterdir() if p.suffix != ".lock"}
    assert left == {"b", "d"}


def test_cache_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(SummandError, match=r"cannot keep a simulator in .*file/x: Not a dir.*XDG"):
        cached(blocked / "x", "x", make("1"))


def test_default_is_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "summand" / "simulators"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/someone"))
    assert default_cache() == Path("/home/someone/.cache/summand/simulators")
