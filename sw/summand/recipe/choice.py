"""The summands and transform chosen for one layer."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from summand.recipe.grouping import Grouping
from summand.recipe.options import Options
from summand.schedule.terms import Sizes
from summand.summands.base import Entry, label_of, sizes_of
from summand.summands.choosing import SummandChoice
from summand.summands.errors import SolveError
from summand.summands.registry import kinds

__all__ = ["Choice", "choices_of"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The summands and transform chosen for one layer.

    Parameters
    ----------
    summands : tuple of SummandChoice
        In the order in which they are added.
    act_bits, acc_bits : int
        Of an activation, and of accumulators at most.
    balance, rotate : bool
        What the transform of its input consists of.
    grouping : Grouping, optional
        How its input's channels are put into groups; not together with a rotation.
    """

    summands: tuple[SummandChoice, ...]
    act_bits: int
    acc_bits: int
    balance: bool = True
    rotate: bool = True
    grouping: Grouping | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The summands' sizes."""
        return tuple(summand.entry() for summand in self.summands)

    def sizes(self, in_features: int, out_features: int) -> Sizes:
        """Return all that the layer's commands depend on.

        There are as many borders as there can be, and accumulators are as wide as is likely.
        """
        borders = () if self.grouping is None else self.grouping.most(in_features)
        sizes = sizes_of(in_features, out_features, self.entries, borders)
        return sizes.likely(self.act_bits)

    def fits(self, in_features: int, out_features: int) -> bool:
        """Return whether a layer of a size can have all of the summands."""
        try:
            for summand in self.summands:
                summand.check(in_features, out_features)
        except SolveError:
            return False
        return True

    @property
    def label(self) -> str:
        """The summands in a few words, for tables."""
        return label_of(self.entries)

    @classmethod
    def of(cls, options: Options, *, head: bool) -> "Choice":
        """Return what ``options`` mean for the head, or for another layer."""
        grouping = None if options.rotate else options.grouping
        if grouping is not None:  # accumulators are fine enough behind borders
            options = replace(options, acc_shift=0)
        chosen: list[SummandChoice] = []
        for kind in kinds():
            before = [summand.entry() for summand in chosen]
            if summand := kind.choice.of(options, head=head, before=before):
                chosen.append(summand)
        return cls(
            summands=tuple(chosen),
            act_bits=options.act_bits,
            acc_bits=options.acc_bits,
            balance=options.balance,
            rotate=options.rotate,
            grouping=grouping,
        )


def choices_of(
    options: Options, names: Iterable[str], *, heads: Collection[str] = ()
) -> dict[str, Choice]:
    """Return what each of the layers gets, some of which may be the output head's."""
    return {name: Choice.of(options, head=name in heads) for name in names}
