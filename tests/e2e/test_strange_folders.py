"""Model folders of strangers: code in them never runs, and errors in them are reported.

Damage is done to a Summand model, whose files are listed and sealed again, and to a Hugging Face
folder; every command that takes such a folder is tried.
"""

import hashlib
import io
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from summand.cli import main
from summand.model import hub
from summand.model.manifest import seal

Damage = Callable[[Path], None]


def reseal(folder: Path) -> None:
    """List the files of a Summand model anew, as somebody would who changed some."""
    path = folder / "manifest.json"
    if not path.exists():
        return
    raw = json.loads(path.read_text())
    raw.pop("checksum")
    raw["files"] = {
        file.name: {
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "bytes": file.stat().st_size,
        }
        for file in folder.iterdir()
        if file.is_file() and file != path
    }
    path.write_text(json.dumps({**raw, "checksum": seal(raw)}))


def edit(folder: Path, name: str, **fields: Any) -> None:
    path = folder / name
    raw = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**raw, **fields}))


def config(**fields: Any) -> Damage:
    return lambda folder: edit(folder, "config.json", **fields)


def tokenizer_config(**fields: Any) -> Damage:
    return lambda folder: edit(folder, "tokenizer_config.json", **fields)


def text(name: str, content: str | bytes) -> Damage:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content

    def write(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return write


def without(name: str, field: str) -> Damage:
    def drop(folder: Path) -> None:
        raw = json.loads((folder / name).read_text())
        raw.pop(field, None)
        (folder / name).write_text(json.dumps(raw))

    return drop


def pipe(name: str) -> Damage:
    def replace(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return replace


def device(name: str) -> Damage:
    def replace(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to("/dev/zero")

    return replace


def neo(**fields: Any) -> Damage:
    plain = {"model_type": "gpt_neo", "architectures": ["GPTNeoForCausalLM"], "hidden_size": 4}
    plain |= {"num_heads": 1, "vocab_size": 256}
    return text("config.json", json.dumps(plain | fields))


BRACKETS = "[" * 100_000

#: A kind of damage, and words that the message must have. Each message must also name the file.
DAMAGES: Mapping[str, tuple[Damage, str, str]] = {
    name: (damage, file, why)
    for name, damage, file, why in (
        ("hidden_size 33", config(hidden_size=33), "config.json", "hidden"),
        ("hidden_size 64", config(hidden_size=64), "", ""),
        ("hidden_size -1", config(hidden_size=-1), "config.json", ""),
        ("hidden_size 0", config(hidden_size=0), "", ""),
        ("hidden_size 2^40", config(hidden_size=1 << 40), "config.json", "the files hold"),
        ("hidden_size 10^30", config(hidden_size=10**30), "config.json", ""),
        ("hidden_size null", config(hidden_size=None), "config.json", ""),
        ("layers '2'", config(num_hidden_layers="2"), "config.json", "num_hidden_layers"),
        ("layers []", config(num_hidden_layers=[]), "config.json", "num_hidden_layers"),
        ("layers 0", config(num_hidden_layers=0), "", ""),
        ("layers 2", config(num_hidden_layers=2), "", ""),
        ("layers 9999", config(num_hidden_layers=9999), "config.json", "the files hold"),
        (
            "layers 10^7",
            config(num_hidden_layers=10**7),
            "config.json",
            "num_hidden_layers must be at most 10,000, not 10000000",
        ),
        ("layers 10^30", config(num_hidden_layers=10**30), "config.json", "at most 10,000"),
        ("vocab_size 10^9", config(vocab_size=10**9), "config.json", "the files hold"),
        ("vocab_size 100", config(vocab_size=100), "", ""),
        ("vocab_size 1.5", config(vocab_size=1.5), "config.json", "vocab_size"),
        ("heads 3", config(num_attention_heads=3), "", ""),
        ("heads 0", config(num_attention_heads=0), "config.json", ""),
        ("key heads 3", config(num_key_value_heads=3), "", ""),
        ("key heads 0", config(num_key_value_heads=0), "config.json", ""),
        ("head_dim 10^9", config(head_dim=10**9), "config.json", "the files hold"),
        ("head_dim '8'", config(head_dim="8"), "config.json", "head_dim"),
        ("inner 7", config(intermediate_size=7), "", ""),
        ("hidden_act none", config(hidden_act="nosuch"), "config.json", "nosuch"),
        ("hidden_act 3", config(hidden_act=3), "config.json", "hidden_act"),
        ("pad 10^6", config(pad_token_id=10**6), "config.json", "adding_idx"),
        ("rope of nothing", config(rope_parameters={"rope_type": "none"}), "config.json", ""),
        ("rope a list", config(rope_parameters=[1]), "config.json", "rope_parameters"),
        ("positions '9'", config(max_position_embeddings="9"), "config.json", "max_position"),
        ("labels 2^31", config(num_labels=1 << 31), "config.json", "num_labels must be at most"),
        ("labels a list", config(id2label=[1, 2]), "config.json", ""),
        ("types of layers", config(layer_types=["nosuch"]), "config.json", "layer_types"),
        ("quantised 3", config(quantization_config=3), "config.json", ""),
        ("quantised {}", config(quantization_config={"quant_method": "no"}), "", ""),
        ("dtype nothing", config(dtype="float7"), "config.json", "float7"),
        ("model_type none", config(model_type="oracle"), "config.json", "oracle"),
        ("model_type 3", config(model_type=3), "config.json", ""),
        ("no model_type", without("config.json", "model_type"), "config.json", "model_type"),
        ("class none", config(architectures=["Oracle"]), "", ""),
        ("class Trainer", config(architectures=["Trainer"]), "config.json", "Trainer, which is no"),
        ("class pipeline", config(architectures=["pipeline"]), "config.json", "is no model"),
        (
            "class a text",
            config(architectures="LlamaForCausalLM"),
            "config.json",
            "a list of names",
        ),
        ("class 3", config(architectures=[3]), "config.json", "a list of names"),
        ("class BERT", config(architectures=["BertModel"]), "config.json", ""),
        # A mask that is made before any tensor is read, and a list that is written out.
        ("a mask", neo(max_position_embeddings=60_000), "config.json", "asks for a buffer"),
        ("a list", neo(attention_types=[[["global"], 1 << 40]]), "config.json", "more memory"),
        ("config empty", text("config.json", ""), "config.json", "not JSON"),
        ("config cut", text("config.json", '{"hidden_size": 3'), "config.json", "not JSON"),
        ("config brackets", text("config.json", BRACKETS), "config.json", "levels"),
        ("config digits", text("config.json", "9" * 5000), "config.json", "not JSON"),
        ("config list", text("config.json", "[]"), "config.json", "must be an object"),
        ("config bytes", text("config.json", b"\xff\xfe"), "config.json", "utf-8"),
        ("config pipe", pipe("config.json"), "config.json", "not a regular file"),
        ("config device", device("config.json"), "config.json", "not a regular file"),
        ("tokenizer pipe", pipe("tokenizer.json"), "tokenizer.json", "not a regular file"),
        ("strange pipe", pipe("chat_template.jinja"), "chat_template.jinja", "not a regular file"),
        ("strange device", device("vocab.json"), "vocab.json", "not a regular file"),
        ("tokenizer empty", text("tokenizer.json", ""), "tokenizer", ""),
        ("tokenizer brackets", text("tokenizer.json", BRACKETS), "tokenizer", ""),
        ("tokenizer {}", text("tokenizer.json", "{}"), "tokenizer", ""),
        ("tokenizer model", lambda f: edit(f, "tokenizer.json", model=3), "tokenizer", ""),
        (
            "settings brackets",
            text("tokenizer_config.json", BRACKETS),
            "tokenizer_config",
            "levels",
        ),
        ("settings list", text("tokenizer_config.json", "[]"), "tokenizer", ""),
        ("longest '2'", tokenizer_config(model_max_length="2"), "tokenizer", ""),
        ("side up", tokenizer_config(padding_side="up"), "tokenizer", "adding side"),
        ("token 3", tokenizer_config(eos_token=3), "tokenizer", "eos_token"),
        ("class Trainer here", tokenizer_config(tokenizer_class="Trainer"), "tokenizer", "Trainer"),
        ("class {} here", tokenizer_config(tokenizer_class={}), "tokenizer", "tokenizer_class"),
        ("auto_map 3", tokenizer_config(auto_map=3), "tokenizer", ""),
        ("added tokens", text("added_tokens.json", "[1"), "", ""),
        ("special tokens", text("special_tokens_map.json", "{]"), "", ""),
    )
}


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch):
    """Return a function that runs a command, "y" on its input; gives status and errors."""

    def call(*args: object):
        monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 20))
        before = resource.getrlimit(resource.RLIMIT_AS)
        status = main([str(arg) for arg in args])
        assert resource.getrlimit(resource.RLIMIT_AS) == before
        return status, capfd.readouterr().err

    return call


