"""Cycles that a pipeline of the engine takes; where registers have an enable, only enabled ones."""

__all__ = [
    "ACCUMULATOR_DISTANCE",
    "ACTIVATION_LATENCY",
    "BLOCK_RAM_LATENCY",
    "DECODER_LATENCY",
    "FIFO_LATENCY",
    "ITEM_LATENCY",
    "RESULT_LATENCY",
    "SCALE_LATENCY",
    "SEGMENT_LATENCY",
    "SUM_DELAY",
    "TURNER_LATENCY",
    "UNPACK_LATENCY",
]

#: From one order to the accumulators to the next for the same tile, at least.
ACCUMULATOR_DISTANCE = 5
#: From a block RAM's address to its word, which comes from the output register.
BLOCK_RAM_LATENCY = 2
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
#: From a digit's last plane to the digit's first word, where an element takes several planes.
TURNER_LATENCY = 1
#: From the gathering of a sparse segment's chunks to their plane word at the walker.
UNPACK_LATENCY = 7
#: From a drained tile's entry into the FIFO to its place at the output.
FIFO_LATENCY = 3
