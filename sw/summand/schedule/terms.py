"""Sizes of layers, as the planner sees them: sums of products, each with one of two forms."""

from dataclasses import dataclass

from summand.isa import EngineConfig
from summand.isa.patterns import SparsePattern

__all__ = ["Direct", "Factored", "Sizes", "Term"]


@dataclass(frozen=True, kw_only=True)
class Direct:
    """A matrix ``[K, N]`` that multiplies the input and adds to the outputs.

    Parameters
    ----------
    planes : int
        Bit-planes of a weight, 1 to 8.
    group : int
        Input features that share scales; 0 without scales.
    scale_bits : int
        Bits of a scale; 0 without scales.
    shift : int
        How far the accumulators are shifted left before it adds.
    half_step : bool
        Whether its weights are ``2 * q + 1``, with ``q`` what the planes hold.
    kept, block : int
        Of every ``block`` weights of an output at most ``kept`` are other than 0; 0 where all may
        be.
    """

    planes: int
    group: int = 0
    scale_bits: int = 0
    shift: int = 0
    half_step: bool = False
    kept: int = 0
    block: int = 0

    def pattern(self, config: EngineConfig | None = None) -> SparsePattern | None:
        """Return its pattern, or as which ``config``'s engine streams it; None where it cannot."""
        if not self.block:
            return None
        pattern = SparsePattern(kept=self.kept, block=self.block)
        return pattern.widened(config.sparse_block) if config else pattern


@dataclass(frozen=True, kw_only=True)
class Factored:
    """Two matrices ``[K, R]`` and ``[R, N]`` with a requantisation between them.

    Parameters
    ----------
    rank : int
        R, at least 1.
    first, second : int
        Bit-planes of the two factors' weights, 1 to 8 each.
    shift : int
        How far the accumulators are shifted left before it adds.
    """

    rank: int
    first: int
    second: int
    shift: int = 0


Term = Direct | Factored


@dataclass(frozen=True)
class Sizes:
    """All of a layer that its commands depend on; layers of equal sizes get equal commands.

    Parameters
    ----------
    in_features, out_features : int
        K and N.
    terms : tuple of Term
        The terms in the order in which they add. Direct terms come first, because one walk over the
        input computes the first of them together with all first factors.
    """

    in_features: int
    out_features: int
    terms: tuple[Term, ...]

    @property
    def direct(self) -> tuple[tuple[int, Direct], ...]:
        """The direct terms, each with its index."""
        return tuple((i, t) for i, t in enumerate(self.terms) if isinstance(t, Direct))

    @property
    def factored(self) -> tuple[tuple[int, Factored], ...]:
        """The factored terms, each with its index."""
        return tuple((i, t) for i, t in enumerate(self.terms) if isinstance(t, Factored))

    @property
    def shifts(self) -> frozenset[int]:
        """The shifts of accumulators between terms, other than 0."""
        return frozenset(t.shift for t in self.terms if t.shift)

    @property
    def macs(self) -> int:
        """Multiplications a token, padding left out."""
        k, n = self.in_features, self.out_features
        return len(self.direct) * k * n + sum(t.rank * (k + n) for _, t in self.factored)