def lines(errors: str) -> list[str]:
    return [line for line in errors.splitlines() if line.strip()]


@pytest.mark.parametrize("kind", ["summand", "hub"])
@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_told_in_one_line(
    command, tiny_llama, llama_folder, tmp_path, monkeypatch, kind, name
):
    monkeypatch.setattr(hub, "_CONFIG_BYTES", 256 << 20)  # reached sooner
    damage, file, why = DAMAGES[name]
    folder = shutil.copytree(tiny_llama if kind == "summand" else llama_folder, tmp_path / "m")
    damage(folder)
    reseal(folder)
    start = time.perf_counter()
    if kind == "summand":
        status, errors = command("run", folder, "--prompt", "a", "--tokens", 2)
    else:
        status, errors = command("evaluate", folder, "--tokens", 20)
    assert time.perf_counter() - start < 30
    assert "Traceback" not in errors
    if not file and status == 0:
        return  # harmless here
    assert status == 2
    (line,) = lines(errors)
    assert line.startswith("summand: ")
    assert len(line) < 700
    assert file in line
    assert why in line


def with_code(folder: Path, marker: Path, *, known: bool) -> None:
    """Put Python code into a folder, and ask for it in every way that transformers knows."""
    code = f"from pathlib import Path\nPath({str(marker)!r}).write_text(__name__)\n"
    for name in ("code.py", "configuration_llama.py", "modeling_llama.py", "setup.py"):
        (folder / name).write_text(code)
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(code)
    classes = ("AutoConfig", "AutoModel", "AutoModelForCausalLM")
    auto_map = {name: f"code.{name}" for name in classes}
    inner = {name: f"{folder}--code.{name}" for name in classes}
    other = {} if known else {"model_type": "own", "architectures": ["Own"]}
    edit(folder, "config.json", auto_map=auto_map, text_config={"auto_map": inner}, **other)
    tokenizer = {"AutoTokenizer": ["code.AutoTokenizer", "code.AutoTokenizer"]}
    edit(folder, "tokenizer_config.json", auto_map=tokenizer)
    if not known:
        edit(folder, "tokenizer_config.json", tokenizer_class="OwnTokenizer")
    edit(folder, "generation_config.json", custom_generate=str(folder), auto_map=auto_map)
    reseal(folder)


