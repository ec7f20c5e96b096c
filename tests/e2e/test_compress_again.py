"""Compressions that are interrupted, repeated, or run by other executors."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from summand.cli import main
from summand.model import SummandModel

TOKENS = ("--calibration-tokens", "300")

#: Ends the process without warning when it has finished so many layers.
KILLED = """
import os, signal, sys
from summand.cli import main
from summand.model import ModelWriter
add, after = ModelWriter.add, int(sys.argv[1])
def counted(self, *args, **kwargs):
    entry = add(self, *args, **kwargs)
    if len(self.finished) == after:
        os.kill(os.getpid(), signal.SIGKILL)
    return entry
ModelWriter.add = counted
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def compress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs the command and gives status, output and errors."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*args: object):
        status = main(["compress", *map(str, args), *TOKENS])
        return status, *capsys.readouterr()

    return call


@pytest.fixture(scope="session")
def deep_folder(save_llama: Callable[..., Path]) -> Path:
    """A Hugging Face folder with three blocks, in shards, its head not tied."""
    path = save_llama(blocks=3, tied=False, seed=1, shard="30KB")
    assert len(list(path.glob("*.safetensors"))) > 2
    return path


def killed(after: int, *args: object) -> None:
    arguments = [str(a) for a in ("compress", *args, *TOKENS)]
    # One thread, as here: sums over tokens depend on how they are cut up.
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-c", KILLED, str(after), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == -signal.SIGKILL, done.stderr


def files(folder: Path) -> dict[str, bytes]:
    """Return the model's files, except its report, which names the folder."""
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name != "report.html"}


@pytest.mark.parametrize("after", [10, 22])
def test_a_killed_compression_goes_on(compress, deep_folder, tmp_path, after):
    out = tmp_path / "m"
    options = ("--rank", 2, "--group", 16)
    killed(after, deep_folder, "-o", out, *options)
    assert not out.exists()
    left = tmp_path / ".m.partial"
    written = {file: file.stat().st_mtime_ns for file in left.glob("finished/*.safetensors")}
    assert len(written) == after
    status, _, err = compress(deep_folder, "-o", out, "--bits", 3, *options)
    assert status == 2
    assert f"holds {after} finished layers of an interrupted job with options bits 4, not 3" in err
    assert "--force" in err
    assert {file: file.stat().st_mtime_ns for file in written} == written
    assert compress(deep_folder, "-o", out, *options)[0] == 0
    assert not left.exists()
    assert compress(deep_folder, "-o", tmp_path / "whole", *options)[0] == 0
    assert files(out) == files(tmp_path / "whole")


def test_force_begins_anew(compress, deep_folder, tmp_path):
    killed(3, deep_folder, "-o", tmp_path / "m")
    assert compress(deep_folder, "-o", tmp_path / "m", "--bits", 3, "--force")[0] == 0
    assert compress(deep_folder, "-o", tmp_path / "whole", "--bits", 3)[0] == 0
    assert files(tmp_path / "m") == files(tmp_path / "whole")


def test_a_folder_on_the_disk_gives_what_one_in_memory_does(compress, deep_folder, tmp_path):
    from summand.compress import Options, calibration_text, open_source, plan

    source = open_source(str(deep_folder))
    assert source.weights is None
    plan(source, Options(rank=2), calibration_text(), tokens=300).run(tmp_path / "memory")
    assert compress(deep_folder, "-o", tmp_path / "disk", "--rank", 2)[0] == 0
    memory, disk = files(tmp_path / "memory"), files(tmp_path / "disk")
    for name in ("layers.safetensors", "host.safetensors"):
        assert memory[name] == disk[name]
    kept = (SummandModel(tmp_path / name).manifest for name in ("memory", "disk"))
    first, second = ((m.layers, m.groups, m.options) for m in kept)
    assert first == second


def test_processes_give_what_threads_do(compress, deep_folder, tmp_path):
    assert compress(deep_folder, "-o", tmp_path / "a", "--workers", 1)[0] == 0
    on = ("--executor", "loky", "--workers", 2)
    assert compress(deep_folder, "-o", tmp_path / "b", *on)[0] == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["dask", "ray"])
