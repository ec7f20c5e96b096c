"""Options of outliers."""

from dataclasses import dataclass
from typing import Annotated

from summand.isa import limits
from summand.options.declaration import Option, OptionSet
from summand.summands.patterns import NO_PATTERN, parse_pattern

__all__ = ["OutliersOptions"]


@dataclass(frozen=True, kw_only=True)
class OutliersOptions(OptionSet):
    """Options of outliers; each field says what it is for.

    Raises
    ------
    OptionError
        If a value is none that its field allows.
    """

    outliers: Annotated[
        str,
        Option(
            "N of each M weights of an output are held by a sparse matrix beside the dense one; "
            "none for no such matrix, or M of 4, 8 or 16",
            note="at most the engine's sparse_block; the head gets none",
            metavar="N:M",
            read=parse_pattern,
        ),
    ] = NO_PATTERN
    outlier_bits: Annotated[
        int, Option("Bits of an outlier, in units of the dense summand", limits=limits.PLANES)
    ] = 8
