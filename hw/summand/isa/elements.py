"""Elements, which multiply activations by weights; the configuration chooses one."""

import enum
from dataclasses import dataclass

from summand.isa.config import EngineConfig
from summand.isa.digits import digit_lanes, digit_size
from summand.isa.latencies import ACCUMULATOR_DISTANCE, ACTIVATION_LATENCY, TURNER_LATENCY
from summand.isa.memory import EngineMemory, MemoryKind
from summand.isa.products import DSP_LATENCY
from summand.isa.rounding import ceil_log2

__all__ = ["Element", "ElementKind", "element"]


class ElementKind(enum.Enum):
    """The kinds of elements."""

    #: Tables of subset sums of four activations, addressed by four bits of a plane.
    TABLES = "tables"
    #: DSP blocks, which multiply activations by digits of two columns' weights.
    DIGITS = "digits"


@dataclass(frozen=True, kw_only=True)
class Element:
    """The element of one engine, and its preparation for a slice of activations.

    Parameters
    ----------
    kind : ElementKind
        What it is.
    planes : int
        Planes that it takes at once; a tile's are filled up to a multiple of them.
    word_bits : int
        Bits of a word in the rows.
    turn : int
        From a tile's last plane word in front of the rows to its last word in the rows, further
        than if both were the same.
    latency : int
        From a word in a row to the slice sums that include it.
    passes : int
        Passes that prepare it for a slice, each over an equal part of the slice's activations.
    steps : int
        Cycles of a pass.
    read_ahead : int
        From a pass's first step to the order to read for the next.
    reset : int
        Cycles for which a reset must last before the element can be prepared.
    memories : tuple of EngineMemory
        The element's memories in all rows and columns.
    """

    kind: ElementKind
    planes: int
    word_bits: int
    turn: int
    latency: int
    passes: int
    steps: int
    read_ahead: int
    reset: int
    memories: tuple[EngineMemory, ...]

    def pass_words(self, config: EngineConfig) -> int:
        """Return the words of the activation memory that one pass reads."""
        return config.slice_words // self.passes


def element(config: EngineConfig) -> Element:
    """Return what multiplies in the engine of ``config``."""
    return _digits(config) if config.digit_bits else _tables(config)


def _tables(config: EngineConfig) -> Element:
    """Return the look-up tables' figures.

    A plane passes the look-up, a level of the adder tree a cycle, where there are half-steps the
    correction for them, and the sum over planes. Entry 0 is always zero, so a pass writes 15
    entries. The staging registers change in the cycle after its last step has read them. A reset
    writes entry 0 of one table of each writer in each cycle, after the cycle that ends what the
    writers were doing.
    """
    steps = 15
    return Element(
        kind=ElementKind.TABLES,
        planes=1,
        word_bits=config.plane_bits,
        turn=0,
        latency=2 + ceil_log2(config.tables) + config.half_steps,
        passes=config.table_share,
        steps=steps,
        read_ahead=steps - 1 - ACTIVATION_LATENCY,
        reset=1 + config.table_share,
        memories=(
            EngineMemory(
                name="subset sums",
                kind=MemoryKind.LUT,
                width=config.act_bits + 2,
                depth=16,
                count=config.rows * config.cols * config.tables,
            ),
        ),
    )


def _digits(config: EngineConfig) -> Element:
    """Return the DSP blocks' figures.

    A word of digits passes the blocks, a level of the adder tree a cycle, and the sum over words.
    The first word of a digit follows the digit's last plane ``TURNER_LATENCY`` cycles later. The
    rows copy their staged activations when those of the last word of the slice before have been
    chosen, ``ACCUMULATOR_DISTANCE - 1`` cycles after its last plane word; the staging registers
    change in the cycle after that. So many cycles keep the words of a tile in two slices apart that
    accumulators are written in between.
    """
    return Element(
        kind=ElementKind.DIGITS,
        planes=config.digit_bits,
        word_bits=config.cols * digit_lanes(config) * digit_size(config),
        turn=TURNER_LATENCY + config.digit_bits - 1,
        latency=DSP_LATENCY + ceil_log2(digit_lanes(config)) + 1,
        passes=1,
        steps=ACCUMULATOR_DISTANCE - config.digit_bits,
        read_ahead=ACCUMULATOR_DISTANCE - 1 - ACTIVATION_LATENCY,
        reset=1,
        memories=(),
    )
