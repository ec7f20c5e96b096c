"""What the user chooses, and what of it each layer gets."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from summand.compress.errors import CompressError
from summand.compress.solve.gptq import Gptq
from summand.compress.solve.lowrank import Iterative, PlainSvd, WhitenedSvd
from summand.compress.solve.rtn import RoundToNearest
from summand.compress.solve.solvers import DenseSolver, LowRankSolver
from summand.compress.solve.summands import ORDERS
from summand.isa import limits
from summand.schedule.terms import Sizes
from summand.summands.base import Entry
from summand.summands.dense import DenseEntry
from summand.summands.lowrank import LowRankEntry

__all__ = ["DENSE_SOLVERS", "LOW_RANK_SOLVERS", "Choice", "Options"]

_LIMITS = {
    "bits": (0, limits.PLANES.high),
    "rank": (0, 4096),
    "rank_bits": limits.PLANES,
    "group": (0, 4096),
    "scale_bits": limits.SCALE_BITS,
    "head_bits": limits.PLANES,
    "act_bits": limits.ACT_BITS,
    "acc_shift": limits.ACC_SHIFT,
    "acc_bits": limits.FIELDS["acc_bits"],
    "distil": (0, 100_000),
}

#: Input features of the narrowest engine's slices, which groups are made of.
_SLICE = 8

#: Dense solvers by the names that users give them.
DENSE_SOLVERS: Mapping[str, Callable[[], DenseSolver]] = {"rtn": RoundToNearest, "gptq": Gptq}

#: Low-rank solvers by the names that users give them.
LOW_RANK_SOLVERS: Mapping[str, LowRankSolver] = {
    "svd": PlainSvd(),
    "whitened": WhitenedSvd(),
    "iterative": Iterative(),
    "iterative-plain": Iterative(whitened=False),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user chooses.

    Parameters
    ----------
    bits : int
        Of the dense summand's weights, 1 to 8; 0 leaves it out, which takes a rank.
    group : int
        Input features that share an integer scale, a multiple of the engine's ``depth``; 0 for one
        scale an output.
    scale_bits : int
        Of these scales, 1 to 8: the engine's ``scale_bits``.
    rank : int
        Of the low-rank summand; 0 leaves it out.
    rank_bits : int
        Of both factors, 1 to 8.
    head_bits : int
        Of the output head's weights; the head has no low-rank summand.
    act_bits : int
        Of activations, 4 to 10.
    acc_shift : int
        How much finer than the dense summand's the low-rank summand's unit is, as a power of two;
        an engine that runs the model is built with the same ``shift``. Group scales, which make
        the unit finer themselves, take its place.
    acc_bits : int
        Of the accumulators that must not overflow, 16 to 32.
    balance, rotate : bool
        Whether the host balances the channels of a layer's input, and rotates it.
    solver : str
        Of the dense summand: ``"gptq"``, or ``"rtn"`` to round to nearest.
    rank_solver : str
        Of the low-rank summand: ``"whitened"``, ``"iterative"``, or without regard to the inputs
        ``"svd"``, ``"iterative-plain"``.
    rank_order : str
        Which summand is found first: see :func:`~summand.compress.solve.summands.solve_summands`.
    keep_quantised : bool
        Whether layers that the source has quantised already are taken over as they are, where they
        can be.
    sequential : bool
        Whether layers are compressed in order, each on what those before it, compressed, feed it
        with: see :func:`~summand.compress.job.ordered.compress_layers_in_order`.
    distil : int
        Steps of distillation behind all that: see :func:`~summand.compress.twin.distil.distil`. 0
        leaves it out.
    """

    bits: int = 4
    group: int = 0
    scale_bits: int = 6
    rank: int = 0
    rank_bits: int = 4
    head_bits: int = 8
    act_bits: int = 8
    acc_shift: int = 4
    acc_bits: int = 32
    balance: bool = True
    rotate: bool = True
    solver: str = "gptq"
    rank_solver: str = "whitened"
    rank_order: str = "after"
    keep_quantised: bool = False
    sequential: bool = False
    distil: int = 0

    def __post_init__(self):
        for name in ("balance", "rotate", "keep_quantised", "sequential"):
            if not isinstance(getattr(self, name), bool):
                raise CompressError(f"{name} must be true or false, not {getattr(self, name)!r}")
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise CompressError(f"{name} must be {low} to {high}, not {value!r}")
        known = {
            "solver": DENSE_SOLVERS,
            "rank_solver": LOW_RANK_SOLVERS,
            "rank_order": ORDERS,
        }
        for name, names in known.items():
            if (value := getattr(self, name)) not in names:
                raise CompressError(f"{name} must be {' or '.join(names)}, not {value!r}")
        if self.group % _SLICE:
            raise CompressError(
                f"group must be a multiple of {_SLICE}, as every engine's depth is, not "
                f"{self.group}: {self.group - self.group % _SLICE + _SLICE} would do"
            )
        if not self.bits and not self.rank:
            raise CompressError("bits must be 1 to 8 without a rank, not 0")
        if self.sequential and self.keep_quantised:
            raise CompressError(
                "layers that are taken over as they are make up for nothing; leave out sequential "
                "or keep_quantised"
            )
        if self.distil and self.keep_quantised:
            raise CompressError(
                "layers that are taken over as they are have scales that stay; leave out distil or "
                "keep_quantised"
            )

    def choices(self, names: Iterable[str], *, heads: Collection[str] = ()) -> "dict[str, Choice]":
        """Return what each of the layers gets, some of which may be the output head's."""
        return {name: Choice.of(self, head=name in heads) for name in names}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What one layer gets."""

    bits: int
    group: int
    scale_bits: int
    rank: int
    rank_bits: int
    act_bits: int
    acc_shift: int
    acc_bits: int
    solver: str
    rank_solver: str = "whitened"
    rank_order: str = "after"
    balance: bool = True
    rotate: bool = True

    @property
    def summands(self) -> tuple[Entry, ...]:
        """The summands' sizes."""
        entries: list[Entry] = []
        if self.bits:
            dense = DenseEntry(bits=self.bits, group=self.group, scale_bits=self.scale_bits)
            entries.append(dense)
        if self.rank:
            low_rank = LowRankEntry(
                rank=self.rank,
                a_bits=self.rank_bits,
                b_bits=self.rank_bits,
                acc_shift=self.acc_shift,
            )
            entries.append(low_rank)
        return tuple(entries)

    def sizes(self, in_features: int, out_features: int) -> Sizes:
        """Return all that the layer's commands depend on."""
        return Sizes(in_features, out_features, tuple(e.term() for e in self.summands))

    @classmethod
    def of(cls, options: Options, *, head: bool) -> "Choice":
        """Return what ``options`` mean for the head, or for another layer."""
        rank = 0 if head else options.rank
        bits = options.head_bits if head else options.bits
        group = options.group if bits else 0
        return cls(
            bits=bits,
            group=group,
            scale_bits=options.scale_bits if group else 0,
            rank=rank,
            rank_bits=options.rank_bits,
            act_bits=options.act_bits,
            acc_shift=options.acc_shift if bits and rank and not group else 0,
            acc_bits=options.acc_bits,
            solver=options.solver,
            rank_solver=options.rank_solver,
            rank_order=options.rank_order,
            balance=options.balance,
            rotate=options.rotate,
        )
