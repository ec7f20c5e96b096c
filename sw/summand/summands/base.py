"""A summand: one term of a layer's sum, in memory, on disk and on the way to an engine."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from summand.isa import limits
from summand.isa.limits import FIELDS, Limits
from summand.schedule.terms import Sizes, Term
from summand.summands.errors import LayerError

__all__ = ["Bounds", "Entry", "Factors", "Operand", "Summand", "Tensors", "label_of", "sizes_of"]


class Bounds(NamedTuple):
    """The largest magnitudes of a summand's sums, whatever the activations.

    Parameters
    ----------
    outputs : int64 array, shape ``[N]``
        Of what it adds to each output feature.
    inside : int
        Of accumulators that it uses on the way.
    """

    outputs: npt.NDArray[np.int64]
    inside: int = 0


class Summand(ABC):
    """A term of a layer's sum, as integers. Frozen, and checked when it is made.

    Attributes
    ----------
    acc_shift : int
        How far the sum of the summands before it is shifted left before this one is added: 0, or
        the ``shift`` of the engine.
    """

    acc_shift: int

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Input and output features, K and N."""

    @abstractmethod
    def accumulate(self, x: npt.NDArray[np.int64], act_bits: int) -> npt.NDArray[np.int64]:
        """Return the exact integers ``[M, N]`` that it adds for tokens ``[M, K]``.

        Where channels have groups, tokens are multiplied by what borders make of them in the end.
        """

    @abstractmethod
    def bounds(self, act_bits: int, lift: npt.NDArray[np.int64] | None = None) -> Bounds:
        """Return the largest magnitudes that any activations of ``act_bits`` can make.

        ``lift``, ``[K]``, is what borders multiply each input feature's products by.
        """

    @abstractmethod
    def matrix(self) -> npt.NDArray[np.float64]:
        """Return the ``[K, N]`` matrix that it stands for, in units of the accumulator."""


class Operand(NamedTuple):
    """A matrix that an engine multiplies by.

    Parameters
    ----------
    weights : int8 array, shape ``[K, N]``
        Two's complement of ``planes`` bits.
    planes : int
        1 to 8.
    scales : uint8 array, shape ``[ceil(K / group), N]``, optional
        What the sums over each group of input features are multiplied by.
    group : int
        Input features that share scales; 0 without.
    half_step : bool
        Whether a weight is ``2 * q + 1``, with ``q`` what ``weights`` holds.
    kept, block : int
        Of every ``block`` weights along K at most ``kept`` are other than 0; 0 where all may be.
    """

    weights: npt.NDArray[np.int8]
    planes: int
    scales: npt.NDArray[np.uint8] | None = None
    group: int = 0
    half_step: bool = False
    kept: int = 0
    block: int = 0

    def integers(self) -> npt.NDArray[np.int32]:
        """Return weights times scales, ``[K, N]``."""
        wide = self.weights.astype(np.int32)
        if self.half_step:
            wide = 2 * wide + 1
        if self.scales is None:
            return wide
        return wide * np.repeat(self.scales.astype(np.int32), self.group, axis=0)[: len(wide)]


class Factors(NamedTuple):
    """Two matrices with a requantisation between them.

    Parameters
    ----------
    first, second : Operand
        Of shapes ``[K, R]`` and ``[R, N]``, without scales.
    mult, shift : integer arrays, shape ``[R]``
        The intermediate of each rank is multiplied by ``mult / 2**shift``.
    """

    first: Operand
    second: Operand
    mult: npt.NDArray[np.uint16]
    shift: npt.NDArray[np.uint8]


class Tensors(Protocol):
    """Reads a summand's tensors from a file, each by its name within the summand."""

    def tensor(self, name: str, dtype: str) -> npt.NDArray[Any]:
        """Return a tensor of a type as safetensors calls it; raises ``ValueError``."""
        ...

    def packed(self, name: str, bits: int, shape: tuple[int, int]) -> npt.NDArray[np.int8]:
        """Return a packed matrix of two's complement integers; raises ``ValueError``."""
        ...


@dataclass(frozen=True, kw_only=True)
class Entry(ABC):
    """A summand's sizes: what the manifest says of it. The fields are those of the JSON object.

    Parameters
    ----------
    acc_shift : int
        As in :class:`Summand`.

    Raises
    ------
    LayerError
        If a field is out of its range.
    """

    acc_shift: int = 0

    #: Ranges of the integer fields.
    ranges: ClassVar[Mapping[str, Limits]] = {}

    def __post_init__(self):
        for name, allowed in {"acc_shift": limits.ACC_SHIFT, **self.ranges}.items():
            if (value := getattr(self, name)) not in allowed:
                raise LayerError(f"{name} must be {allowed}, not {value}")

    @classmethod
    @abstractmethod
    def of(cls, summand: Any) -> "Entry":
        """Return a summand's."""

    @staticmethod
    @abstractmethod
    def tensors(summand: Any) -> Mapping[str, npt.NDArray[Any]]:
        """Return what a summand keeps on disk beside its entry."""

    @abstractmethod
    def read(self, tensors: Tensors, in_features: int, out_features: int) -> Summand:
        """Make the summand from its tensors.

        Raises
        ------
        LayerError, ValueError
            If they do not fit the entry.
        """

    @abstractmethod
    def term(self) -> Term:
        """Return it as the planner sees it."""

    @abstractmethod
    def label(self) -> str:
        """Return it in a few words, for tables."""


def sizes_of(
    in_features: int,
    out_features: int,
    entries: Iterable[Entry],
    borders: tuple[tuple[int, int], ...] = (),
    acc_bits: int = FIELDS["acc_bits"].high,
) -> Sizes:
    """Return all that the commands of a layer with these summands depend on.

    ``borders`` are those of the groups of its input's channels; ``acc_bits`` hold every
    accumulator.
    """
    terms = tuple(entry.term() for entry in entries)
    return Sizes(in_features, out_features, terms, borders, acc_bits)


def label_of(entries: Iterable[Entry]) -> str:
    """Return a layer's summands in a few words, for tables."""
    return " + ".join(entry.label() for entry in entries)