def test_a_cluster_gives_what_threads_do(compress, deep_folder, tmp_path, executor, need):
    need(executor)
    assert compress(deep_folder, "-o", tmp_path / "a")[0] == 0
    assert compress(deep_folder, "-o", tmp_path / "b", "--executor", executor)[0] == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_statistics_are_kept_and_used_again(compress, deep_folder, tmp_path):
    kept = tmp_path / "kept"
    by = ("--statistics", kept)
    assert compress(deep_folder, "-o", tmp_path / "a", *by)[0] == 0
    written = {file: file.stat().st_mtime_ns for file in kept.glob("*.safetensors")}
    assert len(written) == 4 * 3 + 1
    status, _, err = compress(deep_folder, "-o", tmp_path / "b", *by)
    assert status == 0
    assert "calibrating again" not in err
    assert {file: file.stat().st_mtime_ns for file in written} == written
    assert files(tmp_path / "a") == files(tmp_path / "b")
    (tmp_path / "own.txt").write_text("once upon a time " * 20)
    own = ("--calibration", tmp_path / "own.txt")
    status, _, err = compress(deep_folder, "-o", tmp_path / "c", *by, *own)
    assert status == 0
    assert f"{kept} is of another text: calibrating again" in " ".join(err.split())
    assert compress(deep_folder, "-o", tmp_path / "d", *own)[0] == 0
    assert files(tmp_path / "c") == files(tmp_path / "d")


def test_statistics_serve_a_target(compress, deep_folder, tmp_path):
    kept = tmp_path / "kept"
    asked = ("--target-bits", 16, "--group", 0, "--statistics", kept)
    assert compress(deep_folder, "-o", tmp_path / "a", *asked)[0] == 0
    written = {file: file.stat().st_mtime_ns for file in kept.glob("*.safetensors")}
    assert len(written) == 4 * 3 + 1
    assert compress(deep_folder, "-o", tmp_path / "b", *asked, "--workers", 1)[0] == 0
    assert {file: file.stat().st_mtime_ns for file in written} == written
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--executor", "slurm"], "executor must be one of threads, loky, dask, ray, not 'slurm'"),
        (["--workers", 0], "Invalid value for '--workers'"),
        (["--statistics", "{folder}"], "holds something that is no calibration"),
    ],
)
def test_what_cannot_be_is_refused_first(compress, deep_folder, tmp_path, args, said):
    args = [deep_folder if a == "{folder}" else a for a in args]
    status, text, err = compress(deep_folder, "-o", tmp_path / "m", *args)
    assert status == 2
    assert said in " ".join(err.split())
    assert "Traceback" not in text + err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_cluster_package_is_named(compress, deep_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    status, _, err = compress(deep_folder, "-o", tmp_path / "m", "--executor", "dask")
    assert status == 2
    assert re.search(r"executor dask needs distributed; pip install .*\[dask\]'", err)


@pytest.mark.needs("dask")
@pytest.mark.slow
def test_a_dead_scheduler_is_told_in_time(deep_folder, tmp_path):
    arguments = ["compress", deep_folder, "-o", tmp_path / "m", *TOKENS, "--executor", "dask"]
    code = "import sys; from summand.cli import main; sys.exit(main(sys.argv[1:]))"
    env = {**os.environ, "DASK_SCHEDULER_ADDRESS": "tcp://127.0.0.1:1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=env, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert "no Dask scheduler answers at tcp://127.0.0.1:1; start one" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_told_and_gone_on_from(compress, deep_folder, tmp_path, monkeypatch):
    from summand.model import parts

    merge = parts.merge

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts, "merge", full)
    status, _, err = compress(deep_folder, "-o", tmp_path / "m")
    assert status == 2
    assert "No space left on device; 22 finished layers are kept, run the same again" in err
    monkeypatch.setattr(parts, "merge", merge)
    status, text, _ = compress(deep_folder, "-o", tmp_path / "m", "--json")
    assert status == 0
    assert len(json.loads(text)["layers"]) == 22


def test_too_little_memory_is_told(compress, deep_folder, tmp_path, monkeypatch):
    from summand.summands.dense.solve import Gptq

    def solve(*_):
        raise MemoryError

    monkeypatch.setattr(Gptq, "solve", solve)
    status, _, err = compress(deep_folder, "-o", tmp_path / "m")
    assert status == 2
    assert re.search(
        r"out of memory at layer 'model.layers.0.self_attn..*', which is \d+ x 32", err
    )
    assert list(tmp_path.iterdir()) == []
