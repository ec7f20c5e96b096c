"""What the user chooses."""

from dataclasses import dataclass
from typing import Annotated

from summand.isa import limits
from summand.isa.limits import Limits
from summand.options.declaration import Option, OptionError, check

__all__ = ["ORDERS", "Options"]

#: When the low-rank summand is found: see :func:`~summand.compress.solve.summands.solve_summands`.
ORDERS = ("after", "before", "alternating")

#: Input features of the narrowest engine's slices, which groups are made of.
_SLICE = 8


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user chooses; each field says what it is for.

    Raises
    ------
    OptionError
        If a value is none that its field allows, or goes with no other that is chosen.
    """

    bits: Annotated[
        int, Option("Bits of a weight", limits=limits.PLANES, zero="a low-rank summand alone")
    ] = 4
    group: Annotated[
        int,
        Option(
            "Input features that share an integer scale",
            limits=Limits(_SLICE, 4096),
            zero="one float scale an output",
            note="a multiple of the engine's depth",
        ),
    ] = 0
    scale_bits: Annotated[
        int,
        Option(
            "Bits of a group's scale",
            limits=limits.SCALE_BITS,
            note="at most the engine's scale_bits",
        ),
    ] = 6
    solver: Annotated[
        str,
        Option(
            "Solver of the dense summand: gptq, or rtn to round to nearest", names=("rtn", "gptq")
        ),
    ] = "gptq"
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
    head_bits: Annotated[
        int,
        Option("Bits of the output head's weights", limits=limits.PLANES, note="it gets no rank"),
    ] = 8
    act_bits: Annotated[int, Option("Bits of an activation", limits=limits.ACT_BITS)] = 8
    acc_shift: Annotated[
        int,
        Option(
            "The engine's shift: extra accumulator bits for the low-rank summand",
            limits=limits.ACC_SHIFT,
            note="unused where groups have scales",
        ),
    ] = 4
    acc_bits: Annotated[
        int,
        Option(
            "Bits of the engine's accumulators",
            limits=limits.FIELDS["acc_bits"],
            note="no sum overflows them",
        ),
    ] = 32
    balance: Annotated[bool, Option("Let the host balance the channels of layers' inputs")] = True
    rotate: Annotated[bool, Option("Let the host rotate layers' inputs")] = True
    sequential: Annotated[
        bool,
        Option(
            "Compress layers in order, each on what the compressed ones before it feed it with; "
            "slower"
        ),
    ] = False
    distil: Annotated[
        int,
        Option(
            "Steps of distillation after all layers",
            limits=Limits(1, 100_000),
            zero="none",
            note="in each, MODEL teaches scales and biases on 256 tokens",
            metavar="STEPS",
        ),
    ] = 0
    keep_quantised: Annotated[
        bool,
        Option(
            "Take layers that MODEL has quantised already as they are, where the format can hold "
            "them; the other options are for the rest"
        ),
    ] = False

    def __post_init__(self):
        check(self)
        if self.group % _SLICE:
            raise OptionError(
                f"group must be a multiple of {_SLICE}, as every engine's depth is, not "
                f"{self.group}: {self.group - self.group % _SLICE + _SLICE} would do"
            )
        if not self.bits and not self.rank:
            raise OptionError("bits must be 1 to 8 without a rank, not 0")
        if self.sequential and self.keep_quantised:
            raise OptionError(
                "layers that are taken over as they are make up for nothing; leave out sequential "
                "or keep_quantised"
            )
        if self.distil and self.keep_quantised:
            raise OptionError(
                "layers that are taken over as they are have scales that stay; leave out distil or "
                "keep_quantised"
            )
