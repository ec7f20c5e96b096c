"""Merges safetensors files without holding their tensors in memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["merge"]

#: Bytes of an element, by the format's names of types.
_BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2}
_BYTES |= {"I16": 2, "U16": 2}

#: Bytes copied at a time.
_PIECE = 1 << 20


@dataclass(frozen=True)
class _Stored:
    """Where a tensor is stored: its file, and the bytes ``start`` to ``stop`` in it."""

    file: Path
    name: str
    dtype: str
    shape: list[int]
    start: int
    stop: int


def _tensors(file: Path) -> list[_Stored]:
    """Return the tensors that a safetensors file's header lists."""
    with file.open("rb") as f:
        length = int.from_bytes(f.read(8), "little")
        header: dict[str, Any] = json.loads(f.read(length))
    header.pop("__metadata__", None)
    first = 8 + length
    return [
        _Stored(file, name, entry["dtype"], entry["shape"], *(first + o for o in offsets))
        for name, entry in header.items()
        for offsets in [entry["data_offsets"]]
    ]


def merge(parts: Sequence[Path], destination: Path) -> None:
    """Write all tensors of safetensors files to one, wide elements first so that all are aligned.

    Memory does not depend on their size. The same parts in the same order give the same bytes.
    """
    found = [tensor for part in parts for tensor in sorted(_tensors(part), key=lambda t: t.start)]
    found.sort(key=lambda t: -_BYTES.get(t.dtype, 1))
    header: dict[str, Any] = {}
    end = 0
    for t in found:
        offsets = [end, end + t.stop - t.start]
        header[t.name] = {"dtype": t.dtype, "shape": t.shape, "data_offsets": offsets}
        end = offsets[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with destination.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for t in found:
            with t.file.open("rb") as part:
                part.seek(t.start)
                _copy(part, out, t.stop - t.start)


def _copy(source: BinaryIO, destination: BinaryIO, count: int) -> None:
    while count:
        piece = source.read(min(count, _PIECE))
        if not piece:
            raise OSError(f"{source.name} ended {count} bytes early")
        destination.write(piece)
        count -= len(piece)
