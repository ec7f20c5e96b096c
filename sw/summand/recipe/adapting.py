"""How an adapter becomes summands beside a model's."""

from dataclasses import dataclass
from typing import Annotated

from summand.isa import limits
from summand.isa.limits import Limits
from summand.options.declaration import Option, OptionSet
from summand.recipe.options import AccBits

__all__ = ["AdaptOptions"]


@dataclass(frozen=True, kw_only=True)
class AdaptOptions(OptionSet):
    """Options of adapters; each field says what it is for.

    Raises
    ------
    OptionError
        If a value is none that its field allows.
    """

    bits: Annotated[int, Option("Bits of the adapter's factors", limits=Limits(4, 8))] = 8
    acc_shift: Annotated[
        int,
        Option(
            "The engine's shift: extra accumulator bits for what the adapter adds, where they help",
            limits=limits.ACC_SHIFT,
            note="a model that needs one already keeps that",
        ),
    ] = 4
    acc_bits: AccBits = 32
