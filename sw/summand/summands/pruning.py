"""Which weights of each block are kept: scores, and the best by score."""

import torch

from summand.isa.patterns import SparsePattern

__all__ = ["best_of_blocks", "saliency"]


def saliency(
    score: str, weight: torch.Tensor, energy: torch.Tensor, inverse: torch.Tensor | None = None
) -> torch.Tensor:
    """Return how much each weight matters, ``[N, K]``, as one of :data:`.SCORES`.

    ``"magnitude"`` is ``|w|``; ``"wanda"`` is ``|w|`` times the root mean square of its input
    (arXiv 2306.11695); ``"sparsegpt"`` is ``w^2 / [H^-1]_kk``, what is lost if the weight becomes
    0 and all others make up for it (arXiv 2301.00774).

    Parameters
    ----------
    weight : float32 tensor, shape ``[N, K]``
        What is to be pruned.
    energy : float32 tensor, shape ``[K]``
        Mean square of each input feature.
    inverse : float32 tensor, shape ``[K]``, optional
        The diagonal of the inverse of the inputs' moments; ``"sparsegpt"`` needs it.
    """
    if score == "magnitude":
        return weight.abs()
    if score == "wanda":
        return weight.abs() * energy.sqrt()
    assert inverse is not None
    return weight.square() / inverse


def best_of_blocks(scores: torch.Tensor, pattern: SparsePattern) -> torch.Tensor:
    """Return where the ``kept`` highest scores of each block are, bool ``[N, K]``.

    Of equal scores the first is taken.
    """
    cut = scores.view(len(scores), -1, pattern.block)
    best = cut.argsort(dim=2, descending=True, stable=True)[:, :, : pattern.kept]
    return torch.zeros_like(cut, dtype=torch.bool).scatter_(2, best, True).view_as(scores)
