"""What a board is to do with a model, and the time that it has for it."""

from dataclasses import dataclass

from summand.explore.errors import ExploreError

__all__ = ["Limits", "Workload"]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Texts that are read and written.

    Parameters
    ----------
    prefill : int
        Tokens of a prompt.
    decode : int
        Tokens that are written behind it.
    batch : int
        Texts at a time.
    """

    prefill: int = 512
    decode: int = 256
    batch: int = 1

    def __post_init__(self):
        for name, least in (("prefill", 0), ("decode", 0), ("batch", 1)):
            if getattr(self, name) < least:
                raise ExploreError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if not self.prefill + self.decode:
            raise ExploreError("a workload has tokens to read or to write: prefill or decode")

    def read(self, *, head: bool) -> int:
        """Return the tokens of all prompts that a layer computes: the head only their last ones."""
        return min(self.prefill, 1 if head else self.prefill) * self.batch


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a point must keep.

    Parameters
    ----------
    kl : float
        Loss at most, as predicted, nats a token.
    tokens_s : float
        Tokens written a second, all texts together, at least.
    luts : int, optional
        Look-up tables at most; those of the FPGA without.
    """

    kl: float = 0.1
    tokens_s: float = 0.0
    luts: int | None = None

    def __post_init__(self):
        if not self.kl > 0:
            raise ExploreError(f"a loss of at most {self.kl} nats cannot be kept: give more than 0")
        if not self.tokens_s >= 0:
            raise ExploreError(f"tokens a second must be at least 0, not {self.tokens_s}")
        if self.luts is not None and self.luts < 1:
            raise ExploreError(f"look-up tables must be at least 1, not {self.luts}")
