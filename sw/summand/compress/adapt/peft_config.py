"""PEFT's ``adapter_config.json``: what can be expressed, and by name what cannot."""

import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from summand.compress.errors import CompressError
from summand.model.reading import read_json

__all__ = ["CONFIG", "LoraConfig", "names"]

CONFIG = "adapter_config.json"

#: The highest rank.
_RANK = 4096

#: Fields that only training or bookkeeping uses.
_IGNORED = frozenset({
    "auto_mapping", "base_model_name_or_path", "corda_config", "ensure_weight_tying", "eva_config",
    "exclude_modules", "fan_in_fan_out", "inference_mode", "layers_pattern", "layers_to_transform",
    "loftq_config", "lora_dropout", "lora_ga_config", "megatron_core", "peft_version",
    "qalora_group_size", "revision", "runtime_config", "task_type",
})  # fmt: skip

#: Fields that are read.
_READ = frozenset({
    "alpha_pattern", "bias", "init_lora_weights", "lora_alpha", "modules_to_save", "peft_type", "r",
    "rank_pattern", "target_modules", "use_dora", "use_rslora",
})  # fmt: skip

#: What cannot be expressed, and what to do.
_REFUSED: Mapping[str, str] = {
    "use_dora": "scales the columns of the whole weight (DoRA), which factors beside it cannot do; "
    "train it without",
    "modules_to_save": "replaces modules of the model; merge the adapter, and compress the merged "
    "model",
    "lora_bias": "gives the factors biases; train it without",
    "layer_replication": "repeats layers, so that the model is another one; merge the adapter, and "
    "compress the merged model",
    "target_parameters": "adapts parameters that are no linear layers; train it on target_modules",
    "trainable_token_indices": "changes embeddings; train it without",
    "use_qalora": "averages inputs over groups (QALoRA); train it without",
    "alora_invocation_tokens": "acts on a part of the text only (aLoRA); train it without",
}

#: Initialisations that leave the model's own weights as they are.
_NEUTRAL = ("gaussian", "eva", "orthogonal")

#: A module's name or the end of one. In PEFT it is a regular expression, whose dot is any
#: character; nothing else of one is taken, because a stranger's can take for ever.
_PLAIN = re.compile(r"\^?(?:\w|\\?\.)+")


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """What an adapter's factors mean.

    Parameters
    ----------
    rank : int
        Of modules without a rank of their own.
    alpha : float
        What is divided by the rank to give the factors' scale, for modules without one of their
        own.
    rank_stabilised : bool
        Whether it is divided by the root of the rank instead (arXiv 2312.03732).
    ranks, alphas : mapping
        Of modules whose name is, or ends with, the key.
    targets : tuple of str, optional
        Ends of the names of all adapted modules, where they are listed.
    everywhere : bool
        Whether all modules of these names are adapted, and not some of them.
    """

    rank: int
    alpha: float
    rank_stabilised: bool = False
    ranks: Mapping[str, int] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)
    targets: tuple[str, ...] | None = None
    everywhere: bool = False

    @classmethod
    def read(cls, folder: Path) -> "LoraConfig":
        """Read a folder's.

        Raises
        ------
        CompressError
            If there is none, or it asks for what factors beside a weight cannot express.
        ModelError
            If it is no JSON file of reasonable size.
        """
        file = folder / CONFIG
        try:
            raw = read_json(file)
        except OSError as e:
            raise CompressError(
                f"cannot read {file}: {e.strerror}; give the folder that PEFT's save_pretrained "
                f"wrote"
            ) from None
        if not isinstance(raw, dict):
            raise CompressError(f"{file} must hold an object, not {type(raw).__name__}")
        return _Reader(file, raw).config()

    def rank_of(self, module: str) -> int:
        """Return the rank of a module's factors."""
        return _matched(self.ranks, module, self.rank)

    def scale_of(self, module: str) -> float:
        """Return what a module's factors are multiplied by."""
        rank = self.rank_of(module)
        alpha = _matched(self.alphas, module, self.alpha)
        return alpha / (math.sqrt(rank) if self.rank_stabilised else rank)

    def is_target(self, module: str) -> bool:
        """Whether a module is among those listed; true where none are."""
        return self.targets is None or any(names(target, module) for target in self.targets)


