"""Text to calibrate on and text to evaluate on, which have no paragraph in common.

Both come with Python. Evaluation reads every second topic of ``pydoc_data.topics``. Calibration
reads the other topics, less every paragraph that evaluation has too (several topics repeat each
other), and, turn and turn about, docstrings of the standard library: two kinds of text, because
what is calibrated on one kind alone is worse on others.
"""

import ast
import hashlib
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from summand.compress.errors import CompressError

__all__ = ["Text", "calibration_text", "evaluation_text", "read_text", "windows"]

#: Modules with long docstrings in plain English, in every Python from 3.11.
_DOCUMENTED = (
    "argparse", "ast", "calendar", "codecs", "collections/__init__", "configparser", "csv",
    "datetime", "difflib", "doctest", "enum", "fractions", "functools", "heapq", "inspect",
    "ipaddress", "json/__init__", "logging/__init__", "mailbox", "optparse", "pathlib", "pickle",
    "random", "shutil", "statistics", "string", "subprocess", "tarfile", "textwrap", "threading",
    "turtle", "typing", "unittest/case", "unittest/mock", "uuid", "zipfile",
)  # fmt: skip


@dataclass(frozen=True)
class Text:
    """Some text, and where it is from."""

    origin: str
    body: str

    @property
    def sha256(self) -> str:
        """Checksum of the text."""
        return hashlib.sha256(self.body.encode()).hexdigest()


def _topics(first: int) -> Iterator[str]:
    """Yield the paragraphs of every second topic, in alphabetical order."""
    from pydoc_data.topics import topics

    for name in sorted(topics)[first::2]:
        yield from _paragraphs(topics[name])


def _plain(paragraph: str) -> str:
    """Return a paragraph without its layout."""
    return " ".join(paragraph.split())


def _paragraphs(text: str) -> Iterator[str]:
    return (p for p in text.split("\n\n") if p.strip())


def _docstrings() -> Iterator[str]:
    """Yield the paragraphs of long docstrings of the standard library, read from its sources."""
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    for name in _DOCUMENTED:
        path = stdlib / f"{name}.py"
        if not path.exists():
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                doc = ast.get_docstring(node)
                if doc and len(doc) > 200:
                    yield from _paragraphs(doc)


def evaluation_text() -> Text:
    """Return the default text for perplexity."""
    return Text("every second topic of pydoc_data.topics", "\n\n".join(_topics(0)))


def calibration_text() -> Text:
    """Return the default text for calibration: pieces of some 2,000 characters in turn."""
    taken = {_plain(p) for p in _topics(0)}
    kinds = (
        _pieces(p for p in source if _plain(p) not in taken)
        for source in (_topics(1), _docstrings())
    )
    mixed = [piece for pair in zip(*kinds, strict=False) for piece in pair]
    origin = "other topics of pydoc_data.topics and docstrings of the standard library, in turn"
    return Text(origin, "\n\n".join(mixed))


def _pieces(paragraphs: Iterable[str], size: int = 2000) -> Iterator[str]:
    """Join paragraphs to pieces of at least ``size`` characters."""
    piece: list[str] = []
    for p in paragraphs:
        piece.append(p)
        if sum(map(len, piece)) >= size:
            yield "\n\n".join(piece)
            piece = []


def read_text(path: Path) -> Text:
    """Read a text file; raises :class:`CompressError` if it is not UTF-8 text."""
    try:
        body = path.read_text(encoding="utf-8")
    except OSError as e:
        raise CompressError(f"cannot read {path}: {e.strerror}") from None
    except UnicodeDecodeError:
        raise CompressError(f"{path} is not UTF-8 text") from None
    if not body.strip():
        raise CompressError(f"{path} holds no text")
    return Text(path.name, body)


def windows(tokenizer: Any, text: Text, *, tokens: int, window: int) -> list[torch.Tensor]:
    """Cut the text's first ``tokens`` tokens into rows of ``window``, each ``[1, window]``.

    A last row may be shorter, but not shorter than 2. No special tokens are added.
    """
    if tokens < 2:
        raise CompressError(f"tokens must be at least 2, not {tokens}")
    # 16 characters a token and more are rare: the rest of a long text need not be cut up.
    ids = tokenizer(text.body[: tokens * 16], add_special_tokens=False, verbose=False)["input_ids"]
    ids = torch.tensor(ids[:tokens], dtype=torch.int64)
    if len(ids) < 2:
        raise CompressError(f"{text.origin} is too short: {len(ids)} tokens; give more text")
    return [row[None] for row in ids.split(window) if len(row) >= 2]
