"""Options of a compression."""

from dataclasses import dataclass
from typing import Annotated

from summand.isa import limits
from summand.isa.limits import Limits
from summand.options.declaration import Option, OptionError
from summand.options.slices import LEAST_SLICE, check_slices
from summand.recipe.grouping import Grouping
from summand.summands.dense import DenseOptions
from summand.summands.lowrank import LowRankOptions
from summand.summands.outliers import OutliersOptions
from summand.summands.patterns import NO_PATTERN
from summand.summands.registry import kinds

__all__ = ["AccBits", "Options"]

#: Bits of the accumulators that summands are made for.
AccBits = Annotated[
    int,
    Option(
        "Bits of the engine's accumulators",
        limits=limits.FIELDS["acc_bits"],
        note="no sum overflows them",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Options(LowRankOptions, OutliersOptions, DenseOptions):
    """Options of each kind of summand, and of the whole.

    Raises
    ------
    OptionError
        If a value is none that its field allows, or goes with no other that is chosen.
    """

    act_bits: Annotated[int, Option("Bits of an activation", limits=limits.ACT_BITS)] = 8
    acc_bits: AccBits = 32
    balance: Annotated[bool, Option("Let the host balance the channels of layers' inputs")] = True
    rotate: Annotated[bool, Option("Let the host rotate layers' inputs")] = True
    act_groups: Annotated[
        int,
        Option(
            "Groups of input channels, each with a scale a power of two finer than the one before",
            limits=Limits(2, 16),
            zero="one scale for all channels",
            note="instead of a rotation",
        ),
    ] = 0
    act_block: Annotated[
        int,
        Option(
            "Input features that such a group has a multiple of",
            limits=Limits(LEAST_SLICE, 4096),
            note="a multiple of the engine's depth",
        ),
    ] = 64
    border_shift: Annotated[
        int,
        Option(
            "Bits by which the scale of such a group may differ from that of the next",
            limits=Limits(1, limits.BORDER_SHIFT.high),
            note="at most the engine's border_shift",
        ),
    ] = limits.BORDER_SHIFT.high
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
        super().__post_init__()
        if not any(kind.choice.of(self, head=False, before=()) for kind in kinds()):
            raise OptionError("bits must be 1 to 8 without a rank, not 0")
        if self.act_groups == 1:
            raise OptionError("act_groups must be 2 to 16, or 0 for one scale for all, not 1")
        check_slices("act_block", self.act_block)
        if self.act_groups and self.rotate and not self.keep_quantised:
            raise OptionError(
                "a rotation mixes all channels and leaves no groups of them; give --no-rotate, or "
                "leave out act_groups"
            )
        if self.outliers != NO_PATTERN and not self.bits:
            raise OptionError(
                "outliers are beside a dense summand, and bits is 0; give bits, or leave out "
                "outliers"
            )
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

    @property
    def grouping(self) -> Grouping | None:
        """How channels are put into groups, where they are."""
        if not self.act_groups:
            return None
        return Grouping(
            groups=self.act_groups,
            block=self.act_block,
            shift=self.border_shift,
            act_bits=self.act_bits,
        )
