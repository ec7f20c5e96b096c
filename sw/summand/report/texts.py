"""Figures of a model on a text: for models that predict tokens and for those that embed."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from summand.compress import CompressError, Text, evaluate
from summand.compress.evaluation.embeddings import compare_embeddings
from summand.compress.network.predictions import embeds

__all__ = ["EmbeddingFigures", "TextFigures", "TokenFigures", "read", "text_figures"]


@dataclass(frozen=True, kw_only=True)
class TokenFigures:
    """How a model predicts a text, compared with the uncompressed one if that is available.

    :class:`~summand.compress.Evaluation` describes the fields.
    """

    #: What :attr:`distance` is.
    DISTANCE: ClassVar[str] = "KL divergence, nats a token"

    text: str
    text_sha256: str
    tokens: int
    perplexity: float
    reference_perplexity: float | None = None
    kl_divergence: float | None = None
    top1_agreement: float | None = None

    @property
    def size(self) -> str:
        """How much was read."""
        return f"{self.tokens:,} tokens"

    @property
    def ratio(self) -> float | None:
        """Perplexity as a multiple of the uncompressed model's."""
        if self.reference_perplexity is None:
            return None
        return self.perplexity / self.reference_perplexity

    @property
    def distance(self) -> float | None:
        """How far from the uncompressed model it is."""
        return self.kl_divergence

    def cells(self) -> dict[str, str]:
        """Return the figures by name, formatted for people; "" for a missing one."""
        return {
            "perplexity": f"{self.perplexity:.3f}",
            "times full precision": _shown(self.ratio, ".4f"),
            self.DISTANCE: _shown(self.kl_divergence, ".4f"),
            "same likeliest token": _shown(self.top1_agreement, ".1%"),
        }

    def uncompressed(self) -> dict[str, str]:
        """Return the uncompressed model's values of the cells that apply to it."""
        if self.reference_perplexity is None:
            return {}
        return {"perplexity": f"{self.reference_perplexity:.3f}"}


@dataclass(frozen=True, kw_only=True)
class EmbeddingFigures:
    """How a model embeds a text's sentences, compared with the uncompressed one.

    :class:`~summand.compress.evaluation.embeddings.EmbeddingEvaluation` describes the fields.
    """

    #: What :attr:`distance` is.
    DISTANCE: ClassVar[str] = "1 - cosine to full precision, mean"

    text: str
    text_sha256: str
    sentences: int
    tokens: int
    mean_cosine: float
    least_cosine: float
    similarity_error: float
    same_nearest: float

    @property
    def size(self) -> str:
        """How much was read."""
        return f"{self.sentences:,} sentences"

    @property
    def ratio(self) -> None:
        """None: there is no perplexity."""
        return

    @property
    def distance(self) -> float:
        """How far from the uncompressed model it is."""
        return 1 - self.mean_cosine

    def cells(self) -> dict[str, str]:
        """Return the figures by name, formatted for people."""
        return {
            "cosine to full precision, mean": f"{self.mean_cosine:.5f}",
            "least": f"{self.least_cosine:.5f}",
            "error of similarities": f"{self.similarity_error:.5f}",
            "same nearest sentence": f"{self.same_nearest:.1%}",
        }

    def uncompressed(self) -> dict[str, str]:
        """Return nothing: the figures compare with the uncompressed model."""
        return {}


#: Figures of a model of either kind on a text.
TextFigures = TokenFigures | EmbeddingFigures


def text_figures(raw: Mapping[str, Any]) -> TextFigures:
    """Undo ``dataclasses.asdict``."""
    return EmbeddingFigures(**raw) if "sentences" in raw else TokenFigures(**raw)


def read(
    module: nn.Module,
    text: Text,
    rows: Sequence[torch.Tensor],
    *,
    reference: nn.Module | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[TextFigures, float]:
    """Evaluate a model by its tokens or embeddings; returns figures and the seconds taken.

    Parameters
    ----------
    module : nn.Module
        A Hugging Face model, its layers compressed or not.
    text : Text
        The text.
    rows : sequence of int64 tensors, shape ``[1, tokens]``
        The text, cut up by :func:`~summand.compress.calibrate.text.rows_of`.
    reference : nn.Module, optional
        The uncompressed model.
    progress : callable, optional
        Called with the rows done and their number.

    Raises
    ------
    CompressError
        If the model does neither, or embeds and has no reference.
    """
    start = time.perf_counter()
    origin = {"text": text.origin, "text_sha256": text.sha256}
    if embeds(module):
        if reference is None:
            raise CompressError(
                f"{type(module).__name__} predicts no tokens and has nothing to be compared with"
            )
        found = compare_embeddings(module, rows, reference, progress=progress)
        figures = EmbeddingFigures(**origin, **dataclasses.asdict(found))
    else:
        found = evaluate(module, rows, reference=reference, progress=progress)
        figures = TokenFigures(**origin, **dataclasses.asdict(found))
    return figures, time.perf_counter() - start


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
