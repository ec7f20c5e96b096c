"""How the inputs of a group of layers are decomposed while they run."""

import reprlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from summand.isa.limits import MULT, PLANES, SHIFT
from summand.isa.rounding import ceil_div
from summand.summands.errors import LayerError
from summand.summands.integers import check_matrix

__all__ = ["EXACT", "Decomposition", "Requantisation", "saved_bits", "spans"]

#: A prompt's first tokens that are computed as ever: every later token attends to them.
EXACT = 8


def spans(tokens: int, most: int) -> tuple[range, ...]:
    """Return the tokens of a prompt that are decomposed together, ``most`` or a few less each.

    The prompt's first :data:`EXACT` tokens are in none.
    """
    rest = tokens - EXACT
    if rest < 1:
        return ()
    count = ceil_div(rest, most)
    ends = [EXACT + rest * i // count for i in range(count + 1)]
    return tuple(range(a, b) for a, b in pairwise(ends))


def saved_bits(
    *,
    bits: int,
    shape: tuple[int, int],
    rank: int,
    sketches: int,
    steps: int,
    planes: tuple[int, int, int],
    tokens: int,
) -> float:
    """Return the stream bits a token, of a row, that pseudo-tokens save; below 0 if none.

    Parameters
    ----------
    bits : int
        Of all weights of the layers.
    shape : pair of int
        Input features, and output features that the engine expands.
    rank, sketches : int
        Pseudo-tokens, and directions that tokens are sketched with.
    steps : int
        Of the decomposition.
    planes : three of int
        Of directions, of tokens as weights, and of the pseudo-tokens' products.
    tokens : int
        Decomposed together.
    """
    inputs, outputs = shape
    sketch, product, expansion = planes
    vectors = 2 * rank - ceil_div(rank, steps)  # each once, and those behind the first step twice
    spent = inputs * (sketches * sketch + vectors * product) + rank * outputs * expansion
    return bits * (1 - rank / tokens) - spent


@dataclass(frozen=True, eq=False)
class Requantisation:
    """What a layer's accumulators are multiplied by to become weights: ``mult / 2**shift``.

    Parameters
    ----------
    mult : uint16 array, shape ``[N]``
        0 to 65535.
    shift : uint8 array, shape ``[N]``
        1 to 47.

    Raises
    ------
    LayerError
        If an array is of another type or shape, or a shift is out of range.
    """

    mult: npt.NDArray[np.uint16]
    shift: npt.NDArray[np.uint8]

    def __post_init__(self):
        for name, value, kind in (("mult", self.mult, np.uint16), ("shift", self.shift, np.uint8)):
            if value.dtype != kind or value.ndim != 1 or value.shape != self.mult.shape:
                raise LayerError(
                    f"{name} must be {np.dtype(kind)} of shape {self.mult.shape}, "
                    f"not {value.dtype} of shape {value.shape}"
                )
        if self.shift.size and (self.shift.min() < SHIFT.low or self.shift.max() > SHIFT.high):
            raise LayerError(f"shift must be {SHIFT}, not {self.shift.min()} to {self.shift.max()}")
        if self.mult.size and self.mult.min() < 1:
            raise LayerError("mult must be at least 1: a weight's unit is its inverse")

    @classmethod
    def of(cls, unit: npt.NDArray[np.floating]) -> "Requantisation":
        """Return that which makes weights in multiples of ``unit`` ``[N]``, which is above 0."""
        # The largest multiplier that fits, so that its rounding is least.
        _, exponent = np.frexp(1 / unit)
        shift = np.clip(MULT.high.bit_length() - exponent, SHIFT.low, SHIFT.high)
        mult = np.clip(np.rint(np.ldexp(1 / unit, shift)), 1, MULT.high)
        return cls(mult.astype(np.uint16), shift.astype(np.uint8))

    @property
    def unit(self) -> npt.NDArray[np.float64]:
        """The accumulator's value of a weight of 1, ``[N]``."""
        return np.ldexp(1 / self.mult.astype(np.float64), self.shift.astype(np.int64))


@dataclass(frozen=True, eq=False)
class Decomposition:
    """How a prompt's tokens become a few pseudo-tokens, and their products the tokens' outputs.

    For tokens ``X`` ``[M, K]``, as the layers' transform leaves them, ``X ~ U B`` with an
    orthonormal ``U`` ``[M, rank]``: the directions among tokens in which their sketches ``X D`` are
    largest. ``B = U^T X`` goes through the layers instead of ``X``, and ``P = B W`` is requantised
    to weights that ``U`` is multiplied by. With several steps, each but the first finds further
    directions as block Lanczos iteration does: in ``X V``, with ``V`` orthonormal from the rows of
    ``B`` of the step before. D-com (arXiv 2510.13147) takes such steps from a start that knows
    nothing; here directions are of other prompts, and one step is best.

    Attention is linear in values, which may stay ``(U, P)`` there: layers without a requantisation
    keep ``P`` as it is, and it is for the host to multiply ``U`` by it.

    Channels that are ``loud``, as some are where inputs are not rotated, would leave others few of
    the bits that tokens have as weights. As D-com's track of outliers does, they go around all of
    it: 0 in ``X``, and their exact products are added to the outputs.

    Parameters
    ----------
    layers : tuple of str
        The layers, which share an input.
    rank : int
        Pseudo-tokens.
    span : int
        Tokens that are decomposed together at most: the more there are, the more ranks they need.
    steps : int
        How often directions are looked for, each time :attr:`block` of them.
    directions : int8 array, shape ``[K, Q]``
        What tokens are sketched with, Q at least :attr:`block`; two's complement of
        ``sketch_bits``.
    scale : float32 array, shape ``[Q]``
        The directions' units.
    sketch_bits, token_bits, bits : int
        Bit-planes of the directions, of tokens where they stand as weights, and of ``P``.
    requantisations : tuple of Requantisation or None
        Of each layer's outputs; None of those that the host puts together.
    loud : tuple of int
        Input features that are left out of ``X``, in ascending order.

    Raises
    ------
    LayerError
        If the parts do not fit each other.
    """

    layers: tuple[str, ...]
    rank: int
    span: int
    steps: int
    directions: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]
    sketch_bits: int
    token_bits: int
    bits: int
    requantisations: tuple[Requantisation | None, ...]
    loud: tuple[int, ...] = ()

    def __post_init__(self):
        check_matrix("directions", self.directions, self.sketch_bits, "sketch_bits")
        for name in ("token_bits", "bits"):
            if getattr(self, name) not in PLANES:
                raise LayerError(f"{name} must be {PLANES}, not {getattr(self, name)}")
        for name in ("rank", "span", "steps"):
            if getattr(self, name) < 1:
                raise LayerError(f"{name} must be at least 1, not {getattr(self, name)}")
        sketches = self.directions.shape[1]
        if self.block > sketches:
            raise LayerError(
                f"rank must be at most {sketches * self.steps}, {sketches} directions for each of "
                f"{self.steps} steps, not {self.rank}"
            )
        if self.scale.dtype != np.float32 or self.scale.shape != (sketches,):
            raise LayerError(
                f"scale must be float32 of shape ({sketches},), "
                f"not {self.scale.dtype} of shape {self.scale.shape}"
            )
        if not (np.isfinite(self.scale).all() and (self.scale > 0).all()):
            raise LayerError("scale must be finite and positive")
        ends = (-1, *self.loud, len(self.directions))
        if any(a >= b for a, b in pairwise(ends)):
            raise LayerError(
                f"loud must ascend within the {len(self.directions)} input features, not "
                f"{reprlib.repr(self.loud)}"
            )
        if len(self.requantisations) != len(self.layers):
            raise LayerError(
                f"requantisations must be of {len(self.layers)} layers, "
                f"not of {len(self.requantisations)}"
            )

    @property
    def hosted(self) -> tuple[int, ...]:
        """The places of layers whose outputs the host puts together."""
        return tuple(i for i, by in enumerate(self.requantisations) if by is None)

    @property
    def block(self) -> int:
        """Directions that a step finds."""
        return ceil_div(self.rank, self.steps)

    def saved(self, bits: int, tokens: int) -> float:
        """Return the stream bits a token that it saves; see :func:`saved_bits`."""
        inputs, sketches = self.directions.shape
        return saved_bits(
            bits=bits,
            shape=(inputs, sum(len(by.mult) for by in self.requantisations if by is not None)),
            rank=self.rank,
            sketches=sketches,
            steps=self.steps,
            planes=(self.sketch_bits, self.token_bits, self.bits),
            tokens=tokens,
        )
