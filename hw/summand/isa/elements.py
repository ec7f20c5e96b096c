"""Elements, which multiply activations by weights; the configuration chooses one."""

import enum
from dataclasses import dataclass

from summand.isa.config import EngineConfig
from summand.isa.latencies import ACTIVATION_LATENCY
from summand.isa.memory import EngineMemory, MemoryKind
from summand.isa.rounding import ceil_log2

__all__ = ["Element", "ElementKind", "element"]


class ElementKind(enum.Enum):
    """The kinds of elements."""

    #: Tables of subset sums of four activations, addressed by four bits of a plane.
    TABLES = "tables"


@dataclass(frozen=True, kw_only=True)
class Element:
    """The element of one engine, and its preparation for a slice of activations.

    Parameters
    ----------
    kind : ElementKind
        What it is.
    latency : int
        From a word in a row to the slice sums that include it.
    passes : int
        Passes that prepare it for a slice, each over an equal part of the slice's activations.
    steps : int
        Cycles of a pass.
    step_latency : int
        From a step to what it changes.
    reset : int
        Cycles for which a reset must last before the element can be prepared.
    memory : EngineMemory
        The element's memories in all rows and columns.
    """

    kind: ElementKind
    latency: int
    passes: int
    steps: int
    step_latency: int
    reset: int
    memory: EngineMemory

    def pass_words(self, config: EngineConfig) -> int:
        """Return the words of the activation memory that one pass reads."""
        return config.slice_words // self.passes

    @property
    def read_ahead(self) -> int:
        """From a pass's first step to the order to read for the next.

        The staging registers change in the cycle after the pass's last step has read them.
        """
        return self.steps - 1 - ACTIVATION_LATENCY


def element(config: EngineConfig) -> Element:
    """Return what multiplies in the engine of ``config``."""
    return _tables(config)


def _tables(config: EngineConfig) -> Element:
    """Return the look-up tables' figures.

    A plane passes the look-up, a level of the adder tree a cycle, where there are half-steps the
    correction for them, and the sum over planes. Entry 0 is always zero, so a pass writes 15
    entries. A reset writes entry 0 of one table of each writer in each cycle, after the cycle that
    ends what the writers were doing.
    """
    return Element(
        kind=ElementKind.TABLES,
        latency=2 + ceil_log2(config.tables) + config.half_steps,
        passes=config.table_share,
        steps=15,
        step_latency=2,
        reset=1 + config.table_share,
        memory=EngineMemory(
            name="subset sums",
            kind=MemoryKind.LUT,
            width=config.act_bits + 2,
            depth=16,
            count=config.rows * config.cols * config.tables,
        ),
    )
