"""What compressing the layers of a model takes, in whichever order it is done."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.job.layer import check_fits, check_weights, methods_of
from summand.compress.network.survey import Survey, linear_of
from summand.compress.solve.balance import choose_transform
from summand.model import Layer, Transform
from summand.recipe.choice import Choice

__all__ = ["LayerWork"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerWork:
    """The layers of a model, and what each of them gets.

    Parameters
    ----------
    module : nn.Module
        Left as it is.
    found : Survey
        Of the module.
    choices : mapping
        What each layer of the survey gets.
    walk : ModelWalk
        How to go through the module.
    solvers : mapping, optional
        Solvers in the place of those that the choices name, by the kind of summand.
    """

    module: nn.Module
    found: Survey
    choices: Mapping[str, Choice]
    walk: ModelWalk
    solvers: Mapping[str, Any] | None = None

    def check(self) -> None:
        """Raise :class:`CompressError` for a layer that cannot be compressed as chosen.

        Weights that are not in memory are left to :meth:`check_loaded`.
        """
        for name in self.found.layers:
            check_fits(name, self.linear(name), self.choices[name])
        if self.walk.weights is None:
            self._check_weights(self.found.layers)

    def check_loaded(self, group: Iterable[str]) -> None:
        """Check the weights of layers that have been brought into memory since :meth:`check`."""
        if self.walk.weights is not None:
            self._check_weights(group)

    def _check_weights(self, names: Iterable[str]) -> None:
        for name in names:
            check_weights(name, self.linear(name))

    def linear(self, name: str) -> nn.Linear:
        """Return the module's layer of this name."""
        return linear_of(self.module, name)

    def needs_moments(self, group: Iterable[str]) -> bool:
        """Whether one of these layers is compressed with the second moments of its input."""
        methods = (m for name in group for m in methods_of(self.choices[name], self.solvers))
        return any(method.needs_moments for method in methods)

    def transform(self, group: Sequence[str], seen: InputStatistics) -> Transform | None:
        """Return the transform of the input that a group of layers shares.

        Parameters
        ----------
        group : sequence of str
            Names of the layers; their weights are in memory.
        seen : InputStatistics
            Of the input.
        """
        choice = self.choices[group[0]]
        return choose_transform(
            [self.linear(name).weight.detach() for name in group],
            seen,
            balance=choice.balance,
            rotate=choice.rotate,
            seed=0,
            grouping=choice.grouping,
        )

    def counted(
        self,
        layers: Iterable[tuple[Layer, float]],
        finished: Collection[str],
        progress: Callable[[str, int, int], None] | None,
    ) -> Iterator[tuple[Layer, float]]:
        """Pass on compressed layers with their errors, and report how many weights are done.

        Parameters
        ----------
        layers : iterable
            All layers but ``finished``.
        finished : collection of str
            Layers that were compressed before.
        progress : callable, optional
            Called with ``"compressing"``, the weights that are done, and all weights.
        """
        total = self._weights(self.found.layers)
        done = self._weights(finished)
        for layer, error in layers:
            yield layer, error
            done += layer.in_features * layer.out_features
            if progress:
                progress("compressing", done, total)

    def _weights(self, names: Iterable[str]) -> int:
        return sum(self.linear(name).weight.numel() for name in names)
