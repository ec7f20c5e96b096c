"""cocotb tests of the AXI top with cocotbext-axi; started by ``tests/cosim``."""

import itertools
import logging
import random
import warnings
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamSink,
    AxiStreamSource,
)

from summand.cosim.job import read_config
from summand.cosim.output import check_counters
from summand.golden import split_packets, without_counters
from summand.isa import ErrorCode
from summand.isa.commands import Fence
from summand.isa.packets import Counters
from summand.isa.registers import IDENTITY, REGISTERS, STREAM_VERSION, Access, register
from summand.rtl.engine import Engine
from summand.stimulus.builder import TestProgram
from summand.stimulus.corruptions import corrupt, corruptions
from summand.stimulus.programs import random_program

#: Bytes of the register window.
_WINDOW = 256


class _Bench:
    """The IP block, with a DMA engine at its streams and a processor at its registers."""

    def __init__(self, dut: Any, p_stall: float):
        # cocotbext-axi prints every frame, and uses what cocotb deprecates.
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module="cocotbext")
        self.dut = dut
        self.config = read_config()
        self.rng = np.random.default_rng(cocotb.RANDOM_SEED)
        reset = {"reset": dut.aresetn, "reset_active_level": False}
        size = self.config.beat_bytes
        self.source = AxiStreamSource(
            AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, byte_lanes=size, **reset
        )
        self.sink = AxiStreamSink(
            AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, byte_lanes=size, **reset
        )
        self.bus: Any = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.aclk, **reset)
        channels = (
            self.source,
            self.sink,
            self.bus.write_if.aw_channel,
            self.bus.write_if.w_channel,
            self.bus.write_if.b_channel,
            self.bus.read_if.ar_channel,
            self.bus.read_if.r_channel,
        )
        for n, channel in enumerate(channels if p_stall else ()):
            channel.set_pause_generator(_pauses(p_stall, f"{cocotb.RANDOM_SEED} {n}"))

    async def start(self) -> "_Bench":
        self.dut.aresetn.value = 0
        Clock(self.dut.aclk, 10, unit="ns").start()
        await self.hard_reset()
        return self

    async def hard_reset(self) -> None:
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 3)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 1)

    async def soft_reset(self) -> None:
        """Reset the engine by its register, and its streams' other ends by hand."""
        for port in (self.source, self.sink):
            port.assert_reset(True)
        for port in (self.source, self.sink):
            port.clear()
        await self.write("reset", 1)
        for port in (self.source, self.sink):
            port.assert_reset(False)

    async def read(self, name: str) -> int:
        reply = await self.bus.read(register(name).offset, 4)
        assert reply.resp == AxiResp.OKAY
        return int.from_bytes(reply.data, "little")

    async def write(self, name: str, value: int) -> None:
        reply = await self.bus.write(register(name).offset, value.to_bytes(4, "little"))
        assert reply.resp == AxiResp.OKAY

    async def counters(self) -> Counters:
        return Counters(**{name: await self.read(name) for name in Counters().__dict__})

    async def send(self, data: bytes) -> None:
        """Send bytes in frames of random sizes, because the engine ignores their ends."""
        size = self.config.beat_bytes
        while data:
            count = int(self.rng.integers(1, 40)) * size
            await self.source.send(data[:count])
            data = data[count:]

    async def check(self, program: TestProgram) -> None:
        """Run a program and compare frame by frame with the golden model's packets."""
        await self.send(program.data)
        output = b""
        for packet in split_packets(program.output, self.config):
            frame = bytes((await self.sink.recv()).tdata)
            got = split_packets(without_counters(frame, self.config), self.config)
            assert got == (packet,)
            output += frame
        check_counters(output, self.config)


def _pauses(p: float, seed: str) -> Iterator[bool]:
    rng = random.Random(seed)
    return (rng.random() < p for _ in itertools.count())


