"""How good a model is at text: perplexity, and distance from its uncompressed self."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.compress.integer import replace
from summand.compress.parallel import in_parallel
from summand.compress.survey import call
from summand.model import SummandModel
from summand.model.host import load_host

__all__ = ["Evaluation", "evaluate", "load_integer"]

#: Positions whose probabilities are worked out at a time: bounds memory for large vocabularies.
_POSITIONS = 128


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What came out.

    Parameters
    ----------
    tokens : int
        Tokens predicted.
    perplexity : float
        ``exp`` of the mean negative log-likelihood of a token.
    reference_perplexity : float, optional
        The same of the uncompressed model.
    kl_divergence : float, optional
        Mean over tokens of ``KL(uncompressed || compressed)``, in nats.
    top1_agreement : float, optional
        Share of tokens where both models think the same token likeliest.
    seconds : float
        Time taken.
    """

    tokens: int
    perplexity: float
    reference_perplexity: float | None
    kl_divergence: float | None
    top1_agreement: float | None
    seconds: float


@dataclass
class _Sums:
    tokens: int = 0
    loss: float = 0.0
    reference_loss: float = 0.0
    divergence: float = 0.0
    agreed: int = 0

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def evaluate(
    module: nn.Module,
    rows: Sequence[torch.Tensor],
    *,
    reference: nn.Module | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Let a causal language model predict each row's tokens from those before them.

    Parameters
    ----------
    module : nn.Module
        Called with ``input_ids``; returns something with ``logits``.
    rows : sequence of int64 tensors, shape ``[1, tokens]``
        Each read for itself; its first token is given.
    reference : nn.Module, optional
        The uncompressed model.
    progress : callable, optional
        Called with the rows done and their number.
    """
    start = time.perf_counter()

    def read(ids: torch.Tensor) -> _Sums:
        sums = _Sums()
        logits = _logits(module, ids)
        other = None if reference is None else _logits(reference, ids)
        for first in range(0, len(logits), _POSITIONS):
            part = slice(first, first + _POSITIONS)
            _add(sums, logits[part], None if other is None else other[part], ids[0, 1:][part])
        return sums

    sums = _Sums()
    for i, each in enumerate(in_parallel(read, rows)):
        sums = sums + each
        if progress:
            progress(i + 1, len(rows))
    n, compared = sums.tokens, reference is not None
    return Evaluation(
        tokens=n,
        perplexity=math.exp(sums.loss / n),
        reference_perplexity=math.exp(sums.reference_loss / n) if compared else None,
        kl_divergence=sums.divergence / n if compared else None,
        top1_agreement=sums.agreed / n if compared else None,
        seconds=time.perf_counter() - start,
    )


def _logits(module: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Return ``[tokens - 1, vocabulary]`` for the tokens after the first."""
    output: Any = call(module, {"input_ids": ids})
    logits = getattr(output, "logits", None)
    if logits is None or logits.shape[:2] != ids.shape:
        raise CompressError(
            f"{type(module).__name__} predicts no tokens; evaluate takes causal language models"
        )
    return logits[0, :-1]


def _add(
    sums: _Sums, logits: torch.Tensor, other: torch.Tensor | None, targets: torch.Tensor
) -> None:
    logp = logits.float().log_softmax(dim=-1)
    picked = logp.gather(1, targets[:, None]).double()
    if not torch.isfinite(picked).all():
        raise CompressError("the model's predictions are not finite; the model is broken")
    sums.tokens += len(targets)
    sums.loss -= float(picked.sum())
    if other is None:
        return
    logq = other.float().log_softmax(dim=-1)
    sums.reference_loss -= float(logq.gather(1, targets[:, None]).double().sum())
    sums.divergence += float((logq.exp() * (logq - logp)).sum(dim=-1).double().sum())
    sums.agreed += int((logp.argmax(dim=-1) == logq.argmax(dim=-1)).sum())


def load_integer(model: SummandModel) -> nn.Module:
    """Return a folder's model with every compressed layer computed exactly, by BLAS."""
    module = load_host(model)
    for layer in model.layers():
        replace(module, layer)
    return module
