"""cocotb tests of the engine against the golden model; started by ``tests/cosim``."""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge

from summand.cosim.drivers import StreamSink, StreamSource, reset, start_clock, watch_outputs
from summand.cosim.job import read_config, read_job
from summand.cosim.output import check_counters, packet_ends
from summand.golden import GoldenEngine, without_counters
from summand.isa import ErrorCode
from summand.isa.commands import Fence
from summand.rtl.engine import Engine
from summand.rtl.stream import Beat
from summand.stimulus.corruptions import corrupt, corruptions
from summand.stimulus.programs import random_program

#: An engine that has sent nothing for so many cycles will send nothing.
_SILENCE = 300


class _Bench:
    """An engine and its drivers; what it answers is compared with the golden model."""

    def __init__(self, dut: Any, p_stall: float):
        self.dut = dut
        self.config = read_config()
        self.rng = np.random.default_rng(cocotb.RANDOM_SEED)
        self.source = StreamSource(dut, "i", p_stall=p_stall, seed=cocotb.RANDOM_SEED)
        self.sink = StreamSink(dut, "o", p_stall=p_stall, seed=cocotb.RANDOM_SEED)
        self.beat = Beat(self.config.stream_bits)

    async def start(self) -> "_Bench":
        await start_clock(self.dut, cycles=Engine.reset_cycles(self.config))
        names = ("i__ready", "busy", "error", "commands", "counters")
        cocotb.start_soon(watch_outputs(self.dut, names, offers=("o",)))
        return self

    async def reset(self) -> None:
        """Reset the engine, whatever it is doing."""
        self.source.stop()
        self.sink.stop()
        await reset(self.dut, Engine.reset_cycles(self.config))

    def payloads(self, data: bytes) -> list[int]:
        """Cut bytes into beats."""
        size = self.config.beat_bytes
        return [int.from_bytes(data[n : n + size], "little") for n in range(0, len(data), size)]

    async def exchange(self, data: bytes, nbytes: int) -> bytes:
        """Send ``data``, return ``nbytes`` of output; check that it ends there, packets too."""
        driving = cocotb.start_soon(self.source.send(self.payloads(data)))
        size = self.config.beat_bytes
        taken = await self.sink.receive(nbytes // size)
        await driving
        for _ in range(_SILENCE):
            assert await self.sink.cycle() is None, "more output than the golden model's"
        self.sink.stop()
        beats = [self.beat.from_bits(bits) for bits in taken]
        output = b"".join(beat.data.to_bytes(size, "little") for beat in beats)
        lasts = [n for n, beat in enumerate(beats) if beat.last]
        assert lasts == packet_ends(output, self.config)
        check_counters(output, self.config)
        return without_counters(output, self.config)

    async def check(self, data: bytes, want: bytes, error: ErrorCode = ErrorCode.OK) -> None:
        """Send ``data`` and compare with the golden model's output and state."""
        assert await self.exchange(data, len(want)) == want
        assert self.dut.error.value == error
        assert not self.dut.busy.value


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(p_stall=[0.0, 0.3, 0.8])
async def programs_match_golden(dut: Any, p_stall: float) -> None:
    """Random programs give the golden model's output, and their counters add up.

    As many as the job says under ``programs``, or 8.
    """
    bench = await _Bench(dut, p_stall).start()
    for _ in range(read_job().get("programs", 8)):
        program = random_program(bench.rng, bench.config)
        await bench.check(program.data, program.output)
        await bench.reset()


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(p_stall=[0.0, 0.5])
async def reset_recovers_from_anywhere(dut: Any, p_stall: float) -> None:
    """A reset in any cycle of a program leaves nothing that changes the next one."""
    bench = await _Bench(dut, p_stall).start()
    for _ in range(16):
        program = random_program(bench.rng, bench.config, commands=8, max_words=32)
        driving = cocotb.start_soon(bench.source.send(bench.payloads(program.data)))
        taking = cocotb.start_soon(bench.sink.receive(len(program.output)))
        await ClockCycles(dut.clk, int(bench.rng.integers(1, 2 * program.stream_beats)))
        await FallingEdge(dut.clk)
        driving.cancel()
        taking.cancel()
        await bench.reset()
        program = random_program(bench.rng, bench.config, commands=4, max_words=32)
        await bench.check(program.data, program.output)
        await bench.reset()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def every_error_is_reported(dut: Any) -> None:
    """Each bad command stops the engine with the golden model's code; a reset recovers it."""
    bench = await _Bench(dut, p_stall=0.2).start()
    for bad in corruptions(bench.config):
        good = random_program(bench.rng, bench.config, commands=2, max_words=4)
        broken = corrupt(bench.rng, good, bad)
        await bench.check(broken.data, broken.output, bad.code)
        await bench.reset()
        assert dut.error.value == ErrorCode.OK


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def garbage_matches_golden(dut: Any) -> None:
    """Random bytes are treated as by the golden model, also in place of a payload."""
    bench = await _Bench(dut, p_stall=0.2).start()
    for n in range(20):
        data = bench.rng.bytes(40 * bench.config.beat_bytes)
        if n % 2:
            program = random_program(bench.rng, bench.config, commands=2)
            cut = int(bench.rng.integers(program.stream_beats)) * bench.config.beat_bytes
            data = program.data[:cut] + data
        golden = GoldenEngine(bench.config)
        golden.write([data])
        want = golden.read(golden.available)
        assert await bench.exchange(data, len(want)) == want
        assert dut.error.value == golden.read_register("status") >> 8
        await bench.reset()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def truncated_streams_wait(dut: Any) -> None:
    """A stream cut at any beat is answered up to there, and goes on when the rest comes."""
    bench = await _Bench(dut, p_stall=0.2).start()
    for _ in range(6):
        program = random_program(bench.rng, bench.config, commands=6, max_words=16)
        cut = int(bench.rng.integers(1, program.stream_beats)) * bench.config.beat_bytes
        golden = GoldenEngine(bench.config)
        golden.write([program.data[:cut]])
        first = golden.read(golden.available)
        assert await bench.exchange(program.data[:cut], len(first)) == first
        rest = program.output[len(first) :]
        await bench.check(program.data[cut:], rest)
        await bench.reset()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def commands_are_counted(dut: Any) -> None:
    """The port counts commands since reset, and packets contain the number of theirs."""
    bench = await _Bench(dut, p_stall=0.0).start()
    for _ in range(2):
        program = b"".join(Fence(tag).encode(bench.config) for tag in range(5))
        golden = GoldenEngine(bench.config)
        golden.write([program])
        await bench.check(program, golden.read(golden.available))
        assert dut.commands.value == 5
        await bench.reset()
        assert dut.commands.value == 0