@cocotb.test(timeout_time=3, timeout_unit="ms")
@cocotb.parametrize(p_stall=[0.0, 0.4, 0.8])
async def programs_match_golden(dut: Any, p_stall: float) -> None:
    """Random programs give the golden model's packets, a frame each."""
    bench = await _Bench(dut, p_stall).start()
    for _ in range(4):
        program = random_program(bench.rng, bench.config)
        await bench.check(program)
        assert await bench.read("status") == 0
        await bench.soft_reset()


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(p_stall=[0.0, 0.6])
async def registers_say_who_it_is(dut: Any, p_stall: float) -> None:
    """Identity, version and digest are the configuration's, before and after resets."""
    bench = await _Bench(dut, p_stall).start()
    digest = int(bench.config.digest, 16)
    for reset in (bench.soft_reset, bench.hard_reset):
        assert await bench.read("identity") == IDENTITY
        assert await bench.read("version") == STREAM_VERSION
        assert await bench.read("digest_lo") == digest & 0xFFFFFFFF
        assert await bench.read("digest_hi") == digest >> 32
        assert await bench.read("reset") == 0
        await reset()


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(p_stall=[0.0, 0.6])
async def other_accesses_are_refused(dut: Any, p_stall: float) -> None:
    """Unknown offsets and writes to read-only registers get SLVERR and change nothing."""
    bench = await _Bench(dut, p_stall).start()
    program = random_program(bench.rng, bench.config, commands=2)
    await bench.check(program)
    commands = await bench.read("commands")
    known = {r.offset: r for r in REGISTERS}
    for offset in range(0, _WINDOW, 4):
        reply = await bench.bus.read(offset, 4)
        assert reply.resp == (AxiResp.OKAY if offset in known else AxiResp.SLVERR)
        if offset not in known:
            assert bytes(reply.data) == bytes(4)
        if offset not in known or known[offset].access is Access.RO:
            assert (await bench.bus.write(offset, b"\x01\0\0\0")).resp == AxiResp.SLVERR
    assert await bench.read("commands") == commands > 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def only_a_written_1_resets(dut: Any) -> None:
    """A 0 in bit 0, or a write whose strobe leaves its byte out, resets nothing."""
    bench = await _Bench(dut, 0.0).start()
    await bench.check(random_program(bench.rng, bench.config, commands=2))
    commands = await bench.read("commands")
    offset = register("reset").offset
    await bench.write("reset", 0xFFFFFFFE)
    await bench.bus.write(offset + 1, b"\xff\xff\xff")
    assert await bench.read("commands") == commands > 0
    await bench.bus.write(offset, b"\x01")
    assert await bench.read("commands") == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def transactions_may_pile_up(dut: Any) -> None:
    """Reads and writes started together all finish, in order."""
    bench = await _Bench(dut, 0.5).start()
    names = [r.name for r in REGISTERS if r.access is Access.RO][:4]
    reads = [cocotb.start_soon(bench.read(name)) for name in names]
    writes = [cocotb.start_soon(bench.bus.write(4 * n, bytes(4))) for n in range(4)]
    got = [await task for task in reads]
    refused = [(await task).resp for task in writes]
    assert refused == [AxiResp.SLVERR] * len(writes)
    assert got == [await bench.read(name) for name in names]


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def counters_are_readable_and_add_up(dut: Any) -> None:
    """Registers have the values of the FENCE's packet, or later ones where they go on counting."""
    bench = await _Bench(dut, 0.3).start()
    program = random_program(bench.rng, bench.config)
    await bench.send(program.data)
    packets = split_packets(program.output, bench.config)
    frames = [bytes((await bench.sink.recv()).tdata) for _ in packets]
    (last,) = split_packets(frames[-1], bench.config)
    fenced = Counters.decode(last.payload)
    now = await bench.counters()
    for name in ("work", "load", "table"):
        assert getattr(now, name) == getattr(fenced, name), name
    for name in ("cycles", "header", "stream", "drain", "output"):
        assert getattr(now, name) >= getattr(fenced, name), name
    assert fenced.work == program.plane_words


