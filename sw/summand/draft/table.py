"""Keeping what token recycling has learned in a file."""

import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from summand.draft.recycled import PAIRS, WIDTH, Recycled
from summand.isa import SummandError

__all__ = ["DraftTableError", "load_table", "save_table"]

_FORMAT = "summand draft table"
_VERSION = "1"

#: The most bytes of a file's header.
_HEADER = 1 << 16

#: The columns of each tensor; rows of followers are filled up with -1.
_COLUMNS = {"singles": 1, "singles.followers": WIDTH, "pairs": 2, "pairs.followers": WIDTH}

_Tensors = dict[str, npt.NDArray[Any]]


class DraftTableError(SummandError):
    """A table of a drafter that cannot be read or written; the text names the remedy."""


def save_table(path: Path, learned: Recycled, *, tokenizer: str) -> None:
    """Write what was learned, whole or not at all. Only the user may read it: it quotes texts.

    Parameters
    ----------
    path : Path
        A safetensors file, replaced if it is there.
    learned : Recycled
        Of a :class:`~summand.draft.recycling.TokenRecycling`.
    tokenizer : str
        What tells the tokenizer from others, such as a checksum.

    Raises
    ------
    DraftTableError
        If the file cannot be written.
    """
    from safetensors.numpy import save

    tensors: _Tensors = {
        "singles": _array([(token,) for token, _ in learned.singles], 1),
        "singles.followers": _array([followers for _, followers in learned.singles], WIDTH),
        "pairs": _array([pair for pair, _ in learned.pairs], 2),
        "pairs.followers": _array([followers for _, followers in learned.pairs], WIDTH),
    }
    facts = _facts(learned.vocabulary, tokenizer)
    data = save(tensors, facts | {"sha256": _digest(tensors)})
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as e:
        raise DraftTableError(
            f"cannot write the draft table {path}: {_cause(e)}; name another FILE"
        ) from None


def load_table(path: Path, *, vocabulary: int, tokenizer: str) -> Recycled:
    """Read what :func:`save_table` wrote; everything in the file is checked.

    Parameters
    ----------
    path : Path
        The file.
    vocabulary : int
        How many tokens the model knows.
    tokenizer : str
        As in :func:`save_table`.

    Raises
    ------
    DraftTableError
        If the file cannot be read, is damaged, or is of another vocabulary or tokenizer.
    """
    most = 4 * (vocabulary * (1 + WIDTH) + PAIRS * (2 + WIDTH)) + _HEADER
    try:
        data = _read(path, most)
    except (OSError, ValueError) as e:
        raise DraftTableError(
            f"cannot read the draft table {path}: {_cause(e)}; delete it or name another FILE"
        ) from None
    try:
        tensors, facts = _parse(data)
        _check_facts(facts, _facts(vocabulary, tokenizer) | {"sha256": _digest(tensors)})
        return Recycled(
            vocabulary,
            tuple(
                (token, followers) for (token,), followers in _rows(tensors, "singles", vocabulary)
            ),
            tuple(
                ((first, second), followers)
                for (first, second), followers in _rows(tensors, "pairs", PAIRS)
            ),
        )
    except ValueError as e:
        raise DraftTableError(f"{path}: {e}; delete it or name another FILE") from None


def _cause(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _array(rows: list[tuple[int, ...]], columns: int) -> npt.NDArray[np.int32]:
    array = np.full((len(rows), columns), -1, dtype=np.int32)
    for place, row in enumerate(rows):
        array[place, : len(row)] = row
    return array


def _facts(vocabulary: int, tokenizer: str) -> dict[str, str]:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "vocabulary": str(vocabulary),
        "tokenizer": tokenizer,
    }


def _digest(tensors: _Tensors) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype.str} {tensor.shape}\n".encode())
        total.update(tensor.tobytes())
    return total.hexdigest()


def _read(path: Path, most: int) -> bytes:
    # A pipe or a device has no end, and opening one may wait for ever.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it must be at most {most:,} bytes")
    return data


def _parse(data: bytes) -> tuple[_Tensors, dict[str, str]]:
    """Return a safetensors file's tensors and metadata; raises ``ValueError``."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    length = int.from_bytes(data[:8], "little")
    if length > _HEADER:
        raise ValueError(f"its header must be at most {_HEADER} bytes, not {length}")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        raise ValueError("not a safetensors file") from None
    if not isinstance(header, dict):
        raise ValueError("not a safetensors file")
    facts = header.pop("__metadata__", None) or {}
    if sorted(header) != sorted(_COLUMNS):
        raise ValueError(f"its tensors must be {', '.join(_COLUMNS)}, not {', '.join(header)}")
    for name, entry in header.items():
        kind = entry.get("dtype") if isinstance(entry, dict) else None
        if kind != "I32":
            raise ValueError(f"{name} must be of type I32, not {kind!r}")
    try:
        return load(data), facts
    except SafetensorError as e:
        raise ValueError(f"not a whole safetensors file ({e})") from None


def _check_facts(facts: dict[str, str], wanted: dict[str, str]) -> None:
    for name, value in wanted.items():
        if facts.get(name) != value:
            raise ValueError(f"{name} must be {value!r}, not {facts.get(name)!r}")


def _rows(tensors: _Tensors, name: str, most: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the keys of a table, each with its followers; raises ``ValueError``."""
    keys, followers = tensors[name], tensors[f"{name}.followers"]
    if keys.ndim != 2 or keys.shape[1] != _COLUMNS[name] or len(keys) > most:
        raise ValueError(
            f"{name} must have at most {most} rows of {_COLUMNS[name]}, not the shape {keys.shape}"
        )
    if followers.shape != (len(keys), WIDTH):
        raise ValueError(
            f"{name}.followers must have the shape {(len(keys), WIDTH)}, not {followers.shape}"
        )
    counts = (followers != -1).sum(axis=1)
    if not np.array_equal(followers != -1, np.arange(WIDTH) < counts[:, None]):
        raise ValueError(f"{name}.followers must have -1 at the ends of rows only")
    return [
        (tuple(key), tuple(row[:count]))
        for key, row, count in zip(keys.tolist(), followers.tolist(), counts.tolist(), strict=True)
    ]
