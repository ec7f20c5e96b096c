"""How good a compressed sentence encoder is: its embeddings beside the uncompressed model's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.compress.network.survey import call
from summand.compress.workers.parallel import in_parallel

__all__ = ["EmbeddingEvaluation", "compare_embeddings"]


@dataclass(frozen=True, kw_only=True)
class EmbeddingEvaluation:
    """How far two models' embeddings are apart.

    Parameters
    ----------
    sentences : int
        Compared.
    tokens : int
        Of all of them.
    mean_cosine, least_cosine : float
        Cosine of the angle between both models' embeddings of a sentence: on average, and of the
        sentence where they are furthest apart.
    similarity_error : float
        Root of the mean square difference of both models' cosines between two sentences, over all
        pairs.
    same_nearest : float
        Share of sentences whose nearest other sentence is the same for both models.
    """

    sentences: int
    tokens: int
    mean_cosine: float
    least_cosine: float
    similarity_error: float
    same_nearest: float


def compare_embeddings(
    module: nn.Module,
    rows: Sequence[torch.Tensor],
    reference: nn.Module,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddingEvaluation:
    """Compare embeddings: the mean of a sentence's last hidden states, of length 1.

    Parameters
    ----------
    module, reference : nn.Module
        Called with ``input_ids``; return something with ``last_hidden_state``.
    rows : sequence of int64 tensors, shape ``[1, n]``
        A sentence each.
    progress : callable, optional
        Called with the rows done and their number.
    """
    pairs = []
    both = in_parallel(lambda ids: (_embedding(module, ids), _embedding(reference, ids)), rows)
    for i, pair in enumerate(both):
        pairs.append(pair)
        if progress:
            progress(i + 1, len(rows))
    ours, theirs = (torch.stack(side) for side in zip(*pairs, strict=True))
    cosines = (ours * theirs).sum(dim=1)
    # A sentence is not its own neighbour.
    alone = torch.eye(len(rows), dtype=torch.bool)
    a, b = (side @ side.T for side in (ours, theirs))
    nearest = [s.masked_fill(alone, -2).argmax(dim=1) for s in (a, b)]
    return EmbeddingEvaluation(
        sentences=len(rows),
        tokens=sum(ids.numel() for ids in rows),
        mean_cosine=float(cosines.mean()),
        least_cosine=float(cosines.min()),
        similarity_error=float((a - b)[~alone].square().mean().sqrt()),
        same_nearest=float((nearest[0] == nearest[1]).double().mean()),
    )


def _embedding(module: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    hidden = getattr(call(module, {"input_ids": ids}), "last_hidden_state", None)
    if hidden is None:
        raise CompressError(
            f"{type(module).__name__} predicts no tokens and has no hidden states; evaluate takes "
            f"causal language models and encoders"
        )
    return nn.functional.normalize(hidden[0].double().mean(dim=0), dim=0)
