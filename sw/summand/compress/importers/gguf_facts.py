"""What a GGUF file says besides its weights."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from summand.compress.errors import CompressError

__all__ = ["GgufFacts"]

#: Factors by which frequencies of the rotary embedding are divided; Llama 3.1 and later.
_FACTORS = "rope_freqs.weight"

#: Names before the first dot of keys that make a file something else than a model.
_OTHER_FILES = frozenset({"adapter", "clip", "controlvector", "imatrix"})


class GgufFacts:
    """Metadata and names of the tensors of a GGUF file.

    What a model computes with is said under the name of its architecture, ``llama.rope.freq_base``;
    of keys under other names ``split`` and those of other kinds of files matter, the rest describe
    the file (``general``) or the tokenizer.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    CompressError
        If it is no whole model.
    """

    def __init__(self, path: Path):
        import gguf

        self.path, self._reader = path, gguf.GGUFReader(path)
        fields = self._reader.fields.items()
        self._fields = {k: f.contents() for k, f in fields if not k.startswith("tokenizer.")}
        self.arch = str(self._fields.get("general.architecture"))
        if (count := self._fields.get("split.count", 1)) > 1:
            raise CompressError(
                f"{path} is one of {count} files of a model (split.count); put them together with "
                f"llama-gguf-split --merge"
            )
        kinds = {key.partition(".")[0] for key in self._fields} & _OTHER_FILES
        if kinds or self._fields.get("general.type", "model") != "model":
            kind = self._fields.get("general.type", ", ".join(kinds))
            raise CompressError(f"{path} is no model, but of the type {kind}; give a model")

    @property
    def tensors(self) -> frozenset[str]:
        """Names of the tensors, without the factors of :meth:`rope`."""
        return frozenset(tensor.name for tensor in self._reader.tensors) - {_FACTORS}

    @cached_property
    def own(self) -> Mapping[str, Any]:
        """Keys under the name of the architecture, without it."""
        start = f"{self.arch}."
        return {k.removeprefix(start): v for k, v in self._fields.items() if k.startswith(start)}

    def refuse(self, key: str, why: str) -> NoReturn:
        """Raise :class:`CompressError` about a key of :attr:`own`."""
        value = self.own.get(key)
        raise CompressError(
            f"{self.path}: {self.arch}.{key} is {value!r}, {why}; give the model as a Hugging "
            f"Face folder"
        )

    @cached_property
    def _rope_factors(self) -> npt.NDArray[np.float32] | None:
        tensor = next((t for t in self._reader.tensors if t.name == _FACTORS), None)
        if tensor is None:
            return None
        factors = np.asarray(tensor.data)
        if factors.dtype != np.float32 or not np.isfinite(factors).all() or factors.min() < 1:
            raise CompressError(
                f"{self.path}: {_FACTORS} must be numbers of 1 or more by which frequencies are "
                f"divided; give the model as a Hugging Face folder"
            )
        return factors

    def rope(self) -> Mapping[str, Any] | None:
        """Return the rotary embedding's scaling as transformers writes it, if there is one.

        Raises
        ------
        CompressError
            If there is one that cannot be written so.
        """
        kind = self.own.get("rope.scaling.type", "none")
        if kind not in ("none", "linear"):
            self.refuse("rope.scaling.type", "which transformers' GGUF loader does not apply")
        factor = float(self.own.get("rope.scaling.factor", 1.0)) if kind == "linear" else 1.0
        factors = self._rope_factors
        if factors is not None and factor != 1.0:
            self.refuse("rope.scaling.factor", f"and there is {_FACTORS} besides")
        if factors is not None:
            return {
                "rope_type": "longrope",
                "short_factor": factors.tolist(),
                "long_factor": factors.tolist(),
                "factor": 1.0,
                "attention_factor": 1.0,
                "original_max_position_embeddings": int(self.own.get("context_length", 2048)),
            }
        return {"rope_type": "linear", "factor": factor} if factor != 1.0 else None

    def apply_to(self, config: Any) -> None:
        """Put into a configuration what transformers' reader of this file has left out."""
        rope = self.rope()
        if rope is None:
            return
        known = getattr(config, "rope_parameters", None)
        if known and any(isinstance(value, Mapping) for value in known.values()):
            self.refuse("rope.scaling.type", f"or there is {_FACTORS}, but layers differ")
        if known is None:
            config.rope_scaling = dict(rope)
        else:
            config.rope_parameters = {**known, **rope}
