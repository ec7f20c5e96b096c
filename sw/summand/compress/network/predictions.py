"""What models predict of the next token, and how far two models' predictions are apart."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.compress.network.survey import invoke

__all__ = ["divergence", "divergence_gradient", "embeds", "log_probabilities", "token_logits"]

#: Positions whose probabilities are worked out at a time: bounds memory for large vocabularies.
_POSITIONS = 128


def embeds(module: nn.Module) -> bool:
    """Whether a Hugging Face model has no output head: it embeds, and predicts no tokens."""
    find: Any = getattr(module, "get_output_embeddings", None)
    return find is not None and find() is None


def token_logits(module: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Return ``[tokens, vocabulary]``: the logits of the token that follows each token.

    Gradients flow where they are enabled.

    Parameters
    ----------
    module : nn.Module
        Called with ``input_ids``; returns something with ``logits``.
    ids : int64 tensor, shape ``[1, tokens]``
        The row.

    Raises
    ------
    CompressError
        If it returns no logits of every token.
    """
    output: Any = invoke(module, {"input_ids": ids})
    logits = getattr(output, "logits", None)
    if logits is None or logits.shape[:2] != ids.shape:
        raise CompressError(
            f"{type(module).__name__} predicts no tokens; perplexity and distillation are of "
            f"causal language models: give one, or leave it out"
        )
    return logits.squeeze(0)


def log_probabilities(logits: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield float32 logarithms of probabilities of ``[tokens, vocabulary]``, some rows at a time.

    The number of rows is the same for every model, so that two can be iterated together.
    """
    for part in logits.split(_POSITIONS):
        yield part.float().log_softmax(dim=-1)


def divergence(logp: torch.Tensor, logq: torch.Tensor) -> torch.Tensor:
    """Return ``KL(p || q)`` of each position in nats, float64 ``[tokens]``."""
    return (logp.exp() * (logp - logq)).sum(dim=-1).double()


def divergence_gradient(logits: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the gradient of the mean KL divergence from a teacher with regard to logits.

    Both are ``[tokens, vocabulary]`` of logits; the result overwrites
    ``teacher``.
    """
    for mine, theirs in zip(logits.split(_POSITIONS), teacher.split(_POSITIONS), strict=True):
        p = theirs.float().softmax(dim=-1)
        theirs.copy_((mine.float().softmax(dim=-1) - p) / len(logits))
    return teacher