@cocotb.test(timeout_time=3, timeout_unit="ms")
@cocotb.parametrize(p_stall=[0.0, 0.5])
async def soft_reset_recovers_from_anywhere(dut: Any, p_stall: float) -> None:
    """A soft reset in any cycle leaves nothing that changes the next program."""
    bench = await _Bench(dut, p_stall).start()
    for _ in range(10):
        program = random_program(bench.rng, bench.config, commands=8, max_words=32)
        await bench.send(program.data)
        await ClockCycles(dut.aclk, int(bench.rng.integers(1, 2 * program.stream_beats)))
        await bench.soft_reset()
        assert await bench.read("commands") == 0
        await bench.check(random_program(bench.rng, bench.config, commands=4, max_words=32))
        await bench.soft_reset()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def no_beat_is_taken_while_reset_lasts(dut: Any) -> None:
    """The engine refuses input from the response's first cycle on, until its rows are empty."""
    bench = await _Bench(dut, 0.0).start()
    cycles = Engine.reset_cycles(bench.config)
    await ClockCycles(dut.aclk, cycles)
    writing = cocotb.start_soon(bench.write("reset", 1))
    ready = []
    for _ in range(20):
        await RisingEdge(dut.aclk)
        ready.append(bool(dut.s_axis_tready.value))
        if dut.s_axil_bvalid.value:
            break
    assert ready == [True] * (len(ready) - 1) + [False]
    assert len(ready) > 2
    for _ in range(1, cycles):
        await RisingEdge(dut.aclk)
        assert not dut.s_axis_tready.value
    await RisingEdge(dut.aclk)
    assert dut.s_axis_tready.value
    await writing


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def hard_reset_recovers_from_anywhere(dut: Any) -> None:
    """``aresetn`` in any cycle leaves nothing either, and drops transactions."""
    bench = await _Bench(dut, 0.3).start()
    for _ in range(6):
        program = random_program(bench.rng, bench.config, commands=8, max_words=32)
        await bench.send(program.data)
        await ClockCycles(dut.aclk, int(bench.rng.integers(1, 2 * program.stream_beats)))
        await bench.hard_reset()
        bench.source.clear()
        bench.sink.clear()
        assert await bench.read("commands") == 0
        await bench.check(random_program(bench.rng, bench.config, commands=4, max_words=32))
        await bench.hard_reset()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def hard_reset_withdraws_answers(dut: Any) -> None:
    """During aresetn no answer and no packet is offered, even one that waited to be taken."""
    bench = await _Bench(dut, 0.0).start()
    bench.sink.pause = True
    bench.bus.write_if.b_channel.pause = True
    bench.bus.read_if.r_channel.pause = True
    await bench.send(Fence().encode(bench.config))
    pending = [
        cocotb.start_soon(bench.bus.read(0, 4)),
        cocotb.start_soon(bench.bus.write(0, bytes(4))),
    ]
    await ClockCycles(dut.aclk, 50)
    offers = (dut.m_axis_tvalid, dut.s_axil_rvalid, dut.s_axil_bvalid)
    assert all(offer.value for offer in offers)
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 3)
    assert not any(offer.value for offer in offers)
    for task in pending:
        task.cancel()


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def one_cycle_of_aresetn_resets_everything(dut: Any) -> None:
    """One cycle of ``aresetn`` also drops a waiting beat: it is not offered again afterwards."""
    bench = _Bench(dut, 0.0)
    dut.aresetn.value = 1
    Clock(dut.aclk, 10, unit="ns").start()
    for paused in (False, True, True):
        if paused:
            bench.sink.pause = True
            await bench.send(Fence().encode(bench.config))
            await ClockCycles(dut.aclk, 50)
            assert dut.m_axis_tvalid.value
        await FallingEdge(dut.aclk)
        dut.aresetn.value = 0
        await FallingEdge(dut.aclk)
        dut.aresetn.value = 1
        for _ in range(Engine.reset_cycles(bench.config) + 4):
            await RisingEdge(dut.aclk)
            assert not dut.m_axis_tvalid.value
        bench.sink.clear()
        bench.sink.pause = False
        await bench.check(random_program(bench.rng, bench.config, commands=8, max_words=32))


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def every_error_code_is_in_the_status(dut: Any) -> None:
    """One bad command for each code: its packet, the status register, and recovery by a reset."""
    bench = await _Bench(dut, 0.2).start()
    by_code = {bad.code: bad for bad in corruptions(bench.config)}
    lacks = set() if bench.config.operand_depth else {ErrorCode.OPERAND}
    assert by_code.keys() == set(ErrorCode) - {ErrorCode.OK} - lacks
    for code, bad in by_code.items():
        program = random_program(bench.rng, bench.config, commands=2, max_words=4)
        await bench.check(corrupt(bench.rng, program, bad))
        assert await bench.read("status") == code << 8
        await bench.soft_reset()
        assert await bench.read("status") == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def status_shows_busy(dut: Any) -> None:
    """Busy while a packet waits to be taken, idle after."""
    bench = await _Bench(dut, 0.0).start()
    bench.sink.pause = True
    await bench.send(Fence().encode(bench.config))
    await ClockCycles(dut.aclk, 50)
    assert await bench.read("status") == 1
    bench.sink.pause = False
    await bench.sink.recv()
    await ClockCycles(dut.aclk, 5)
    assert await bench.read("status") == 0
