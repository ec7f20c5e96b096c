"""A board's top on the network with a memory: host, datagrams, link, player and engine as one."""

from collections import deque

import numpy as np
import pytest
from amaranth import *
from amaranth.sim import Simulator

from summand.boards.link.datagrams import DatagramLine
from summand.boards.top_memory import TopMemory
from summand.boards.udp_top import UdpLinkConfig, UdpTop
from summand.golden import without_counters
from summand.isa import EngineConfig
from summand.rtl.memory.native import NativePort
from summand.runtime.line import LineDevice
from summand.runtime.memory.played import PlayedDevice
from summand.runtime.udp import UDP_PACE, udp_words
from summand.stimulus.programs import random_program

CONFIG = EngineConfig(
    rows=1, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, requant_depth=16
)
#: Two words a beat, so that what lies between port and player shows.
MEMORY = TopMemory(bytes=1024, native=NativePort(address_bits=9, word_bits=16))
CYCLE_S = 13e-9
#: Cycles for which a read of the line lets the gateware run, and from a word's command to it.
NAP, LATENCY = 200, 9


class Controller:
    """Carries out a command a cycle, its word moving some cycles later."""

    def __init__(self, dut):
        self._native, self._control = dut.native, dut.control
        self._pipe: deque[tuple[bool, int] | None] = deque([None] * LATENCY)
        self.words: dict[int, int] = {}
        #: What was written to its registers, by a word's place.
        self.registers: dict[int, int] = {}

    def begin(self, ctx):
        native, control = self._native, self._control
        self._due = self._pipe.popleft()
        we, address = self._due or (False, 0)
        ctx.set(native.cmd.ready, 1)
        ctx.set(native.wdata.ready, self._due is not None and we)
        ctx.set(native.rdata.valid, self._due is not None and not we)
        ctx.set(native.rdata.payload, self.words.get(address, 0))
        ctx.set(control.dat_r, self.registers.get(ctx.get(control.adr), 0))
        ctx.set(control.ack, ctx.get(control.cyc) & ctx.get(control.stb))

    def end(self, ctx):
        native, control = self._native, self._control
        command = ctx.get(native.cmd.payload)
        taken = ctx.get(native.cmd.valid)
        self._pipe.append((bool(command.we), int(command.addr)) if taken else None)
        if self._due and self._due[0]:
            assert ctx.get(native.wdata.valid)
            self.words[self._due[1]] = ctx.get(native.wdata.payload)
        if ctx.get(control.cyc) & ctx.get(control.we):
            self.registers[ctx.get(control.adr)] = ctx.get(control.dat_w)


class SimulatedLine:
    """The port of a top in Amaranth's simulator, as a line."""

    pace, words = UDP_PACE, udp_words("the simulator")

    def __init__(self, dut):
        self._dut = dut
        self._datagrams = DatagramLine(5)
        self._coming: deque[tuple[int, bool]] = deque()
        self._going, self._frames = bytearray(), bytearray()
        self.controller = Controller(dut)
        self.cycles = 0
        self._sim = Simulator(dut)
        self._sim.add_testbench(self._run, background=True)

    async def _run(self, ctx):
        dut = self._dut
        ctx.set(dut.source_ip_address, 0xC0A80102)
        ctx.set(dut.source_src_port, 40000)
        ctx.set(dut.source_dst_port, 2000)
        ctx.set(dut.sink_ready, 1)
        while True:
            ctx.set(dut.rst, self.cycles < 4)
            valid = bool(self._coming) and self.cycles > 8
            word, last = self._coming.popleft() if valid else (0, False)
            ctx.set(dut.source_valid, valid)
            ctx.set(dut.source_data, word)
            ctx.set(dut.source_last, last)
            self.controller.begin(ctx)
            await ctx.delay(CYCLE_S / 2)
            self.controller.end(ctx)
            if ctx.get(dut.sink_valid):
                self._going += ctx.get(dut.sink_data).to_bytes(4, "little")
                if ctx.get(dut.sink_last):
                    self._frames += self._datagrams.unwrap(bytes(self._going))
                    self._going.clear()
            ctx.set(dut.clk, 1)
            await ctx.delay(CYCLE_S / 2)
            ctx.set(dut.clk, 0)
            self.cycles += 1

    def write(self, data):
        for datagram in self._datagrams.wrap(data):
            words = [datagram[at : at + 4] for at in range(0, len(datagram), 4)]
            for n, word in enumerate(words):
                self._coming.append((int.from_bytes(word, "little"), n + 1 == len(words)))

    def read(self, timeout_s):
        if timeout_s:
            self._sim.run_until((self.cycles + NAP) * CYCLE_S)
        frames = bytes(self._frames)
        self._frames.clear()
        return frames

    def close(self):
        pass


@pytest.fixture(scope="module")
def line():
    return SimulatedLine(UdpTop(CONFIG, link=UdpLinkConfig(), memory=MEMORY))


def test_weights_in_the_memory_of_a_board_on_the_network(line):
    """What is uploaded and played comes out as if the host had sent it."""
    device = LineDevice(CONFIG, line, clock=lambda: line.cycles * CYCLE_S)
    assert device.read_register("memory_beats") == MEMORY.bytes // CONFIG.beat_bytes
    program = random_program(np.random.default_rng(1), CONFIG, commands=5)
    cut = len(program.data) // 3 // CONFIG.beat_bytes * CONFIG.beat_bytes
    first, held, last = program.data[:cut], program.data[cut : 2 * cut], program.data[2 * cut :]
    played = PlayedDevice(device)
    assert played.hold([held]) > 0
    lies = b"".join(line.controller.words[n].to_bytes(2, "little") for n in range(len(held) // 2))
    assert lies == held
    played.write([first, held, last])
    output = played.read(len(program.output), 1)
    assert without_counters(output, CONFIG) == program.output
    assert played.played_bytes == len(held)


def test_the_controllers_registers_are_reached(line):
    device = LineDevice(CONFIG, line, clock=lambda: line.cycles * CYCLE_S)
    device.write_register("control_address", 0x1234)
    device.write_register("control_data", 0xCAFE_F00D)
    assert line.controller.registers == {0x1234 // 4: 0xCAFE_F00D}
    line.controller.registers[0x1234 // 4] = 0x1357_9BDF
    assert device.read_register("control_data") == 0x1357_9BDF
