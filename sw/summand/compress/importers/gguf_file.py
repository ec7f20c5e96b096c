"""GGUF files: blocks of 32 integers with a scale, and perhaps a least value."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.compress.importers.errors import NotHeldError
from summand.compress.importers.weight import QuantisedWeight

__all__ = ["GgufCheckpoint", "decode_blocks"]

_BLOCK = 32

#: Bytes of a block of 32: a float16 scale (and a float16 least value), then integers.
_KINDS = {"Q4_0": 18, "Q4_1": 20, "Q8_0": 34}


def decode_blocks(kind: str, data: npt.NDArray[np.uint8]) -> QuantisedWeight:
    """Return what the blocks of a tensor's rows stand for.

    Parameters
    ----------
    kind : str
        ``Q4_0``, ``Q4_1`` or ``Q8_0``.
    data : uint8 array, shape ``[N, bytes of a row]``
        As in the file.
    """
    if kind not in _KINDS:
        raise NotHeldError(f"blocks of kind {kind}; {', '.join(_KINDS)} can be held")
    n = len(data)
    blocks = np.ascontiguousarray(data).reshape(n, -1, _KINDS[kind])
    heads = 2 if kind == "Q4_1" else 1
    floats = np.ascontiguousarray(blocks[:, :, : 2 * heads]).view("<f2").astype(np.float32)
    body = blocks[:, :, 2 * heads :]
    if kind == "Q8_0":
        codes = body.view(np.int8).astype(np.int16)
    else:  # the first 16 integers in the low halves of the bytes, the others in the high ones
        codes = np.concatenate([body & 15, body >> 4], axis=2).astype(np.int16) - 8
    codes = codes.reshape(n, -1).T
    scales, groups = floats[:, :, 0].T, np.arange(len(codes)) // _BLOCK
    if kind != "Q4_1":
        return QuantisedWeight(codes, scales, groups, kind)
    return QuantisedWeight(codes, scales, groups, kind, floats[:, :, 1].T + 8 * scales)


class GgufCheckpoint:
    """A GGUF file, its layers by the names that they have in a Hugging Face model.

    Parameters
    ----------
    path : Path
        The file.
    tied : bool
        Whether the output head is the embedding.
    """

    format = "GGUF"

    def __init__(self, path: Path, *, tied: bool):
        import gguf

        reader = gguf.GGUFReader(path)
        arch = reader.fields["general.architecture"].contents()
        blocks = reader.fields[f"{arch}.block_count"].contents()
        kind = next((k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch), None)
        self._map: Any = kind and gguf.get_tensor_name_map(kind, int(blocks))
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}
        self._tied = tied

    def _find(self, name: str) -> Any:
        found = self._map and self._map.get_name(name)
        if found == "output" and f"{found}.weight" not in self._tensors and self._tied:
            found = "token_embd"
        return self._tensors.get(f"{found}.weight")

    def holds(self, name: str) -> bool:
        """Whether the module of this path is quantised."""
        tensor = self._find(name)
        return tensor is not None and tensor.tensor_type.name not in ("F32", "F16", "BF16")

    def weight(self, name: str) -> QuantisedWeight:
        """Read a layer."""
        tensor = self._find(name)
        return decode_blocks(tensor.tensor_type.name, tensor.data)
