"""Text to calibrate on and texts to evaluate on, which have no paragraph in common.

Evaluation reads every second topic of ``pydoc_data.topics``, or texts of kinds that calibration
never sees: the GNU General Public License, as it comes with NumPy, and ``sentences.txt``, three
hundred short sentences of many kinds, written for this package or proverbial. Calibration reads,
turn and turn about, the other topics, less every paragraph that evaluation has too (several topics
repeat each other), docstrings of the standard library, ``prose.json`` and ``fragments.json``: four
kinds of text, because what is calibrated on one kind alone is worse on others. The prose and the
fragments were written by SmolLM2-135M-Instruct; ``tools/prose.py`` had it do so.
"""

import ast
import hashlib
import importlib.metadata
import json
import re
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.compress.network.predictions import embeds

__all__ = [
    "Text",
    "calibration_text",
    "evaluation_text",
    "mixed_text",
    "other_text",
    "read_text",
    "rows_of",
    "sentences_of",
    "topics_text",
    "windows",
]

#: Packages whose wheels carry the GNU General Public License, version 3, among their licences.
_LICENSED = ("numpy", "scipy", "torch")

#: Modules with long docstrings in plain English, in every Python from 3.11.
_DOCUMENTED = (
    "argparse", "ast", "calendar", "codecs", "collections/__init__", "configparser", "csv",
    "datetime", "difflib", "doctest", "enum", "fractions", "functools", "heapq", "inspect",
    "ipaddress", "json/__init__", "logging/__init__", "mailbox", "optparse", "pathlib", "pickle",
    "random", "shutil", "statistics", "string", "subprocess", "tarfile", "textwrap", "threading",
    "turtle", "typing", "unittest/case", "unittest/mock", "uuid", "zipfile",
)  # fmt: skip

#: Characters that a sentence has at least, and at most.
_LENGTH = (20, 400)


@dataclass(frozen=True)
class Text:
    """Some text, and where it is from."""

    origin: str
    body: str

    @property
    def sha256(self) -> str:
        """Checksum of the text."""
        return hashlib.sha256(self.body.encode()).hexdigest()

    def record(self, tokens: int) -> dict[str, Any]:
        """Return what a manifest says of so many tokens of it that were read."""
        return {"text": self.origin, "sha256": self.sha256, "tokens": tokens}


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


def _written(name: str) -> Iterator[str]:
    """Yield the paragraphs of a file of documents."""
    for document in json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8")):
        yield from _paragraphs(document)


def evaluation_text() -> Text:
    """Return the default text for perplexity, of a kind that calibration knows."""
    return Text("every second topic of pydoc_data.topics", "\n\n".join(_topics(0)))


def topics_text() -> Text:
    """Return the topics that :func:`evaluation_text` leaves, without paragraphs that it has."""
    taken = {_plain(p) for p in _topics(0)}
    body = "\n\n".join(p for p in _topics(1) if _plain(p) not in taken)
    return Text("the other topics of pydoc_data.topics", body)


def other_text() -> Text:
    """Return a text of a kind that calibration does not know.

    Raises
    ------
    CompressError
        If no installed package carries it.
    """
    for package in _LICENSED:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            if "LICENSE" not in file.name.upper():
                continue
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            start = text.find("GNU GENERAL PUBLIC LICENSE\n")
            stop = text.find("END OF TERMS AND CONDITIONS", start)
            if 0 <= start < stop and "Version 3" in text[start : start + 200]:
                body = "\n\n".join(map(_plain, _paragraphs(text[start:stop])))
                return Text("GNU General Public License, version 3", body)
    raise CompressError(
        f"none of {', '.join(_LICENSED)} carries the GNU General Public License as installed here; "
        f"give a text of your own"
    )


def mixed_text() -> Text:
    """Return short sentences of many kinds, each on its own: nothing prepares for the next one.

    Calibration does not know them, and a model has less to go by than in a text that goes on, so
    they show losses that long texts hide.
    """
    body = Path(__file__).with_name("sentences.txt").read_text(encoding="utf-8")
    return Text("short sentences of many kinds", body)


def calibration_text() -> Text:
    """Return the default text for calibration: pieces of some 2,000 characters in turn."""
    taken = {_plain(p) for p in _topics(0)}
    kinds = (
        _pieces(p for p in source if _plain(p) not in taken)
        for source in (
            _topics(1),
            _docstrings(),
            _written("prose.json"),
            _written("fragments.json"),
        )
    )
    mixed = [piece for turn in zip(*kinds, strict=False) for piece in turn]
    origin = "topics of pydoc_data.topics, docstrings, prose and fragments, in turn"
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


def rows_of(
    module: nn.Module, tokenizer: Any, text: Text, *, tokens: int, window: int
) -> list[torch.Tensor]:
    """Cut text up into what a model is used on: windows, or sentences where it embeds."""
    cut = sentences_of if embeds(module) else windows
    return cut(tokenizer, text, tokens=tokens, window=window)


def sentences_of(tokenizer: Any, text: Text, *, tokens: int, window: int) -> list[torch.Tensor]:
    """Return the ids of the text's sentences, each ``[1, n]``, up to ``tokens`` in all.

    Raises
    ------
    CompressError
        If there are fewer than three.
    """
    rows, total, seen = [], 0, set()
    for paragraph in text.body.split("\n\n"):
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(paragraph.split())):
            if not _LENGTH[0] <= len(sentence) <= _LENGTH[1] or sentence in seen:
                continue
            seen.add(sentence)
            ids = tokenizer(sentence, truncation=True, max_length=window)["input_ids"]
            total += len(ids)
            if total > tokens and len(rows) > 2:
                return rows
            rows.append(torch.tensor(ids, dtype=torch.int64)[None])
    if len(rows) < 3:
        raise CompressError(f"{text.origin} has {len(rows)} sentences; give more text")
    return rows
