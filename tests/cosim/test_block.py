"""What ``summand generate`` writes, in the hands of people without Summand: Icarus and FuseSoC."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from summand.cli.generate import IpFormat, generate
from summand.isa import EngineConfig
from summand.rtl.technology import Technology

CONFIGS = {
    "plain": EngineConfig(
        rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, requant_depth=16
    ),
    "full": EngineConfig(
        rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, requant_depth=16,
        table_share=2, shift=4, scale_bits=4, half_steps=True, border_shift=3, sparse_block=16,
        operand_depth=256,
    ),
}  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[
        ("plain", Technology.GENERIC, 0),
        ("full", Technology.ECP5, 0),
        ("full", Technology.GENERIC, 1 << 20),
    ],
    ids=["plain", "full", "memory"],
)
def block(request, tmp_path_factory) -> Path:
    """A folder that ``summand generate`` wrote."""
    name, technology, memory_bytes = request.param
    folder = tmp_path_factory.mktemp(name)
    generate(CONFIGS[name], folder, technology, memory_bytes=memory_bytes)
    return folder


def _simulated(block: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the bench of ``block`` on Icarus in ``folder``, with the files it reads from there."""
    sources = [*block.glob("*.v"), *block.glob("*.sv")]
    compiled = ["iverilog", "-g2012", "-s", "summand_bench", "-o", "bench.vvp", *map(str, sources)]
    subprocess.run(compiled, cwd=folder, check=True)
    run = ["vvp", "-n", "bench.vvp"]
    return subprocess.run(run, cwd=folder, capture_output=True, text=True, timeout=600)


def _copied(block: Path, folder: Path) -> dict[str, list[str]]:
    """Copy the bench's data; returns its lines."""
    lines = {}
    for name in ("summand_stream.hex", "summand_answer.hex"):
        text = (block / name).read_text()
        (folder / name).write_text(text)
        lines[name] = text.splitlines()
    return lines


@pytest.mark.needs("iverilog")
def test_the_bench_passes(block, tmp_path):
    sent, received = map(len, _copied(block, tmp_path).values())
    done = _simulated(block, tmp_path)
    assert f"{sent} beats sent, {received} received, all as the golden model says" in done.stdout
    assert done.returncode == 0


@pytest.mark.needs("iverilog")
@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda line: f"{line[:-1]}{int(line[-1], 16) ^ 1:x}", "beat 3: "),  # a bit of a result
        (lambda line: f"{int(line[0], 16) ^ 1:x}{line[1:]}", "beat 3: tlast is "),
    ],
    ids=["data", "last"],
)
def test_the_bench_finds_a_wrong_beat(block, tmp_path, mistake, said):
    lines = _copied(block, tmp_path)["summand_answer.hex"]
    lines[3] = mistake(lines[3])
    (tmp_path / "summand_answer.hex").write_text("\n".join(lines) + "\n")
    done = _simulated(block, tmp_path)
    assert said in done.stdout + done.stderr
    assert done.returncode != 0


@pytest.mark.needs("iverilog")
def test_the_bench_finds_another_engine(block, tmp_path):
    """One of another digest, in the registers."""
    _copied(block, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    for file in block.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    bench = (other / "summand_bench.sv").read_text()
    assert "DIGEST_HI = 32'h" in bench
    (other / "summand_bench.sv").write_text(bench.replace("DIGEST_HI = 32'h", "DIGEST_HI = ~32'h"))
    done = _simulated(other, tmp_path)
    assert "register 0c is " in done.stdout + done.stderr
    assert done.returncode != 0


@pytest.mark.needs("iverilog")
@pytest.mark.parametrize("memory_bytes", [0, 1 << 20], ids=["stream", "memory"])
def test_the_bench_passes_through_the_ip_blocks_wrapper(tmp_path, memory_bytes):
    """Which has the engine's ports and more, so that it can take its place."""
    generic = Technology.GENERIC
    generate(CONFIGS["plain"], tmp_path, generic, ip=IpFormat.VIVADO, memory_bytes=memory_bytes)
    bench = tmp_path / "summand_bench.sv"
    engine, wrapper = (
        ("summand_played played", "summand_played_ip played")
        if memory_bytes
        else ("summand_engine engine", "summand_ip engine")
    )
    assert bench.read_text().count(f"  {engine} (") == 1
    bench.write_text(bench.read_text().replace(f"  {engine} (", f"  {wrapper} ("))
    done = _simulated(tmp_path, tmp_path)
    assert "all as the golden model says" in done.stdout
    assert done.returncode == 0


@pytest.mark.needs("iverilog")
@pytest.mark.parametrize(
    ("fact", "less", "said"),
    [
        ("BURST_BEATS", 8, r"a burst of (9|1\d) beats"),
        ("MEMORY_BEATS", 512, r"a burst of \d+ beats at"),
    ],
)
def test_the_benchs_memory_finds_a_burst_that_may_not_be(tmp_path, fact, less, said):
    generate(CONFIGS["plain"], tmp_path, Technology.GENERIC, memory_bytes=1 << 20)
    bench = tmp_path / "summand_bench.sv"
    text, changed = re.subn(rf"(localparam {fact} = )\d+", rf"\g<1>{less}", bench.read_text())
    assert changed == 1
    bench.write_text(text)
    done = _simulated(tmp_path, tmp_path)
    assert re.search(said, done.stdout + done.stderr)
    assert done.returncode != 0


def _fusesoc(block: Path, folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    from summand.verilated import find_verilator

    homes = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("CONFIG", "DATA", "CACHE")}
    tools = find_verilator().environment()
    return subprocess.run(
        [
            *(sys.executable, "-m", "fusesoc.main", "--cores-root", str(block), "run"),
            *(f"--target={target}", next(block.glob("*.core")).read_text().split('"')[1]),
        ],
        cwd=folder,
        env={**os.environ, **tools, **homes},
        capture_output=True,
        text=True,
        timeout=1200,
    )


@pytest.mark.needs("fusesoc", "iverilog", "verilator")
@pytest.mark.parametrize("target", ["lint", "sim"])
def test_fusesoc_takes_the_core(block, tmp_path, target):
    done = _fusesoc(block, tmp_path, target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "%Warning" not in done.stdout + done.stderr
    assert ("all as the golden model says" in done.stdout) == (target == "sim")


@pytest.mark.needs("fusesoc", "iverilog", "verilator")
@pytest.mark.parametrize(
    ("target", "file", "right", "wrong"),
    [
        ("lint", "summand.v", "\nendmodule", "\nassign no_such_wire.x = 1;\nendmodule"),
        ("sim", "summand_answer.hex", "\n0", "\n1"),
    ],
)
def test_fusesoc_fails_where_the_tool_does(block, tmp_path, target, file, right, wrong):
    copy = tmp_path / "copy"
    copy.mkdir()
    for each in block.iterdir():
        (copy / each.name).write_bytes(each.read_bytes())
    text = (copy / file).read_text()
    assert right in text
    (copy / file).write_text(text.replace(right, wrong, 1))
    assert _fusesoc(copy, tmp_path, target).returncode != 0
