"""What one layer gets."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from summand.recipe.options import Options
from summand.schedule.terms import Sizes
from summand.summands.base import Entry
from summand.summands.dense import DenseEntry
from summand.summands.lowrank import LowRankEntry

__all__ = ["Choice", "choices_of"]


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


def choices_of(
    options: Options, names: Iterable[str], *, heads: Collection[str] = ()
) -> dict[str, Choice]:
    """Return what each of the layers gets, some of which may be the output head's."""
    return {name: Choice.of(options, head=name in heads) for name in names}
