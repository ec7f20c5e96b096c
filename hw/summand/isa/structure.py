"""What an engine is built of: pipelines, memories and multipliers.

The gateware is built from these figures, the cost law counts with them, and the model of resources
adds them up. Latencies are in cycles; where registers have an enable, only enabled cycles count.
"""

import enum
from dataclasses import dataclass

from summand.isa.config import EngineConfig
from summand.isa.limits import MULT_BITS, PLANES, SEGMENTS, SHIFT

__all__ = [
    "ACTIVATION_LATENCY",
    "BLOCK_RAM_LATENCY",
    "DECODER_LATENCY",
    "DSP_BITS",
    "DSP_LATENCY",
    "FIFO_LATENCY",
    "ITEM_LATENCY",
    "JOINED_ROWS",
    "PLANE_WORDS",
    "RESULT_LATENCY",
    "SCALE_LATENCY",
    "SEGMENT_LATENCY",
    "SUM_DELAY",
    "Element",
    "ElementKind",
    "Encoding",
    "Memory",
    "MemoryKind",
    "Product",
    "accumulator_memory",
    "act_addr_bits",
    "activation_memory",
    "drain_memory",
    "drain_room",
    "element",
    "joints",
    "memories",
    "parameter_memory",
    "products",
    "requantise_latency",
    "requantise_product",
    "row_bits",
    "scale_memory",
    "scale_product",
    "scaled_bits",
    "scaler_latency",
    "segment_memory",
    "tile_bits",
]

#: From a block RAM's address to its word, which comes from the output register.
BLOCK_RAM_LATENCY = 2
#: Bits of the widest operand of one DSP block.
DSP_BITS = 18
#: From the operands of one DSP block to their product: its three registers.
DSP_LATENCY = 3

#: From a command header to its error code.
DECODER_LATENCY = 4
#: From a beat to the item of a payload that ends with it.
ITEM_LATENCY = 2
#: From a segment to the verdict on it.
SEGMENT_LATENCY = 3
#: From an order to read activations to the staging registers.
ACTIVATION_LATENCY = BLOCK_RAM_LATENCY + 1
#: From a tile's last word to its scales.
SCALE_LATENCY = BLOCK_RAM_LATENCY + 1
#: From an order to the accumulators to the sums that it adds.
SUM_DELAY = 3
#: From an order to the accumulators to what it reads.
RESULT_LATENCY = 3
#: From a drained tile's entry into the FIFO to its place at the output.
FIFO_LATENCY = 3
#: Rows whose results are joined at once: as many as a look-up table of four inputs joins with what
#: comes from the rows behind.
JOINED_ROWS = 3


class MemoryKind(enum.Enum):
    """Where a memory is kept on an FPGA."""

    LUT = "LUT RAM"
    BLOCK = "block RAM"


@dataclass(frozen=True, kw_only=True)
class Memory:
    """One of an engine's memories, ``count`` times.

    Parameters
    ----------
    name : str
        What it holds.
    kind : MemoryKind
        Where it is kept.
    width : int
        Bits of a word.
    depth : int
        Words.
    count : int
        Equal memories in the engine.
    """

    name: str
    kind: MemoryKind
    width: int
    depth: int
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Product:
    """A multiplication in DSP blocks, ``count`` times.

    Parameters
    ----------
    a_bits, b_bits : int
        Bits of the operands; ``a`` is signed, ``b`` is not.
    count : int
        Equal multipliers in the engine.
    """

    a_bits: int
    b_bits: int
    count: int = 1

    @property
    def blocks(self) -> int:
        """DSP blocks of one multiplier: one for each pair of the operands' parts."""
        return _ceil_div(self.a_bits, DSP_BITS) * _ceil_div(self.b_bits, DSP_BITS)

    @property
    def latency(self) -> int:
        """From operands to their product: a block, and a register a level of the sum of blocks."""
        return DSP_LATENCY + _log2(self.blocks)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How the stream writes the weights of a segment, and how long it takes to read them.

    Parameters
    ----------
    name : str
        What one word holds.
    latency : int
        From a word's last beat to the word, ready for the array.
    """

    name: str
    latency: int

    def tile_words(self, planes: int) -> int:
        """Return the words that bring a tile of weights of ``planes`` bit-planes, in each slice."""
        return planes

    def word_beats(self, config: EngineConfig) -> int:
        """Return the beats of the stream that make one word."""
        return config.plane_beats


#: A word is one bit of each of a tile's weights. Its last beat goes straight into the array.
PLANE_WORDS = Encoding(name="plane words", latency=0)


class ElementKind(enum.Enum):
    """What multiplies activations by weights."""

    #: Tables of subset sums of four activations, addressed by four bits of a plane.
    TABLES = "tables"


@dataclass(frozen=True, kw_only=True)
class Element:
    """What multiplies in one engine, and how it is made ready for a slice of activations.

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
    memory : Memory
        The element's memories in all rows and columns.
    """

    kind: ElementKind
    latency: int
    passes: int
    steps: int
    step_latency: int
    reset: int
    memory: Memory

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

    A plane passes the look-up, a level of the adder tree a cycle, and the sum over planes. Entry 0
    is always zero, so a pass writes 15 entries. A reset writes entry 0 of one table of each writer
    in each cycle, after the cycle that ends what the writers were doing.
    """
    return Element(
        kind=ElementKind.TABLES,
        latency=2 + _log2(config.tables),
        passes=config.table_share,
        steps=15,
        step_latency=2,
        reset=1 + config.table_share,
        memory=Memory(
            name="subset sums",
            kind=MemoryKind.LUT,
            width=config.act_bits + 2,
            depth=16,
            count=config.rows * config.cols * config.tables,
        ),
    )