COMMANDS = {
    "run": ("run", "DIR", "--prompt", "a", "--tokens", 2),
    "bench": ("bench", "DIR", "--modelled"),
    "bench with tokens": ("bench", "DIR", "--config", "rows-1", "--tokens", 1),
    "verify": ("verify", "--model", "DIR", "--device", "golden"),
    "evaluate": ("evaluate", "DIR", "--tokens", 20),
    "evaluate a source": ("evaluate", "HUB", "--tokens", 20),
    "compress": ("compress", "HUB", "-o", "OUT", "--calibration-tokens", 20),
    "compress to a target": (
        *("compress", "HUB", "-o", "OUT", "--calibration-tokens", 20),
        *("--target-bits", 6),
    ),
}


@pytest.mark.parametrize("known", [True, False], ids=["known class", "own class"])
@pytest.mark.parametrize("name", COMMANDS)
def test_code_in_a_folder_never_runs(
    command, tiny_llama, llama_folder, tmp_path, monkeypatch, name, known
):
    marker = tmp_path / "marker"
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    places = {"OUT": tmp_path / "out"}
    for word, folder in (("DIR", tiny_llama), ("HUB", llama_folder)):
        places[word] = shutil.copytree(folder, tmp_path / word)
        with_code(places[word], marker, known=known)
    status, errors = command(*(places.get(str(arg), arg) for arg in COMMANDS[name]))
    assert not marker.exists()
    assert "Traceback" not in errors
    needs_class = not name.startswith(("verify", "bench"))
    if needs_class and not known:
        assert status == 2
        assert "asks for Python code of its own (auto_map), which is never executed" in errors
    else:
        assert status in (0, 2)


@pytest.mark.parametrize("name", ["AutoModelForCausalLM", "AutoConfig", "AutoTokenizer"])
def test_no_other_class_is_read_as_a_tokenizer(command, llama_folder, tmp_path, name):
    """Its ``from_pretrained`` would ask the user, and run code of the folder."""
    marker = tmp_path / "marker"
    folder = shutil.copytree(llama_folder, tmp_path / "m")
    with_code(folder, marker, known=True)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    status, errors = command("evaluate", folder, "--tokens", 20)
    assert status == 2
    assert f"tokenizer_class names '{name}', which is none" in errors
    assert not marker.exists()


@pytest.mark.parametrize("wanted", ["eager", "flash_attention_2", "kernels-community/flash-attn"])
def test_attention_is_torchs_whatever_a_file_asks_for(llama_folder, tmp_path, wanted):
    from summand.compress import open_source

    folder = shutil.copytree(llama_folder, tmp_path / "m")
    edit(folder, "config.json", attn_implementation=wanted, _attn_implementation=wanted)
    for lazy in (False, True):
        module: Any = open_source(str(folder), lazy=lazy).module
        assert module.config._attn_implementation == "sdpa"
