"""How good a model is at text: perplexity, and distance from its uncompressed self."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import repeat
from typing import NoReturn

import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.compress.network.predictions import divergence, embeds, log_probabilities, token_logits
from summand.compress.twin.integer import replace
from summand.compress.workers.parallel import in_parallel
from summand.model import SummandModel
from summand.model.adapters import Adapter
from summand.model.causal import why_not_causal
from summand.model.host import load_host

__all__ = ["Evaluation", "check_kind", "evaluate", "load_integer"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How well a model predicts a text.

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
    """

    tokens: int
    perplexity: float
    reference_perplexity: float | None
    kl_divergence: float | None
    top1_agreement: float | None


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

    Raises
    ------
    CompressError
        If the model is not causal: its predictions use tokens that come later.
    """
    _check_causal(module, rows[0][:, :16])

    @torch.no_grad()
    def read(ids: torch.Tensor) -> _Sums:
        ours = token_logits(module, ids)[:-1]
        theirs = None if reference is None else token_logits(reference, ids)[:-1]
        return sum(_sums(ours, theirs, ids[0, 1:]), _Sums())

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
    )


def check_kind(module: nn.Module) -> None:
    """Refuse a Hugging Face model that predicts tokens, but not from those before them alone.

    Raises
    ------
    CompressError
        Naming its class.
    """
    if not embeds(module) and (why := why_not_causal(module)) is not None:
        _refuse(why)


def _check_causal(module: nn.Module, ids: torch.Tensor) -> None:
    """Refuse a model whose predictions depend on what comes after, whatever its class is."""
    check_kind(module)
    if ids.shape[1] < 2:
        return
    last = ids.clone()
    last[0, -1] = ids[0, -1] - 1 if ids[0, -1] else 1
    with torch.no_grad():
        before, after = (token_logits(module, each)[:-1] for each in (ids, last))
    # What is not finite compares as false here, and is refused where it is used.
    if float((before - after).abs().max()) > 1e-4 * float(before.abs().max()):
        _refuse(f"{type(module).__name__} looks at the tokens behind the one that it predicts")


def _refuse(why: str) -> NoReturn:
    raise CompressError(
        f"{why}; a perplexity of it would mean nothing: evaluate takes causal language models, and "
        f"encoders without an output head"
    )


def _sums(
    logits: torch.Tensor, reference: torch.Tensor | None, targets: torch.Tensor
) -> Iterator[_Sums]:
    """Yield losses and divergences of ``[tokens, vocabulary]`` logits, some rows at a time."""
    ours = log_probabilities(logits)
    theirs = repeat(None) if reference is None else log_probabilities(reference)
    first = 0
    for logq, logp in zip(ours, theirs, strict=False):
        target = targets[first : first + len(logq), None]
        first += len(logq)
        picked = logq.gather(1, target).double()
        if not torch.isfinite(picked).all():
            raise CompressError("the model's predictions are not finite; the model is broken")
        sums = _Sums(tokens=len(logq), loss=-float(picked.sum()))
        if logp is not None:
            sums.reference_loss = -float(logp.gather(1, target).double().sum())
            sums.divergence = float(divergence(logp, logq).sum())
            sums.agreed = int((logp.argmax(dim=-1) == logq.argmax(dim=-1)).sum())
        yield sums


def load_integer(model: SummandModel, adapter: Adapter | None = None) -> nn.Module:
    """Return a folder's model with every compressed layer computed exactly, by BLAS.

    With ``adapter``, which is of this model, layers are those that it makes of them.
    """
    module = load_host(model)
    for layer in (adapter or model).layers():
        replace(module, layer)
    return module