def _matched(pattern: Mapping[str, Any], module: str, other: Any) -> Any:
    """Return the value of the first key that names a module, as PEFT looks it up."""
    for key, value in pattern.items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return other


def names(target: str, module: str) -> bool:
    """Whether a target is a module's name or, from a dot on, its end."""
    return module == target or module.endswith(f".{target}")


class _Reader:
    """Checks the fields of one file."""

    def __init__(self, file: Path, raw: Mapping[str, Any]):
        self._file = file
        self._raw = raw

    def config(self) -> LoraConfig:
        raw = self._raw
        if (kind := raw.get("peft_type")) != "LORA":
            self._refuse(
                f"peft_type must be 'LORA', not {reprlib.repr(kind)}: only low-rank factors beside "
                f"a weight can be added to a model; train a LoRA adapter"
            )
        self._check_refused()
        if (bias := raw.get("bias", "none")) != "none":
            self._refuse(
                f"bias must be 'none', not {reprlib.repr(bias)}: biases stay the model's; train it "
                f"with bias none"
            )
        initial = raw.get("init_lora_weights", True)
        if initial not in (True, False, None, *_NEUTRAL):
            self._refuse(
                f"init_lora_weights must be true, false or {', '.join(_NEUTRAL)}, not "
                f"{reprlib.repr(initial)}, which changes the model's weights too; let PEFT convert "
                f"it to a plain LoRA adapter (path_initial_model_for_weight_conversion)"
            )
        targets = raw.get("target_modules")
        listed = targets if isinstance(targets, list) else None
        if listed is not None and not all(isinstance(t, str) and t for t in listed):
            self._refuse(f"target_modules must be names, not {reprlib.repr(targets)}")
        some = any(raw.get(name) for name in ("exclude_modules", "layers_to_transform"))
        return LoraConfig(
            rank=self._rank("r", raw.get("r")),
            alpha=self._number("lora_alpha", raw.get("lora_alpha")),
            rank_stabilised=self._flag("use_rslora"),
            ranks={k: self._rank(f"rank_pattern.{k}", v) for k, v in self._pattern("rank_pattern")},
            alphas={
                k: self._number(f"alpha_pattern.{k}", v) for k, v in self._pattern("alpha_pattern")
            },
            targets=None if listed is None else tuple(listed),
            everywhere=listed is not None and not some,
        )

    def _check_refused(self) -> None:
        for name, value in self._raw.items():
            if not value or name in _IGNORED:  # null, false, 0 and what is empty ask for nothing
                continue
            if name in _REFUSED:
                self._refuse(f"{name} {_REFUSED[name]}")
            if name not in _READ:
                self._refuse(
                    f"{ascii(name)} is a field that this Summand does not know, and it is set to "
                    f"{reprlib.repr(value)}; train it without, or merge the adapter and compress "
                    f"the merged model"
                )

    def _rank(self, name: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _RANK:
            self._refuse(f"{name} must be 1 to {_RANK}, not {reprlib.repr(value)}")
        return value

    def _number(self, name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
            self._refuse(f"{name} must be a number below 1e30, not {reprlib.repr(value)}")
        return float(value)

    def _flag(self, name: str) -> bool:
        if not isinstance(value := self._raw.get(name) or False, bool):
            self._refuse(f"{name} must be true or false, not {reprlib.repr(value)}")
        return value

    def _pattern(self, name: str) -> list[tuple[str, object]]:
        pattern = self._raw.get(name) or {}
        if not isinstance(pattern, dict):
            self._refuse(f"{name} must be an object, not {reprlib.repr(pattern)}")
        for key in pattern:
            if not _PLAIN.fullmatch(key):
                self._refuse(
                    f"{name} has the regular expression {ascii(key)}; write names of modules, or "
                    f"ends of names, in its place"
                )
        return list(pattern.items())

    def _refuse(self, why: str) -> NoReturn:
        raise CompressError(f"{self._file}: {why}")
