"""A cocotb test that sends a given stream and expects given beats, without any model.

The job has both as hexadecimal text, ``stream`` and ``answer``. A ``null`` in the answer stands for
a beat that may have any known value, such as counters.
"""

from typing import Any

import cocotb

from summand.cosim.drivers import StreamSink, StreamSource, start_clock
from summand.cosim.job import read_config, read_job
from summand.rtl.engine import Engine
from summand.rtl.stream import Beat


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def the_stream_is_answered(dut: Any) -> None:
    """All beats of the answer come, in order."""
    config, job = read_config(), read_job()
    source, sink = StreamSource(dut, "i"), StreamSink(dut, "o")
    await start_clock(dut, cycles=Engine.reset_cycles(config))
    cocotb.start_soon(source.send([int(beat, 16) for beat in job["stream"]]))
    beat = Beat(config.stream_bits)
    taken = [beat.from_bits(bits).data for bits in await sink.receive(len(job["answer"]))]
    wanted = [None if text is None else int(text, 16) for text in job["answer"]]
    assert [None if w is None else t for t, w in zip(taken, wanted, strict=True)] == wanted
