"""Choices of one kind of summand: a layer's own, and those that an allocation tries."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.summands.base import Entry
from summand.summands.errors import SolveError

__all__ = ["SummandChoice", "SummandSpace", "refuse"]


@dataclass(frozen=True, kw_only=True)
class SummandChoice(ABC):
    """A layer's summand of one kind, as chosen: its sizes, and the way to find it."""

    @classmethod
    @abstractmethod
    def of(cls, options: Any, *, head: bool, before: Sequence[Entry]) -> "SummandChoice | None":
        """Return what options mean for a layer, if it gets such a summand at all.

        Parameters
        ----------
        options : dataclass
            Has the fields of the kind's options, and perhaps others.
        head : bool
            Whether the layer is the output head.
        before : sequence of Entry
            The layer's summands that come before this one.
        """

    @abstractmethod
    def entry(self) -> Entry:
        """Return the summand's sizes."""

    @abstractmethod
    def reserved(self, lift: npt.NDArray[np.int64]) -> int:
        """Return what the summand adds at most, before anything else is known about it.

        As a sum of magnitudes: what it adds to an accumulator is at most that many times the
        largest activation.

        Parameters
        ----------
        lift : int64 array, shape ``[K]``
            What each activation is multiplied by (:class:`~summand.model.channels.ChannelGroups`).
        """

    @abstractmethod
    def check(self, in_features: int, out_features: int) -> None:
        """Raise :class:`SolveError` if a layer of this size cannot have the summand."""


class SummandSpace(ABC):
    """The summands of one kind among which an allocation chooses."""

    #: Options that vary from layer to layer, unless they are fixed.
    varied: ClassVar[tuple[str, ...]]

    @classmethod
    @abstractmethod
    def of(
        cls, options: Any, fixed: Collection[str], engine: EngineConfig | None
    ) -> "SummandSpace":
        """Return what layers may get if some options are fixed.

        Parameters
        ----------
        options : dataclass
            Its values are those of fixed options.
        fixed : collection of str
            Names of options.
        engine : EngineConfig, optional
            What it cannot have, or wastes, is left out.

        Raises
        ------
        SolveError
            If fixed options leave nothing.
        """

    @classmethod
    def adopted(cls, options: Any, engine: EngineConfig) -> Mapping[str, int]:
        """Return the options that are as the engine has them where they are not fixed."""
        return {}

    @classmethod
    @abstractmethod
    def check(cls, options: Any, fixed: Collection[str], engine: EngineConfig) -> None:
        """Raise :class:`SolveError` if an engine cannot compute what options say."""

    @abstractmethod
    def variants(
        self, in_features: int, out_features: int, *, head: bool
    ) -> Iterator[Mapping[str, int | str]]:
        """Yield what a layer of a size may get, as values of options."""


def refuse(options: Any, name: str, wanted: str) -> NoReturn:
    """Raise :class:`SolveError` because an engine wants another value of an option."""
    raise SolveError(
        f"{name} must be {wanted}, not {getattr(options, name)}; leave {name} out, or give "
        f"another engine"
    )
