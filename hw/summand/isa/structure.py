"""The parts of an engine, as functions of its configuration.

The gateware is built from these figures, the cost law counts with them, and the model of resources
adds them up.
"""

import functools

from summand.isa.config import EngineConfig
from summand.isa.elements import element
from summand.isa.latencies import ACCUMULATOR_DISTANCE, DECODER_LATENCY
from summand.isa.limits import BORDERS, MULT_BITS, PLANES, SEGMENTS, SHIFT
from summand.isa.memory import EngineMemory, MemoryKind
from summand.isa.products import requantise_product, scale_product
from summand.isa.rounding import ceil_div, ceil_log2
from summand.isa.widths import border_bits, slice_bits, tile_bits

__all__ = [
    "GATHERS_AHEAD",
    "JOINED_ROWS",
    "WORDS_AHEAD",
    "accumulator_memory",
    "activation_memory",
    "border_memory",
    "chunk_memory",
    "drain_memory",
    "drain_rest",
    "drain_room",
    "gather_memory",
    "joints",
    "memories",
    "operand_memory",
    "parameter_memory",
    "requantise_latency",
    "scale_memory",
    "scaler_latency",
    "segment_fields",
    "segment_memory",
    "word_memory",
]

#: Rows whose results are joined at once: as many as a look-up table of four inputs joins with what
#: comes from the rows behind.
JOINED_ROWS = 3
#: Plane words, or chunks for so many, that are held ahead of the walk where segments may be sparse.
WORDS_AHEAD = 16
#: Orders to gather chunks that are given ahead. The chunks of so many have room beside what is left
#: of a beat.
GATHERS_AHEAD = WORDS_AHEAD - 1


def scaler_latency(config: EngineConfig) -> int:
    """Return the cycles from a slice sum to its product with a scale; 0 without scales."""
    return scale_product(config).latency if config.scale_bits else 0


def requantise_latency(config: EngineConfig) -> int:
    """Return the stages from a held tile to the word that an activation is shifted into.

    Where the number of bits is a command's, the ends of their range are compared in one more.
    """
    return 7 + requantise_product(config).latency + (config.operand_depth > 0)


def drain_room(config: EngineConfig) -> int:
    """Return the tiles that may be on their way while accumulators are drained.

    It is no less than the cycles of the longest way there and back, so that the drain never waits
    for its own answers.
    """
    trip = 10 + element(config).latency + scaler_latency(config) + 2 * config.rows
    return 1 << ceil_log2(trip)


def drain_rest(config: EngineConfig) -> int:
    """Return the cycles for which a drain waits, so that the words before it have been added.

    A walk's last word takes its slot ``1 + turn`` cycles after its entry. The drain of a STORE
    behind it can have one, at the earliest, when a beat of its header has come and been decoded,
    the front has ordered the drain, and that has begun.
    """
    added = 1 + element(config).turn + ACCUMULATOR_DISTANCE
    return max(0, added - (1 + DECODER_LATENCY + 4))


def joints(config: EngineConfig) -> list[int]:
    """Return how many rows each joint of results has, from the front on."""
    return [min(JOINED_ROWS, config.rows - n) for n in range(0, config.rows, JOINED_ROWS)]


def segment_fields(config: EngineConfig) -> dict[str, int]:
    """Return the bits of each field of a checked segment, in order."""
    return {
        "tile": tile_bits(config),
        "more": tile_bits(config),
        "words": ceil_log2(PLANES.high),
        "clear": 1,
        "shift": 1,
        "scaled": 1,
        **({"half_step": 1} if config.half_steps else {}),
        **({"kept": ceil_log2(config.sparse_block)} if config.sparse_block else {}),
        "one_tile": 1,
        "one_word": 1,
        "last": 1,
    }


def segment_memory(config: EngineConfig) -> EngineMemory:
    """Return the ring of checked segments."""
    return EngineMemory(
        name="segments",
        kind=MemoryKind.LUT,
        width=sum(segment_fields(config).values()),
        depth=SEGMENTS.high,
    )


