"""The law's constants equal the gateware's."""

import pytest

from summand.cycles import Timing
from summand.isa import EngineConfig
from summand.rtl.accumulator import Accumulators
from summand.rtl.activations import Activations
from summand.rtl.column import Column
from summand.rtl.decoder import Decoder
from summand.rtl.drain import Drain
from summand.rtl.fifo import CountedFifo
from summand.rtl.items import ItemReader
from summand.rtl.requantise import Requantiser
from summand.rtl.scaler import Scaler
from summand.rtl.segments import SegmentTable
from summand.rtl.table import TABLE_STEPS

CONFIGS = [
    EngineConfig(),
    EngineConfig(rows=3, cols=2, depth=16, stream_bits=32),
    EngineConfig(rows=8, cols=16, depth=256, stream_bits=512),
    EngineConfig(scale_bits=6),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_constants_are_the_gatewares(config):
    timing = Timing.of(config)
    assert timing.decode == Decoder.LATENCY + 1
    assert timing.settle == ItemReader.LATENCY + SegmentTable.LATENCY
    assert timing.checked == ItemReader.LATENCY + 1
    assert timing.fill == Activations.LATENCY + 1
    assert timing.steps == TABLE_STEPS
    sums = Column.latency(config) + Scaler.latency(config)
    assert timing.order == sums - Accumulators.SUM_DELAY
    assert timing.result == Accumulators.RESULT_DELAY + 2
    assert timing.room == Drain.room(config)
    assert timing.fifo == CountedFifo.LATENCY
    assert timing.requantise == Requantiser.stages(config)


def test_room_lets_the_drain_run_at_a_tile_a_cycle():
    """Credits come back before they run out, even for the last row."""
    for config in CONFIGS:
        timing = Timing.of(config)
        assert timing.room >= timing.answer(config.rows - 1) + timing.credit
