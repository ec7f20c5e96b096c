"""A point's allocation as the compressor takes it, and as the planner sees it."""

from collections.abc import Mapping
from dataclasses import dataclass

from summand.compress.allocate.allocation import Candidate
from summand.compress.allocate.parts import Cut
from summand.compress.job.budget import Allocation, join_parts
from summand.explore.choices import ModelChoices
from summand.explore.fronts import Fronts
from summand.explore.point import Point
from summand.recipe.choice import Choice
from summand.schedule.terms import Sizes

__all__ = ["Allocated", "allocated"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Allocated:
    """What every layer gets, parts that get the same joined.

    Parameters
    ----------
    allocation, joined : Allocation
        Choices, each with its loss and the bits that it streams without padding; before parts were
        joined, and after.
    cuts : mapping
        Layers that are in parts, as they were cut before parts were joined.
    groups : tuple of tuples of str
        Layers and parts that share an input.
    heads : tuple of bool
        Of each group: whether it is the output head.
    sizes : mapping of str to Sizes
        Of each, for plans.
    """

    allocation: Allocation
    joined: Allocation
    cuts: Mapping[str, Cut]
    groups: tuple[tuple[str, ...], ...]
    heads: tuple[bool, ...]
    sizes: Mapping[str, Sizes]


def allocated(choices: ModelChoices, fronts: Fronts, point: Point) -> Allocated:
    """Return the allocation of a point."""
    candidates: dict[str, Candidate[Choice]] = {}
    for name, place in point.picks.items():
        shape = choices.shapes[name]
        choice = fronts.choice(name, place)
        bits = fronts.plain_bits(name, place)
        candidates[name] = Candidate(choice, bits, float(choices.losses[name][place]))
        assert choice.fits(shape.in_features, shape.out_features)
    whole = Allocation(candidates, choices.weights)
    joined, cuts = join_parts(whole, choices.cuts)
    sizes: dict[str, Sizes] = {}
    groups: list[tuple[str, ...]] = []
    for group in choices.groups:
        k = choices.shapes[group[0]].in_features
        names: list[str] = []
        for layer in dict.fromkeys(_layer(name, choices.cuts) for name in group):
            cut = cuts.get(layer)
            if cut is None:
                names.append(layer)
                sizes[layer] = joined.choices[layer].sizes(k, choices.shapes[layer].out_features)
                continue
            for i, n in enumerate(cut.sizes):
                names.append(f"{layer}.{i}")
                sizes[names[-1]] = joined.choices[names[-1]].sizes(k, n)
        groups.append(tuple(names))
    return Allocated(
        allocation=whole,
        joined=joined,
        cuts=choices.cuts,
        groups=tuple(groups),
        heads=tuple(choices.shapes[group[0]].head for group in choices.groups),
        sizes=sizes,
    )


def _layer(name: str, cuts: Mapping[str, Cut]) -> str:
    """Return the layer that a part is of."""
    parent = name.rpartition(".")[0]
    return parent if parent in cuts else name
