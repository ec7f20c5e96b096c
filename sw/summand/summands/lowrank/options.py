"""Options of low-rank summands."""

from dataclasses import dataclass
from typing import Annotated

from summand.isa import limits
from summand.isa.limits import Limits
from summand.options.declaration import Option, OptionSet

__all__ = ["ORDERS", "LowRankOptions"]

#: When the low-rank summand is found: see :mod:`summand.summands.lowrank.solve.method`.
ORDERS = ("after", "before", "alternating")


@dataclass(frozen=True, kw_only=True)
class LowRankOptions(OptionSet):
    """Options of low-rank summands; each field says what it is for.

    Raises
    ------
    OptionError
        If a value is none that its field allows.
    """

    rank: Annotated[
        int,
        Option(
            "Rank of the low-rank summand beside each layer", limits=Limits(1, 4096), zero="none"
        ),
    ] = 0
    rank_bits: Annotated[
        int, Option("Bits of the low-rank summand's factors", limits=limits.PLANES)
    ] = 4
    rank_solver: Annotated[
        str,
        Option(
            "Solver of the low-rank summand: whitened, iterative, or without regard to the inputs "
            "svd, iterative-plain",
            names=("svd", "whitened", "iterative", "iterative-plain"),
        ),
    ] = "whitened"
    rank_order: Annotated[
        str,
        Option(
            "When the low-rank summand is found: after the dense one, before, or alternating",
            names=ORDERS,
        ),
    ] = "after"
    acc_shift: Annotated[
        int,
        Option(
            "The engine's shift: extra accumulator bits for the low-rank summand",
            limits=limits.ACC_SHIFT,
            note="unused where groups have scales",
        ),
    ] = 4
