"""Chooses a token by a model's logits."""

from dataclasses import dataclass

import torch

__all__ = ["Sampler", "Sampling"]


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    Parameters
    ----------
    temperature : float
        0 takes the likeliest token.
    seed : int
        Of the chances that are taken where ``temperature`` is above 0.
    """

    temperature: float = 0.0
    seed: int = 0


class Sampler:
    """Chooses the tokens of one text, one chance a token."""

    def __init__(self, sampling: Sampling):
        self._temperature = sampling.temperature
        self._random = torch.Generator().manual_seed(sampling.seed)

    def choose(self, logits: torch.Tensor) -> int:
        """Return a token, by float32 logits of shape ``[vocabulary]``."""
        if not self._temperature:
            return int(logits.argmax())
        shares = torch.softmax((logits - logits.max()) / self._temperature, dim=-1)
        return int(torch.multinomial(shares, 1, generator=self._random))