def row_bits(config: EngineConfig) -> int:
    """Return the width of a row number."""
    return max(1, _log2(config.rows))


def tile_bits(config: EngineConfig) -> int:
    """Return the width of an accumulator address."""
    return _log2(config.acc_depth)


def act_addr_bits(config: EngineConfig) -> int:
    """Return the width of an address of the activation memory, in words of a beat."""
    return _log2(config.act_depth * config.slice_words)


def scaled_bits(config: EngineConfig) -> int:
    """Return the width of a slice sum, scaled if there are scales, at the accumulator.

    An accumulator wraps, so the sum is cut off at the accumulator's width.
    """
    return min(config.slice_sum_bits + config.scale_bits, config.acc_bits)


def scaler_latency(config: EngineConfig) -> int:
    """Return the cycles from a slice sum to its product with a scale; 0 without scales."""
    return scale_product(config).latency if config.scale_bits else 0


def requantise_latency(config: EngineConfig) -> int:
    """Return the stages from a held tile to the word that an activation is shifted into."""
    return 7 + requantise_product(config).latency


def drain_room(config: EngineConfig) -> int:
    """Return the tiles that may be on their way while accumulators are drained.

    It is no less than the cycles of the longest way there and back, so that the drain never waits
    for its own answers.
    """
    trip = 10 + element(config).latency + scaler_latency(config) + 2 * config.rows
    return 1 << _log2(trip)


def joints(config: EngineConfig) -> list[int]:
    """Return how many rows each joint of results has, from the front on."""
    return [min(JOINED_ROWS, config.rows - n) for n in range(0, config.rows, JOINED_ROWS)]


def segment_memory(config: EngineConfig) -> Memory:
    """Return the ring of checked segments: two tile numbers, the words of a tile, six flags."""
    return Memory(
        name="segments",
        kind=MemoryKind.LUT,
        width=2 * tile_bits(config) + _log2(PLANES.high) + 6,
        depth=SEGMENTS.high,
    )


def accumulator_memory(config: EngineConfig) -> Memory:
    """Return the rows' accumulators, a tile a word."""
    return Memory(
        name="accumulators",
        kind=MemoryKind.BLOCK,
        width=config.cols * config.acc_bits,
        depth=config.acc_depth,
        count=config.rows,
    )


def activation_memory(config: EngineConfig) -> Memory:
    """Return the rows' activations, a beat's a word."""
    return Memory(
        name="activations",
        kind=MemoryKind.BLOCK,
        width=config.beat_elems * config.act_bits,
        depth=config.act_depth * config.slice_words,
        count=config.rows,
    )


def parameter_memory(config: EngineConfig) -> Memory:
    """Return the requantise parameters: a multiplier and a shift less one, a feature a word."""
    return Memory(
        name="requantise parameters",
        kind=MemoryKind.BLOCK,
        width=MULT_BITS + _log2(SHIFT.high),
        depth=config.requant_depth,
    )


def drain_memory(config: EngineConfig) -> Memory:
    """Return the drained tiles that wait for their reader, each with two marks."""
    return Memory(
        name="drained tiles",
        kind=MemoryKind.BLOCK,
        width=config.cols * config.acc_bits + 2,
        depth=drain_room(config),
    )


def scale_memory(config: EngineConfig) -> Memory:
    """Return a group's scales, a beat's a word; only where ``scale_bits`` is not 0."""
    return Memory(
        name="scales",
        kind=MemoryKind.BLOCK,
        width=config.scale_tiles * config.cols * config.scale_bits,
        depth=max(2, _ceil_div(config.acc_depth, config.scale_tiles)),
    )


def memories(config: EngineConfig) -> tuple[Memory, ...]:
    """Return all memories of an engine."""
    scales = (scale_memory(config),) if config.scale_bits else ()
    return (
        element(config).memory,
        segment_memory(config),
        accumulator_memory(config),
        activation_memory(config),
        parameter_memory(config),
        drain_memory(config),
        *scales,
    )


def requantise_product(config: EngineConfig) -> Product:
    """Return the multiplication of an accumulator by its requantise multiplier."""
    return Product(a_bits=config.acc_bits, b_bits=MULT_BITS)


def scale_product(config: EngineConfig) -> Product:
    """Return the multiplications of slice sums by scales; only where ``scale_bits`` is not 0."""
    return Product(
        a_bits=config.slice_sum_bits,
        b_bits=config.scale_bits,
        count=config.rows * config.cols,
    )


def products(config: EngineConfig) -> tuple[Product, ...]:
    """Return all multiplications of an engine that are done in DSP blocks."""
    scales = (scale_product(config),) if config.scale_bits else ()
    return (requantise_product(config), *scales)


def _log2(value: int) -> int:
    """Return the logarithm, rounded up."""
    return (value - 1).bit_length()


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)
