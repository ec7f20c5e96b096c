import json
import subprocess
import sys

import pytest

from summand.cli import main
from summand.model import SummandModel


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
    assert layer.dense is not None
    assert layer.low_rank is not None
    assert (layer.dense.bits, layer.low_rank.rank, layer.low_rank.b_bits) == (3, 5, 6)
    for said in (
        "model.layers.*.mlp.down_proj",
        "48 x 32",
        "To be compressed",
        "To stay on the host",
        "a look-up, not a matrix product",
        "LlamaRMSNorm",
    ):
        assert said in text


def test_json_is_one_object_and_nothing_else(compress, llama_folder, tmp_path):
    status, text, _ = compress(llama_folder, "-o", tmp_path / "m", "--head-bits", 4, "--json")
    assert status == 0
    report = json.loads(text)
    assert report["bits_per_weight"] == 4
    assert report["streamed_bits"] == 4 * report["weights"]
    assert report["options"]["calibration"]["tokens"] == 500
    assert report["acc_bits"] <= 32
    assert [layer["name"] for layer in report["layers"]] == list(SummandModel(tmp_path / "m").names)
    assert {entry["kind"] for entry in report["host"]} == {"Embedding", "LlamaRMSNorm"}


def test_calibration_text_of_ones_own(compress, llama_folder, tmp_path):
    (tmp_path / "own.txt").write_text("once upon a time " * 20)
    own = ("--calibration", tmp_path / "own.txt")
    status, text, _ = compress(llama_folder, "-o", tmp_path / "m", *own, "--json")
    assert status == 0
    assert json.loads(text)["options"]["calibration"]["text"] == "own.txt"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--bits", 9], "bits must be 1 to 8, not 9"),
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
    assert "is no model: give smollm2, a .gguf file, or a folder" in err


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
    assert "needs torch; pip install 'summand[model]'" in capsys.readouterr().err
