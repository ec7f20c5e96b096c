"""Allocations of choices to layers by a price of bits, for many prices at once.

For a price ``p``, each layer gets the choice of least ``loss + p * bits``. That is the best
allocation of as many bits, and prices from high to low give the convex front of bits and losses;
where an engine multiplies several planes at once, the bits are those of whole digits, because that
is how long it takes;
with hundreds of layers its points lie close together. An allocation for a budget in between is an
integer program (:mod:`summand.compress.allocate.allocation`), which gains nothing worth its time
here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.explore.answers import Answer
from summand.explore.choices import ModelChoices, Shape
from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.limits import FIELDS
from summand.recipe.choice import Choice
from summand.schedule.fit import Needs, misfits
from summand.schedule.terms import Sizes
from summand.schedule.traffic import layer_traffic
from summand.synth.answers import plainly_answering

__all__ = ["Fronts", "ModelFront", "Traffic", "computes"]

#: How many prices there are, and what one more bit of every weight may cost at most and at least,
#: in nats a token: from two bits a weight to eight, about.
_PRICES = 72
_DEAREST, _CHEAPEST = 3.0, 1e-4

_Floats = npt.NDArray[np.float64]
_Places = npt.NDArray[np.intp]


def computes(config: EngineConfig, sizes: Sizes) -> bool:
    """Whether an engine computes a choice, with patterns as they are, not widened to its blocks."""
    blocks = {term.block for _, term in sizes.direct if term.block}
    needs = Needs(sizes=sizes, act_bits=config.act_bits, acc_bits=0)
    return blocks <= {config.sparse_block} and not any(misfits(needs, config))


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelFront:
    """The allocations of one model to engines of equal features, dearest bits first.

    Parameters
    ----------
    picks : mapping of str to int array, shape ``[points]``
        Which of its shape's choices each layer gets.
    loss : float64 array, shape ``[points]``
        Nats a token, estimated.
    """

    picks: Mapping[str, _Places]
    loss: _Floats


@dataclass(frozen=True, eq=False)
class Traffic:
    """What all layers of each kind of group stream and send back, shape ``[points, kinds]``.

    Parameters
    ----------
    bits : float64 array
        Of weights in a pass, padded as an engine needs.
    walked : float64 array
        The same with planes filled up to whole digits, which take time and no stream.
    back : float64 array
        Bits that come back for a token.
    leaving : float64 array
        Cycles in which its results leave the engine.
    """

    bits: _Floats
    walked: _Floats
    back: _Floats
    leaving: _Floats


class Fronts:
    """The fronts of one model, each found once.

    Parameters
    ----------
    choices : ModelChoices
        What layers may get.
    """

    def __init__(self, choices: ModelChoices):
        self._choices = choices
        self.of_shape = choices.choices()
        self._sizes: dict[Shape, list[Sizes]] = {
            shape: [c.sizes(shape.in_features, shape.out_features) for c in each]
            for shape, each in self.of_shape.items()
        }
        self._widths = {s: np.array([c.acc_bits for c in each]) for s, each in self._sizes.items()}
        self._names: dict[Shape, list[str]] = {}
        for name, shape in choices.shapes.items():
            self._names.setdefault(shape, []).append(name)
        self._losses = {
            shape: np.stack([choices.losses[name] for name in names])
            for shape, names in self._names.items()
        }
        self._fronts: dict[tuple[int, *tuple[bytes, ...]], ModelFront | None] = {}
        self._known: dict[EngineConfig, dict[Shape, npt.NDArray[np.int64]]] = {}

    def front(self, config: EngineConfig) -> ModelFront | None:
        """Return the front of an engine's features; None where a layer can have nothing."""
        allowed = {
            shape: np.array([computes(config, sizes) for sizes in each])
            for shape, each in self._sizes.items()
        }
        planes = element(config).planes
        key = (planes, *(mask.tobytes() for mask in allowed.values()))
        if key not in self._fronts:
            self._fronts[key] = self._find(allowed, planes)
        return self._fronts[key]

    def traffic(
        self, front: ModelFront, config: EngineConfig, kinds: Sequence[Sequence[Sequence[str]]]
    ) -> Traffic:
        """Return what layers stream and send back with each allocation of a front.

        ``kinds`` has, of each kind, its groups of layers' names. Results of a group are all as wide
        as its widest, because they come back together.
        """
        weights, answers = self._weights(config), self._answers(config)
        figures = np.zeros((4, len(front.loss), len(kinds)))
        for k, groups in enumerate(kinds):
            for group in groups:
                shapes = [self._choices.shapes[name] for name in group]
                picks = [front.picks[name] for name in group]
                wide = np.max([self._widths[s][p] for s, p in zip(shapes, picks, strict=True)], 0)
                for shape, places in zip(shapes, picks, strict=True):
                    figures[:2, :, k] += weights[shape][:, places]
                    figures[2:, :, k] += answers[shape][:, wide]
        return Traffic(*figures)

    def _weights(self, config: EngineConfig) -> dict[Shape, npt.NDArray[np.int64]]:
        """Return the bits of each choice of a shape, and those walked, shape ``[2, choices]``.

        Those that the engine does not compute count 0. The last engine's are kept, for others that
        differ in what they send back.
        """
        key = plainly_answering(config)
        if key not in self._known:
            planes = element(config).planes
            self._known = {
                key: {
                    shape: np.array(
                        [
                            [layer_traffic(s.whole(p), config).total for p in (1, planes)]
                            if computes(config, s)
                            else [0, 0]
                            for s in each
                        ]
                    ).T
                    for shape, each in self._sizes.items()
                }
            }
        return self._known[key]

    def _answers(self, config: EngineConfig) -> dict[Shape, npt.NDArray[np.int64]]:
        """Return the bits that a shape sends back and their cycles, shape ``[2, widths]``.

        Widths are those of accumulators, 0 to the widest.
        """
        found = {}
        for shape in self._sizes:
            answers = [
                Answer.of(shape.out_features, width, config, head=shape.head)
                for width in range(FIELDS["acc_bits"].high + 1)
            ]
            found[shape] = np.array([[each.bits, each.cycles] for each in answers]).T
        return found

    def choice(self, name: str, place: int) -> Choice:
        """Return one of a layer's choices."""
        return self.of_shape[self._choices.shapes[name]][place]

    def sizes(self, name: str, place: int) -> Sizes:
        """Return the sizes of one of a layer's choices."""
        return self._sizes[self._choices.shapes[name]][place]

    def plain_bits(self, name: str, place: int) -> int:
        """Return what one of a layer's choices streams without padding."""
        return layer_traffic(self.sizes(name, place)).total

    def _find(
        self, allowed: Mapping[Shape, npt.NDArray[np.bool_]], planes: int
    ) -> ModelFront | None:
        if not all(mask.any() for mask in allowed.values()):
            return None
        prices = np.geomspace(_DEAREST, _CHEAPEST, _PRICES) / self._choices.weights
        picks: dict[str, _Places] = {}
        loss = np.zeros(_PRICES)
        for shape, names in self._names.items():
            places = np.flatnonzero(allowed[shape])
            sizes = [self._sizes[shape][i].whole(planes) for i in places]
            bits = np.array([layer_traffic(each).total for each in sizes])
            losses = self._losses[shape][:, places]
            for j, price in enumerate(prices):
                best = np.argmin(losses + price * bits, axis=1)
                loss[j] += losses[np.arange(len(names)), best].sum()
                for name, pick in zip(names, places[best], strict=True):
                    picks.setdefault(name, np.empty(_PRICES, np.intp))[j] = pick
        return ModelFront(picks=picks, loss=loss)
