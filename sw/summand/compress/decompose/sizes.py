"""Sizes of decompositions: which ranks an input may get, and what they stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from summand.isa.rounding import ceil_div
from summand.model import Layer
from summand.model.decomposition import saved_bits

__all__ = ["PRODUCT_BITS", "SKETCH_BITS", "TOKEN_BITS", "GroupSizes", "is_hosted", "sketches"]

#: Bit-planes of directions, of tokens as weights, and of the pseudo-tokens' products.
SKETCH_BITS, TOKEN_BITS, PRODUCT_BITS = 2, 4, 5

#: Sketches for each pseudo-token.
_SKETCHES = 1.25

#: What models call a layer of attention's values.
_VALUES = "v_proj"

#: Ranks that are tried, as shares of the input features.
_SHARES = (1 / 24, 1 / 12, 1 / 9, 1 / 6, 2 / 9, 1 / 3, 4 / 9)

#: Ranks are multiples of it: a slice's features should not be left empty.
_GRAIN = 16


@dataclass(frozen=True)
class GroupSizes:
    """What a group of layers streams, and what it would with a decomposition of its input.

    Parameters
    ----------
    inputs, outputs : int
        Input features, and output features that the engine expands.
    bits : int
        Stream bits of all their weights.
    grouped : bool
        Whether the input's channels are in groups.
    steps : int
        Of a decomposition.
    """

    inputs: int
    outputs: int
    bits: int
    grouped: bool
    steps: int

    @classmethod
    def of(cls, layers: Sequence[Layer], steps: int) -> "GroupSizes":
        """Return those of layers that share an input."""
        return cls(
            layers[0].in_features,
            sum(layer.out_features for layer in layers if not is_hosted(layer.name)),
            sum(layer.bits for layer in layers),
            layers[0].groups is not None,
            steps,
        )

    def ranks(self, tokens: int) -> Iterator[int]:
        """Yield the ranks that stream less than all ``tokens`` would."""
        if self.grouped:
            return
        tried = {round(share * self.inputs / _GRAIN) * _GRAIN for share in _SHARES}
        for rank in sorted(tried - {0}):
            if sketches(rank, self.inputs) < tokens and self.saved(rank, tokens) > 0:
                yield rank

    def saved(self, rank: int, tokens: int) -> float:
        """Return the stream bits a token, of a row, that pseudo-tokens save."""
        return saved_bits(
            bits=self.bits,
            shape=(self.inputs, self.outputs),
            rank=rank,
            sketches=sketches(ceil_div(rank, self.steps), self.inputs),
            steps=self.steps,
            planes=(SKETCH_BITS, TOKEN_BITS, PRODUCT_BITS),
            tokens=tokens,
        )


def is_hosted(layer: str) -> bool:
    """Return whether a layer's outputs, or those of a part of it, are put together by the host.

    Those of attention's values are: what is made of them is linear, so they need no rounding.
    """
    return _VALUES in layer.split(".")


def sketches(rank: int, inputs: int) -> int:
    """Return how many directions a step with so many pseudo-tokens takes."""
    return min(inputs, round(rank * _SKETCHES))
