"""The one place where transformers reads a folder: configuration, class, tokenizer.

A folder may come from a stranger. Nothing in it is executed, nothing is fetched from elsewhere, and
every error of any library becomes a :class:`ModelError` of one line that names the file and the
cause.
"""

import copy
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from summand.model.errors import ModelError, Refusal
from summand.model.guard import guarded, quiet
from summand.model.limits import Stored, limited_memory, limited_module
from summand.model.reading import check_size, parse_json, read_text

__all__ = [
    "build_empty",
    "check_files",
    "language_model_class",
    "load_weights",
    "model_class",
    "read_config",
    "read_generation",
    "read_tokenizer",
]

#: Arguments of every call of transformers that reads a folder.
_SAFE: Mapping[str, Any] = {"trust_remote_code": False, "local_files_only": True}

#: Bytes of a file that libraries read as a whole; Gemma's tokenizer.json has 33 MB.
_TEXT_BYTES = 512 << 20
_TEXTS = {".json", ".jinja", ".txt", ".model", ".tiktoken"}

#: Bytes of memory for reading a configuration, and for building a module without weights.
_CONFIG_BYTES, _MODULE_BYTES = 1 << 30, 4 << 30

#: The most that a configuration may count, by a part of the names; libraries loop as often.
_COUNTS = {"layer": 10_000, "label": 1_000_000}

#: Text that every tokenizer can take.
_TRIAL = "Once upon a time"


def check_files(folder: Path, pattern: str = "*") -> None:
    """Refuse a folder in which a file is a pipe or a device, or a text of unreasonable size.

    Raises
    ------
    ModelError
        That names the file.
    """
    try:
        for path in sorted(folder.glob(pattern)):
            if not path.is_dir() and path.exists():  # a dangling link counts as missing
                check_size(path, _TEXT_BYTES if path.suffix in _TEXTS else None)
    except OSError as e:
        raise ModelError(f"cannot read {e.filename or folder}: {e.strerror}") from None


def read_config(folder: Path, *, gguf: Path | None = None, remedy: str) -> Any:
    """Return a folder's configuration, or that of a GGUF file in it.

    Raises
    ------
    ModelError
        If there is none that transformers can read without code of the folder's own.
    """
    import torch  # noqa: F401  # first, so that it is not counted
    from transformers import AutoConfig

    file = gguf or folder / "config.json"
    extra = {"gguf_file": gguf.name} if gguf else {}
    most = _CONFIG_BYTES + (check_size(gguf) if gguf else 0)
    with quiet(), guarded(file, remedy), limited_memory(most):
        if gguf is None:
            _check_config(parse_json(read_text(file)))
        config: Any = AutoConfig.from_pretrained(folder, **_SAFE, **extra)
        names = config.architectures
        if names is not None and not (
            isinstance(names, list) and all(isinstance(name, str) for name in names)
        ):
            raise Refusal(f"architectures must be a list of names, not {reprlib.repr(names)}")
    return config


def _check_config(raw: Any) -> None:
    """Refuse counts that no model has."""
    if not isinstance(raw, dict):
        raise Refusal(f"it must be an object, not {type(raw).__name__}")
    for name, value in raw.items():
        if isinstance(value, dict):
            _check_config(value)
        for part, most in _COUNTS.items():
            if isinstance(value, int) and part in name and value > most:
                raise Refusal(f"{name} must be at most {most:,}, not {reprlib.repr(value)}")


def model_class(config: Any, file: Path) -> Any:
    """Return the class that a configuration names; None if transformers has none of that name.

    Raises
    ------
    ModelError
        If the name belongs to something other than a model.
    """
    import transformers

    name = (config.architectures or [""])[0]
    with quiet(), guarded(file, "give a model that transformers supports"):
        found = getattr(transformers, name, None) if name.isidentifier() else None
    if found is None:
        return None
    if not (isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)):
        raise ModelError(f"{file}: architectures names {name}, which is no model")
    return found


def language_model_class(config: Any, file: Path) -> Any:
    """Return the causal language model that transformers has for a type of configuration.

    Raises
    ------
    ModelError
        If it has none.
    """
    import transformers

    with quiet(), guarded(file, "give a causal language model that transformers supports"):
        return transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]


