import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from summand.cli import build_app, main
from summand.isa import EngineConfig
from summand.model import SummandModel
from summand.schedule.terms import Direct, Factored


def summands(report: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return all layers' first summands, which are dense, and all others."""
    both = [layer["summands"] for layer in report["layers"]]
    first, rest = [found[0] for found in both], [summand for found in both for summand in found[1:]]
    assert {summand["kind"] for summand in first} == {"dense"}
    return first, rest


@pytest.fixture
def compress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs the command and gives status, output and errors."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*args: object):
        status = main(["compress", *map(str, args), "--calibration-tokens", "500"])
        return status, *capsys.readouterr()

    return call


def test_a_folder_becomes_a_model(compress, llama_folder, tmp_path):
    out = tmp_path / "deep" / "m"
    status, text, _ = compress(llama_folder, "-o", out, "--bits", 3, "--rank", 5, "--rank-bits", 6)
    assert status == 0
    model = SummandModel(out)
    assert len(model.names) == 8
    layer = model.layer("model.layers.0.mlp.down_proj")
    assert layer.sizes.terms == (
        Direct(planes=3),
        Factored(rank=5, first=6, second=6, shift=4),
    )
    assert (out / "report.html").exists()
    for said in (
        "bits a weight with everything that is streamed",
        "Report in",
        "model.layers.*.mlp.down_proj",
        "48 x 32",
        "To be compressed",
        "dense 3 bits + rank 5, 6 bits",
        "To stay on the host",
        "a look-up, not a matrix product",
        "LlamaRMSNorm",
    ):
        assert said in text


def test_files_that_are_left_aside_are_named(compress, llama_folder, tmp_path, capsys):
    source = shutil.copytree(llama_folder, tmp_path / "source")
    shutil.copy(source / "model.safetensors", source / "[red]other.safetensors")
    status, text, err = compress(source, "-o", tmp_path / "m", "--json")
    assert status == 0
    json.loads(text)
    said = "summand: weights are read from model.safetensors, as transformers does; left aside: "
    assert f"{said}[red]other.safetensors" in err
    for path in (source, tmp_path / "m"):
        assert main(["evaluate", str(path), "--tokens", "100"]) == 0
        assert f"{said}[red]other.safetensors" in capsys.readouterr().err


def test_json_is_one_object_and_nothing_else(compress, llama_folder, tmp_path):
    status, text, _ = compress(llama_folder, "-o", tmp_path / "m", "--head-bits", 4, "--json")
    assert status == 0
    report = json.loads(text)
    assert report["bits_per_weight"] == 4
    assert report["streamed_bits"] == 4 * report["weights"]
    assert report["options"]["calibration"]["tokens"] == 500
    assert report["acc_bits"] <= 32
    assert report["streamed_bits_per_weight"] > 4
    assert report["streamed_bytes"]["planes"] * 8 > 4 * report["weights"]
    assert [layer["name"] for layer in report["layers"]] == list(SummandModel(tmp_path / "m").names)
    assert {entry["kind"] for entry in report["host"]} == {"Embedding", "LlamaRMSNorm"}


@pytest.mark.parametrize("sensitivity", ["fisher", "differences"])
def test_bits_are_allocated_for_a_target(compress, llama_folder, tmp_path, sensitivity):
    # Layers of 48 and 64 inputs: padding and headers are most of what is streamed.
    asked = ("--target-bits", 16, "--sensitivity", sensitivity, "--group", 0, "--rank-bits", 8)
    status, text, err = compress(llama_folder, "-o", tmp_path / "m", *asked, "--json")
    assert status == 0, err
    report = json.loads(text)
    assert 12 < report["streamed_bits_per_weight"] <= 16
    dense, rest = summands(report)
    assert len({summand["bits"] for summand in dense}) > 1
    assert {summand["group"] for summand in dense} == {0}
    assert {summand["a_bits"] for summand in rest} <= {8}
    target = report["options"]["target"]
    assert (target["bits"], target["kl"], target["sensitivity"]) == (16, None, sensitivity)
    assert target["bits_per_weight"] == pytest.approx(report["bits_per_weight"])
    assert "rank" not in report["options"]


def test_what_was_allocated_is_shown(compress, llama_folder, tmp_path):
    asked = ("--target-kl", 0.05, "--rank", 0, "--head-bits", 8)
    status, text, _ = compress(llama_folder, "-o", tmp_path / "m", *asked)
    assert status == 0
    layers = {layer.name: layer for layer in SummandModel(tmp_path / "m").layers()}
    assert [term.planes for _, term in layers["lm_head"].sizes.direct] == [8]
    assert not any(layer.sizes.factored for layer in layers.values())
    down = [layer.sizes.direct for name, layer in layers.items() if "down_proj" in name]
    bits = sorted({term.planes for terms in down for _, term in terms})
    shown = f"{bits[0]}-{bits[-1]}" if len(bits) > 1 else str(bits[0])
    row = next(line for line in text.splitlines() if "down_proj" in line)
    assert shown in row.split()


def test_an_engine_s_padding_counts(compress, llama_folder, tmp_path):
    (tmp_path / "engine.json").write_text(EngineConfig(depth=64, cols=4).to_json())
    engine = ("--engine", tmp_path / "engine.json")
    status, text, _ = compress(
        llama_folder, "-o", tmp_path / "m", "--target-bits", 4.5, *engine, "--json"
    )
    assert status == 0
    report = json.loads(text)
    # 48 features fill three quarters of a slice of 64.
    assert report["bits_per_weight"] < 0.8 * report["options"]["target"]["bits_per_weight"]
    assert {summand["group"] for summand in summands(report)[0]} == {0}


def test_distillation_is_reported(compress, llama_folder, tmp_path):
    asked = ("--bits", 2, "--distil", 5)
    status, text, _ = compress(llama_folder, "-o", tmp_path / "a", *asked)
    assert status == 0
    assert "Distilled" in text
    assert "tokens held out" in text
    page = (tmp_path / "a" / "report.html").read_text()
    status, text, _ = compress(llama_folder, "-o", tmp_path / "b", *asked, "--json")
    assert status == 0
    report = json.loads(text)
    done = report["distillation"]
    assert done == report["options"]["distillation"]
    assert done["steps"] == 5
    assert done["kl_after"] <= done["kl_before"]
    assert f"{done['kl_before']:.4f} before, {done['kl_after']:.4f} after" in page


def test_without_distillation_none_is_reported(compress, llama_folder, tmp_path):
    status, text, _ = compress(llama_folder, "-o", tmp_path / "a")
    assert status == 0
    assert "Distilled" not in text
    status, text, _ = compress(llama_folder, "-o", tmp_path / "b", "--distil", 0, "--json")
    assert json.loads(text)["distillation"] is None
    for name in ("manifest.json", "layers.safetensors", "host.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_calibration_text_of_ones_own(compress, llama_folder, tmp_path):
    (tmp_path / "own.txt").write_text("once upon a time " * 20)
    own = ("--calibration", tmp_path / "own.txt")
    status, text, _ = compress(llama_folder, "-o", tmp_path / "m", *own, "--json")
    assert status == 0
    assert json.loads(text)["options"]["calibration"]["text"] == "own.txt"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--bits", 9], "bits must be 0 to 8, not 9"),
        (["--bits", 0], "bits must be 1 to 8 without a rank, not 0"),
        (["--rank-solver", "magic"], "rank_solver must be svd or whitened or"),
        (["--target-bits", 1.5], "1.5 bits a weight cannot be met"),
        (["--target-kl", 1e-9], "a KL divergence of 1e-09 cannot be met"),
        (["--target-kl", 1, "--target-bits", 4], "either of bits or of KL divergence, not both"),
        (["--target-bits", 4, "--sensitivity", "x"], "must be fisher or differences, not 'x'"),
        (["--target-bits", 4, "--engine", "/no.json"], "cannot read /no.json: "),
        (["--engine", "/no.json"], "--engine is for a target"),
        (["--distil", -1], "distil must be 0 to 100000, not -1"),
        (["--distil", 1, "--keep-quantised"], "leave out distil or keep_quantised"),
        (["--rank", 17], "rank must be at most 16, not 17"),
        (["--act-bits", 3], "act_bits must be 4 to 10, not 3"),
        (["--calibration", "/nowhere"], "cannot read /nowhere: No such file"),
        (["--bits", "four"], "Invalid value for '--bits'"),
        (["--bogus"], "No such option: --bogus"),
    ],
)
def test_bad_options_leave_nothing_behind(compress, llama_folder, tmp_path, args, said):
    status, text, err = compress(llama_folder, "-o", tmp_path / "m", *args)
    assert status == 2
    assert said in " ".join(err.split())
    assert "Traceback" not in text + err
    assert list(tmp_path.iterdir()) == []