def border_memory(config: EngineConfig) -> EngineMemory:
    """Return a GEMM's checked borders: slices and shifts; only where ``border_shift`` is not 0."""
    return EngineMemory(
        name="borders",
        kind=MemoryKind.LUT,
        width=slice_bits(config) + border_bits(config),
        depth=BORDERS.high + 1,
    )


def accumulator_memory(config: EngineConfig) -> EngineMemory:
    """Return the rows' accumulators, a tile a word."""
    return EngineMemory(
        name="accumulators",
        kind=MemoryKind.BLOCK,
        width=config.cols * config.acc_bits,
        depth=config.acc_depth,
        count=config.rows,
    )


def activation_memory(config: EngineConfig) -> EngineMemory:
    """Return the rows' activations, a beat's a word."""
    return EngineMemory(
        name="activations",
        kind=MemoryKind.BLOCK,
        width=config.beat_elems * config.act_bits,
        depth=config.act_depth * config.slice_words,
        count=config.rows,
    )


def parameter_memory(config: EngineConfig) -> EngineMemory:
    """Return the requantise parameters: a multiplier and a shift less one, a feature a word."""
    return EngineMemory(
        name="requantise parameters",
        kind=MemoryKind.BLOCK,
        width=MULT_BITS + ceil_log2(SHIFT.high),
        depth=config.requant_depth,
    )


def drain_memory(config: EngineConfig) -> EngineMemory:
    """Return the drained tiles that wait for their reader, each with two marks."""
    return EngineMemory(
        name="drained tiles",
        kind=MemoryKind.BLOCK,
        width=config.cols * config.acc_bits + 2,
        depth=drain_room(config),
    )


def scale_memory(config: EngineConfig) -> EngineMemory:
    """Return a group's scales, a beat's a word; only where ``scale_bits`` is not 0."""
    return EngineMemory(
        name="scales",
        kind=MemoryKind.BLOCK,
        width=config.scale_tiles * config.cols * config.scale_bits,
        depth=max(2, ceil_div(config.acc_depth, config.scale_tiles)),
    )


def chunk_memory(config: EngineConfig) -> EngineMemory:
    """Return the chunks that wait to be gathered; only where ``sparse_block`` is not 0."""
    return EngineMemory(
        name="chunks",
        kind=MemoryKind.LUT,
        width=config.plane_bits // config.sparse_block,
        depth=WORDS_AHEAD,
        count=config.sparse_block,
    )


def gather_memory(config: EngineConfig) -> EngineMemory:
    """Return the orders to gather chunks: where, how many beats they need, and what they are."""
    place = ceil_log2(config.sparse_block)
    ahead = ceil_log2(WORDS_AHEAD)
    return EngineMemory(
        name="gathers",
        kind=MemoryKind.LUT,
        width=3 * place + 2 * ahead + 1 + ceil_log2(config.plane_beats) + 2,
        depth=WORDS_AHEAD,
    )


def word_memory(config: EngineConfig) -> EngineMemory:
    """Return the plane words that wait to be walked; only where ``sparse_block`` is not 0."""
    return EngineMemory(
        name="plane words", kind=MemoryKind.LUT, width=config.plane_bits, depth=WORDS_AHEAD
    )


def operand_memory(config: EngineConfig) -> EngineMemory:
    """Return the operand's plane words, a lane each; only where ``operand_depth`` is not 0."""
    return EngineMemory(
        name="operand",
        kind=MemoryKind.BLOCK,
        width=config.cols,
        depth=config.operand_depth,
        count=config.depth,
    )


@functools.lru_cache(16)  # the model of resources asks several times of one engine
def memories(config: EngineConfig) -> tuple[EngineMemory, ...]:
    """Return all memories of an engine."""
    borders = (border_memory(config),) if config.border_shift else ()
    scales = (scale_memory(config),) if config.scale_bits else ()
    ahead = (chunk_memory, gather_memory, word_memory) if config.sparse_block else ()
    return (
        *element(config).memories,
        segment_memory(config),
        *borders,
        accumulator_memory(config),
        activation_memory(config),
        parameter_memory(config),
        drain_memory(config),
        *scales,
        *(memory(config) for memory in ahead),
        *((operand_memory(config),) if config.operand_depth else ()),
    )