def build_empty(cls: Any, config: Any, stored: Stored, *, file: Path, remedy: str) -> Any:
    """Build a model without weights: parameters on torch's meta device, buffers in memory.

    Raises
    ------
    ModelError
        If the configuration is of no model, or of a larger one than its files can hold.
    """
    from accelerate import init_empty_weights

    _prepare(cls, config, stored, file=file, remedy=remedy)
    with quiet(), guarded(file, remedy), init_empty_weights(include_buffers=False):
        return cls(config)


def load_weights(
    cls: Any, folder: Path, config: Any, stored: Stored, *, file: Path, remedy: str, **extra: Any
) -> tuple[Any, Mapping[str, Any]]:
    """Return ``cls.from_pretrained`` of a folder, in float32, and its report on the tensors.

    ``extra`` are further arguments: ``gguf_file``, or a ``state_dict`` instead of files.

    Raises
    ------
    ModelError
        If the weights cannot be read, or for the reasons of :func:`build_empty`.
    """
    import torch

    _prepare(cls, config, stored, file=file, remedy=remedy)
    place = None if "state_dict" in extra else folder
    with quiet(), guarded(folder, remedy):
        module, info = cls.from_pretrained(
            place,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused here, by name
            **_SAFE,
            **extra,
        )
        if others := sorted(name for name, *_ in info["mismatched_keys"]):
            raise Refusal(f"tensor {others[0]} is of another shape than {file.name} says")
    return module, info


def _prepare(cls: Any, config: Any, stored: Stored, *, file: Path, remedy: str) -> None:
    """Choose the attention, and build the model once on the meta device, within bounds."""
    import torch

    _choose_attention(config, cls)
    with quiet(), guarded(file, remedy), limited_memory(_MODULE_BYTES), limited_module(stored):
        with torch.device("meta"):
            cls(copy.deepcopy(config))


def _choose_attention(config: Any, cls: Any) -> None:
    """Have attention computed by torch's own function, whatever a file asks for.

    transformers takes that by default where a model supports it. A file may name another function,
    which would be fetched from elsewhere.
    """
    inner = dict.fromkeys(config.sub_configs)
    supported = getattr(cls, "_supports_sdpa", False) and not config.output_attentions
    config._attn_implementation = {"": "sdpa" if supported else "eager", **inner}
    if hasattr(config, "_experts_implementation"):
        config._experts_implementation = {"": None, **inner}


def read_generation(folder: Path, remedy: str) -> Any:
    """Return a folder's generation configuration; None if it has none."""
    from transformers import GenerationConfig

    file = folder / "generation_config.json"
    if not file.exists():
        return None
    with quiet(), guarded(file, remedy):
        parse_json(read_text(file))
        return GenerationConfig.from_pretrained(folder, local_files_only=True)


def read_tokenizer(folder: Path, config: Any, *, gguf: Path | None = None, remedy: str) -> Any:
    """Return the tokenizer of a folder, or of a GGUF file in it, given its configuration.

    Raises
    ------
    ModelError
        If there is none that transformers can read without code of the folder's own.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerBase

    extra = {"gguf_file": gguf.name} if gguf else {"config": config}
    for file in () if gguf else (folder / "config.json", folder / "tokenizer_config.json"):
        if file.exists():
            with quiet(), guarded(file, remedy):
                _check_tokenizer(parse_json(read_text(file)))
    with quiet(), guarded(gguf or f"the tokenizer in {folder}", remedy):
        found: Any = AutoTokenizer.from_pretrained(folder, **_SAFE, **extra)
        if not isinstance(found, PreTrainedTokenizerBase):
            raise Refusal(f"{type(found).__name__} is no tokenizer")
        found.decode(found(_TRIAL)["input_ids"])  # some errors show only in use
    return found


def _check_tokenizer(raw: Any) -> None:
    """Refuse a class that is no tokenizer, because its ``from_pretrained`` would run."""
    import transformers

    name = raw.get("tokenizer_class") if isinstance(raw, dict) else None
    if name is None:
        return
    found = getattr(transformers, name, None) if isinstance(name, str) else name
    if isinstance(found, type) and hasattr(found, "_backends"):
        return  # a placeholder for a tokenizer whose library is missing; it says so when used
    if found is not None and not (
        isinstance(found, type) and issubclass(found, transformers.PreTrainedTokenizerBase)
    ):
        raise Refusal(f"tokenizer_class names {reprlib.repr(name)}, which is none")
