"""Sizes of layers, as the planner sees them: sums of products, each with one of two forms."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from summand.isa import EngineConfig
from summand.isa.limits import FIELDS
from summand.isa.patterns import SparsePattern
from summand.isa.results import limbs_for
from summand.isa.rounding import ceil_div

__all__ = ["Direct", "Factored", "Runs", "Sizes", "Term"]

#: How much less the magnitudes of an output's trained weights add up to than if all were the
#: largest. With this 9 of 10 layers of SmolLM2 need the bits that are expected, others one more or
#: less.
_LESS = 3

#: Runs of features or slices, each with its first and the one after its last; they ascend.
Runs = tuple[tuple[int, int], ...]


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
    empty : Runs
        Input features whose weights are all 0, for all outputs.
    """

    planes: int
    group: int = 0
    scale_bits: int = 0
    shift: int = 0
    half_step: bool = False
    kept: int = 0
    block: int = 0
    empty: Runs = ()

    def whole(self, planes: int) -> "Direct":
        """Return the term with its planes filled up to a multiple of ``planes``."""
        return replace(self, planes=_whole(self.planes, planes))

    def most(self, features: int) -> int:
        """Return the largest sum of an output's magnitudes that it can have."""
        weight = (2 << self.planes) - 2 if self.half_step else 1 << self.planes  # twice the largest
        kept = ceil_div(features * self.kept, self.block) if self.block else features
        return kept * (weight // 2) * ((1 << self.scale_bits) - 1 if self.scale_bits else 1)

    def pattern(self, config: EngineConfig | None = None) -> SparsePattern | None:
        """Return its pattern, or as which ``config``'s engine streams it; None where it cannot."""
        if not self.block:
            return None
        pattern = SparsePattern(kept=self.kept, block=self.block)
        return pattern.widened(config.sparse_block) if config else pattern

    def empty_units(self, size: int, features: int) -> Iterator[tuple[int, int]]:
        """Yield the runs of units of ``size`` among ``features`` that are wholly empty."""
        for first, stop in self.empty:
            start = ceil_div(first, size)
            end = ceil_div(features, size) if stop >= features else stop // size
            if start < end:
                yield start, end


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

    def whole(self, planes: int) -> "Factored":
        """Return the term with both factors' planes filled up to a multiple of ``planes``."""
        first, second = _whole(self.first, planes), _whole(self.second, planes)
        return replace(self, first=first, second=second)

    def most(self, features: int) -> int:
        """Return the largest sum of an output's magnitudes that it can have."""
        del features  # an output adds up intermediates
        return self.rank << (self.second - 1)


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
    borders : tuple of pairs
        First input feature of a finer group, and how far accumulators are shifted there.
    acc_bits : int
        Bits that hold every accumulator, whatever the activations; the widest there are, where
        weights are not known.
    """

    in_features: int
    out_features: int
    terms: tuple[Term, ...]
    borders: tuple[tuple[int, int], ...] = ()
    acc_bits: int = FIELDS["acc_bits"].high

    @classmethod
    def of_any(cls, in_features: int, out_features: int, *, planes: int, act_bits: int) -> "Sizes":
        """Return those of a dense matrix that may hold any weights of so many planes."""
        most = in_features << (act_bits - 1 + planes - 1)
        bits = min(most.bit_length() + 1, FIELDS["acc_bits"].high)
        return cls(in_features, out_features, (Direct(planes=planes),), acc_bits=bits)

    @property
    def direct(self) -> tuple[tuple[int, Direct], ...]:
        """The direct terms, each with its index."""
        return tuple((i, t) for i, t in enumerate(self.terms) if isinstance(t, Direct))

    @property
    def factored(self) -> tuple[tuple[int, Factored], ...]:
        """The factored terms, each with its index."""
        return tuple((i, t) for i, t in enumerate(self.terms) if isinstance(t, Factored))

    def whole(self, planes: int) -> "Sizes":
        """Return the sizes with all planes filled up to multiples of ``planes``."""
        if planes == 1:
            return self
        return replace(self, terms=tuple(term.whole(planes) for term in self.terms))

    @property
    def shifts(self) -> frozenset[int]:
        """The shifts of accumulators between terms, other than 0."""
        return frozenset(t.shift for t in self.terms if t.shift)

    def absent(self, index: int, depth: int, grain: int = 1) -> Runs:
        """Return the slices that need not be walked for a direct term, as its weights there are 0.

        A term that clears or shifts accumulators does so in slice 0, and the first one's walk
        shifts them at borders: such slices are walked whatever their weights.

        Parameters
        ----------
        index : int
            The term's.
        depth : int
            Input features of a slice.
        grain : int
            Slices that a run may begin and end with a multiple of, or end with the input.
        """
        term = self.terms[index]
        assert isinstance(term, Direct)
        slices = ceil_div(self.in_features, depth)
        needed = [0] if not index or term.shift else []
        needed += [] if index else [first // depth for first, _ in self.borders]
        runs = []
        for first, end in term.empty_units(depth, self.in_features):
            inside = [place for place in needed if first <= place < end]
            starts, stops = [first, *(place + 1 for place in inside)], [*inside, end]
            for start, stop in zip(starts, stops, strict=True):
                start = ceil_div(start, grain) * grain
                stop = stop if stop == slices else stop // grain * grain
                if start < stop:
                    runs.append((start, stop))
        return tuple(runs)

    def with_runs(self, least: int) -> "Sizes":
        """Return it without the empty runs of fewer than ``least`` input features."""
        terms = [
            replace(t, empty=tuple((a, b) for a, b in t.empty if b - a >= least))
            if isinstance(t, Direct)
            else t
            for t in self.terms
        ]
        return replace(self, terms=tuple(terms))

    def likely(self, act_bits: int) -> "Sizes":
        """Return it with the accumulators' bits that trained weights, not known yet, will need."""
        if self.borders:
            return self
        most = 0
        for term in self.terms:
            most = (most << term.shift) + term.most(self.in_features)
        bits = (most // _LESS << (act_bits - 1)).bit_length() + 1
        return replace(self, acc_bits=min(bits, FIELDS["acc_bits"].high))

    def sent(self, config: EngineConfig) -> "Sizes":
        """Return it with accumulators of the bits that an engine sends, as plans depend on them."""
        limbs = limbs_for(self.acc_bits, config)
        return replace(self, acc_bits=limbs * config.limb_bits or FIELDS["acc_bits"].high)

    @property
    def macs(self) -> int:
        """Multiplications a token, padding left out."""
        k, n = self.in_features, self.out_features
        return len(self.direct) * k * n + sum(t.rank * (k + n) for _, t in self.factored)


def _whole(count: int, of: int) -> int:
    """Return ``count`` rounded up to a multiple."""
    return ceil_div(count, of) * of