def test_no_model(compress, tmp_path):
    status, _, err = compress(tmp_path / "nothing", "-o", tmp_path / "m")
    assert status == 2
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("summand: ")
    assert "is no model: give smollm2, minilm, a .gguf file, or a folder" in err


def test_something_else_is_not_overwritten(compress, llama_folder, tmp_path):
    (tmp_path / "precious.txt").write_text("work of years")
    status, _, err = compress(llama_folder, "-o", tmp_path)
    assert status == 2
    assert "is left as it is; give another folder" in err
    assert (tmp_path / "precious.txt").read_text() == "work of years"


def test_a_compressed_model_is_no_source(compress, tiny_llama, tmp_path):
    status, _, err = compress(tiny_llama, "-o", tmp_path / "m")
    assert status == 2
    assert "is a Summand model already" in err


def test_help_loads_nothing_heavy():
    """The list of commands must not wait for torch or Amaranth."""
    code = (
        "import sys; from summand.cli import main; status = main(['--help']);"
        "heavy = {'torch', 'amaranth', 'transformers'};"
        "sys.exit(status or len(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("compress", "generate", "verify", "run", "evaluate"):
        assert command in done.stdout


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("summand 0.")


@pytest.mark.parametrize("args", [[], ["nonsense"], ["--nonsense"], ["compress"]])
def test_wrong_use_ends_with_two(args, capsys):
    assert main(args) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_missing_package_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [n for n in sys.modules if n.startswith("summand.compress")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["compress", "smollm2", "-o", str(tmp_path / "m")]) == 2
    assert re.search(r"needs torch; pip install .*\[model\]'", capsys.readouterr().err)


def _row(option: Any) -> str:
    """Return what the documentation says of an option, without links and marks of code."""
    names = ", ".join((*option.opts[:1], *option.secondary_opts))
    names += f" {option.metavar}" if option.metavar else ""
    shown = {None: "", False: "", True: "on"}
    value = option.default
    default = shown[value] if value is None or isinstance(value, bool) else str(value)
    cells = (names, default, option.help.removesuffix("."))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def test_the_documentation_s_table_is_the_command_s():
    command: Any = get_command(build_app())
    params = command.commands["compress"].params
    expected = [_row(p) for p in params if p.param_type_name == "option"]
    page = (Path(__file__).parents[2] / "docs/compression.md").read_text()
    table = page.partition("| option | default | what |\n|---|---|---|\n")[2].partition("\n\n")[0]
    plain = re.sub(r" \(\[[^]]*\]\([^)]*\)\)|`", "", table).replace("| | ", "|  | ")
    assert plain.splitlines() == expected
