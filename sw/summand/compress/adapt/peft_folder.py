"""A folder that PEFT wrote: its configuration and its factors, checked against each other."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from summand.compress.adapt.peft_config import CONFIG, LoraConfig, names
from summand.compress.errors import CompressError
from summand.model.folder import sha256
from summand.model.reading import check_size

__all__ = ["TENSORS", "LoraFactors", "PeftFolder"]

TENSORS = "adapter_model.safetensors"

_NAME = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")

#: Parts of names of tensors that are no factors, and what they are.
_OTHERS = {
    ".lora_embedding_": "adapts an embedding, which stays on the host; train it on linear layers",
    ".lora_magnitude_vector": "is of DoRA, which factors beside a weight cannot express; train it "
    "without use_dora",
    ".lora_A.bias": "is a factor's bias; train it with lora_bias false",
    ".lora_B.bias": "is a factor's bias; train it with lora_bias false",
}

#: The largest norm of what is added to a weight.
_LARGEST = 1e30

_DTYPES = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True, eq=False)
class LoraFactors:
    """What an adapter adds to a linear layer: ``x @ a.T @ b.T`` to the output (arXiv 2106.09685).

    Parameters
    ----------
    a : float32 tensor, shape ``[R, K]``
        The first factor; finite.
    b : float32 tensor, shape ``[N, R]``
        The second one, with the adapter's scale in it; finite.
    """

    a: torch.Tensor
    b: torch.Tensor

    @property
    def rank(self) -> int:
        """R."""
        return len(self.a)

    @property
    def delta(self) -> torch.Tensor:
        """What is added to the weight, float32 ``[N, K]``."""
        return (self.b.double() @ self.a.double()).float()

    def of(self, outputs: torch.Tensor) -> "LoraFactors":
        """Return those of some of the outputs, int64 ``[n]``."""
        return LoraFactors(self.a, self.b[outputs])


class PeftFolder:
    """A LoRA adapter in the format of PEFT. Names and shapes are checked here, numbers when read.

    Parameters
    ----------
    path : Path
        The folder.

    Raises
    ------
    CompressError
        If it is none, or one that low-rank summands cannot express; the text says why.
    ModelError
        If a file is a pipe, a device or the like.
    """

    def __init__(self, path: Path):
        from safetensors import SafetensorError, safe_open

        self.path = path
        self.config = LoraConfig.read(path)
        self._file = path / TENSORS
        #: Input and output features, K and N, by the name of the module.
        self.shapes: dict[str, tuple[int, int]] = {}
        if not self._file.exists() and (path / "adapter_model.bin").exists():
            raise CompressError(
                f"{path / 'adapter_model.bin'} is a pickle, which is never read; save the adapter "
                f"as safetensors (save_pretrained with safe_serialization)"
            )
        try:
            check_size(self._file)
            with safe_open(self._file, framework="pt") as file:
                self._check(file)
        except (OSError, SafetensorError) as e:
            self._refuse(f"{e}; copy the adapter's folder again")

    @classmethod
    def reopen(cls, record: Mapping[str, Any]) -> "PeftFolder":
        """Open what an adapter was made of again, as the adapter's manifest names it.

        Raises
        ------
        CompressError
            If it is gone, or is not what it was.
        """
        path = record.get("path")
        if not isinstance(path, str) or not path.isprintable() or not Path(path).exists():
            raise CompressError(f"the adapter in floating point is no longer at {path}")
        found = cls(Path(path))
        if found.sha256 != record.get("sha256"):
            raise CompressError(f"{path} is no longer the adapter that was made summands")
        return found

    @property
    def sha256(self) -> str:
        """Checksum of the tensors' file."""
        return sha256(self._file)

    def factors(self, module: str) -> LoraFactors:
        """Read a module's factors.

        Raises
        ------
        CompressError
            If a number is not finite, or larger than any that training gives.
        """
        from safetensors import SafetensorError, safe_open

        found = []
        try:
            with safe_open(self._file, framework="pt") as file:
                for which in "AB":
                    name = _tensor(module, which)
                    found.append(file.get_tensor(name).to(torch.float32))
                    if not torch.isfinite(found[-1]).all():
                        self._refuse(
                            f"tensor {name} holds numbers that are not finite; the training that "
                            f"wrote it diverged"
                        )
        except (OSError, SafetensorError) as e:
            self._refuse(f"{e}; copy the adapter's folder again")
        a, b = found
        scale = self.config.scale_of(module)
        if not float(a.double().norm() * b.double().norm()) * abs(scale) < _LARGEST:
            self._refuse(
                f"module {module}: its factors are too large for float32; the training that wrote "
                f"them diverged"
            )
        return LoraFactors(a, b * scale)

    def _check(self, file: Any) -> None:
        shapes: dict[str, dict[str, tuple[int, ...]]] = {}
        for name in file.keys():  # noqa: SIM118  # it is no mapping
            if (match := _NAME.fullmatch(name)) is None:
                self._refuse_tensor(name)
            part = file.get_slice(name)
            if (dtype := part.get_dtype()) not in _DTYPES:
                self._refuse(f"tensor {name} must be of {', '.join(_DTYPES)}, not {dtype}")
            shapes.setdefault(match[1], {})[match[2]] = tuple(part.get_shape())
        if not shapes:
            self._refuse("it holds no factors; give the folder of a trained adapter")
        for module in sorted(shapes):
            self.shapes[module] = self._shape(module, shapes[module])
        self._check_targets()

    def _shape(self, module: str, shapes: dict[str, tuple[int, ...]]) -> tuple[int, int]:
        """Return a module's features, once both factors are there and of its rank."""
        for which in "AB":
            if which not in shapes:
                self._refuse(f"tensor {_tensor(module, which)} is missing; copy the folder again")
        a, b = shapes["A"], shapes["B"]
        rank = self.config.rank_of(module)
        for which, shape, axis in (("A", a, 0), ("B", b, 1)):
            if len(shape) != 2 or shape[axis] != rank or 0 in shape:
                wanted = f"[{rank}, K]" if which == "A" else f"[N, {rank}]"
                self._refuse(
                    f"tensor {_tensor(module, which)} must be of shape {wanted} by {CONFIG}, not "
                    f"{list(shape)}; give both files of one adapter, of linear layers alone"
                )
        return a[1], b[0]

    def _check_targets(self) -> None:
        for module in self.shapes:
            if not self.config.is_target(module):
                self._refuse(
                    f"module {module} is none of {CONFIG}'s target_modules; give both files of one "
                    f"adapter"
                )
        for target in self.config.targets or ():
            if not any(names(target, module) for module in self.shapes):
                self._refuse(
                    f"it has no factors for {target} of {CONFIG}'s target_modules; give both files "
                    f"of one adapter"
                )

    def _refuse_tensor(self, name: str) -> NoReturn:
        for part, why in _OTHERS.items():
            if part in name:
                self._refuse(f"tensor {name} {why}")
        self._refuse(
            f"tensor {name} is no factor of a linear layer, which is called "
            f"base_model.model.MODULE.lora_A.weight or .lora_B.weight; train an adapter without it"
        )

    def _refuse(self, why: str) -> NoReturn:
        raise CompressError(f"{self._file}: {why}")


def _tensor(module: str, which: str) -> str:
    return f"base_model.model.{module}.lora_{which}.weight"
