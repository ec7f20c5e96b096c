"""Options of dense summands."""

from dataclasses import dataclass
from typing import Annotated

from summand.isa import limits
from summand.isa.limits import Limits
from summand.options.declaration import Option, OptionError, OptionSet
from summand.options.slices import LEAST_SLICE, check_slices
from summand.summands.patterns import NO_PATTERN, SCORES, parse_pattern

__all__ = ["DenseOptions"]


@dataclass(frozen=True, kw_only=True)
class DenseOptions(OptionSet):
    """Options of dense summands; each field says what it is for.

    Raises
    ------
    OptionError
        If a value is none that its field allows.
    """

    bits: Annotated[
        int, Option("Bits of a weight", limits=limits.PLANES, zero="a low-rank summand alone")
    ] = 4
    group: Annotated[
        int,
        Option(
            "Input features that share an integer scale",
            limits=Limits(LEAST_SLICE, 4096),
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
    half_step: Annotated[
        bool,
        Option(
            "Put weights half a step off the integers, evenly about zero",
            note="only an engine with half_steps runs these, and gets them if --engine names it",
            revocable=True,
        ),
    ] = False
    solver: Annotated[
        str,
        Option(
            "Solver of the dense summand: gptq, or rtn to round to nearest", names=("rtn", "gptq")
        ),
    ] = "gptq"
    sparsity: Annotated[
        str,
        Option(
            "N of each M weights of an output are kept, the others are 0; none for all, or M of 4, "
            "8 or 16",
            note="at most the engine's sparse_block; the head keeps all",
            metavar="N:M",
            read=parse_pattern,
        ),
    ] = NO_PATTERN
    sparsity_score: Annotated[
        str,
        Option(
            "What the kept weights and outliers have most of: magnitude, wanda (times the input's "
            "size), or sparsegpt (what the others cannot make up for)",
            names=SCORES,
        ),
    ] = "sparsegpt"
    head_bits: Annotated[
        int,
        Option("Bits of the output head's weights", limits=limits.PLANES, note="it gets no rank"),
    ] = 8

    def __post_init__(self):
        super().__post_init__()
        check_slices("group", self.group)
        if self.sparsity == NO_PATTERN:
            return
        if not self.bits:
            raise OptionError(
                "sparsity is of the dense summand, and bits is 0; give bits, or leave out sparsity"
            )
        if self.half_step:
            raise OptionError(
                "no half-step weight is 0, as sparsity wants them; leave out half_step or sparsity"
            )
        if self.solver == "rtn" and self.sparsity_score == "sparsegpt":
            raise OptionError(
                "sparsity_score must be magnitude or wanda with solver rtn, which does not make up "
                "for weights that become 0, not sparsegpt"
            )
