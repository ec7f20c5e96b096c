"""LiteDRAM's Verilog with our gateware in front, simulated: what was written is read, how fast."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from summand.boards.dram.controller import generate_controller
from summand.boards.dram.gateware import SIMULATED_MODULE, simulated_verilog
from summand.boards.dram.initialise import DramError, initialise
from summand.boards.library import find_board
from summand.isa import SummandError
from summand.rtl.gearbox import BeatGatherer
from summand.rtl.memory.native import NativeMemory
from summand.rtl.memory.port import MemoryPort
from summand.verilated.memory import SimMemory

pytestmark = [pytest.mark.needs("verilator", "litedram"), pytest.mark.sim]

#: Bit of a run's address with which :class:`Compared` reads past our gateware.
ALONE = 1 << 31


class Compared(wiring.Component):
    """A :class:`NativeMemory`, and beside it the most that the controller gives.

    For a run with :data:`ALONE` it asks for words without end and without credits, and passes on
    as many beats as the run has. Their user must always be ready, and the memory is of no more use
    afterwards.
    """

    port: Any
    native: Any

    def __init__(self, *, stream_bits, native):
        self.stream_bits = stream_bits
        self.memory = NativeMemory(stream_bits=stream_bits, native=native)
        super().__init__({"port": In(MemoryPort(stream_bits)), "native": Out(native)})

    def elaborate(self, platform):
        m = Module()

        m.submodules.memory = memory = self.memory
        native, port = self.native, self.port
        words = native.signature.words(self.stream_bits)
        m.submodules.gatherer = gatherer = BeatGatherer(native.signature.word_bits, words)
        alone = Signal()
        address = Signal(native.signature.address_bits)
        asked = port.reads.payload.address[-1]
        for mine, its in ((port.writes, memory.port.writes), (port.data, memory.port.data)):
            connect(m, wiring.flipped(mine), its)
        m.d.comb += [
            port.idle.eq(memory.port.idle),
            memory.port.abort.eq(port.abort),
            memory.port.reads.payload.eq(port.reads.payload),
            memory.port.reads.valid.eq(port.reads.valid & ~asked),
            port.reads.ready.eq(memory.port.reads.ready),
            native.wdata.valid.eq(memory.native.wdata.valid),
            native.wdata.payload.eq(memory.native.wdata.payload),
            memory.native.wdata.ready.eq(native.wdata.ready),
            native.rdata.ready.eq(1),
            memory.native.rdata.payload.eq(native.rdata.payload),
            gatherer.i.payload.eq(native.rdata.payload),
            gatherer.i.valid.eq(native.rdata.valid & alone),
            gatherer.o.ready.eq(1),
        ]
        with m.If(port.reads.valid & asked):
            m.d.sync += alone.eq(1)
        with m.If(alone):
            m.d.comb += [
                native.cmd.valid.eq(1),
                native.cmd.payload.addr.eq(address),
                port.beats.valid.eq(gatherer.o.valid),
                port.beats.payload.data.eq(gatherer.o.payload),
            ]
            with m.If(native.cmd.ready):
                m.d.sync += address.eq(address + 1)
        with m.Else():
            m.d.comb += [
                native.cmd.valid.eq(memory.native.cmd.valid),
                native.cmd.payload.eq(memory.native.cmd.payload),
                memory.native.cmd.ready.eq(native.cmd.ready),
                memory.native.rdata.valid.eq(native.rdata.valid),
                port.beats.valid.eq(memory.port.beats.valid),
                port.beats.payload.eq(memory.port.beats.payload),
                memory.port.beats.ready.eq(port.beats.ready),
            ]

        return m


def make(name, stream_bits):
    """Return the controller of a board's memory, with fewer rows, and its simulation."""
    board = find_board(name)
    assert board.memory.dram
    dram = dataclasses.replace(board.memory.dram, rows=2048)
    made = generate_controller(
        dram, board.chip, oscillator_hz=board.clock.oscillator_hz, simulated=True
    )
    top: Any = Compared(stream_bits=stream_bits, native=made.native)
    text = simulated_verilog(made, top, board.engine)
    return made, lambda: SimMemory(text, top=SIMULATED_MODULE, stream_bits=stream_bits)


@pytest.fixture(scope="module", params=[("ecpix5-85f", 256), ("ulx3s-85f", 128)], ids=str)
def board(request):
    name, stream_bits = request.param
    return name, *make(name, stream_bits)


@pytest.fixture
def memory(board):
    name, made, simulate = board
    sim = simulate()
    assert initialise(made, sim, name) == []
    yield sim
    sim.close()


def beats(memory, count, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, memory.beat_bytes), np.uint8)


def test_runs_at_random_places_are_what_was_written(memory):
    rng = np.random.default_rng(2)
    held = beats(memory, 4000)
    for begin in range(0, 4000, 1000):
        memory.store(begin, held[begin : begin + 1000])
    for hold in (0.0, 0.4, 0.9):
        runs = [(int(a), int(n)) for a, n in rng.integers((0, 1), (3800, 99), (30, 2))]
        reading = memory.fetch(runs, hold=hold)
        want = np.concatenate([held[a : a + n] for a, n in runs])
        np.testing.assert_array_equal(reading.beats, want)


def test_reading_takes_what_the_controller_gives(board, memory):
    """98 % of it at least: 93.2 % of the pins' peak for DDR3, 96.9 % for SDR."""
    name, made, _ = board
    count = 8000
    held = beats(memory, count)
    memory.store(0, held)
    ours = memory.fetch([(0, count)])
    np.testing.assert_array_equal(ours.beats, held)
    alone = memory.fetch([(ALONE, count)])
    np.testing.assert_array_equal(alone.beats, held)
    assert ours.beats_per_cycle >= 0.98 * alone.beats_per_cycle
    bytes_s = ours.beats_per_cycle * memory.beat_bytes * made.dram.clock_hz
    reached = {"ecpix5-85f": 0.931, "ulx3s-85f": 0.968}
    assert bytes_s / made.dram.peak_bytes_s == pytest.approx(reached[name], abs=0.004)


def test_a_memory_in_use_can_be_initialised_again(board, memory):
    name, made, _ = board
    held = beats(memory, 50)
    memory.store(7, held)
    initialise(made, memory, name)
    memory.store(7, held)
    np.testing.assert_array_equal(memory.fetch([(7, 50)]).beats, held)


def test_nothing_is_read_before_the_memory_is_ready(board):
    _, _, simulate = board
    sim = simulate()
    with pytest.raises(SummandError, match="beats of 1 runs do not come; initialise it first"):
        sim.fetch([(0, 1)])
    sim.close()


def test_a_memory_that_does_not_answer_is_told(board):
    """No command reaches it: what should give one is another register."""
    name, made, simulate = board
    sim = simulate()
    registers = dict(made.registers)
    registers["core_dfii_pi0_command_issue"] = registers["core_dfii_pi0_address"]
    with pytest.raises(DramError, match=f"{name}: .* comes back wrong on byte lane 0 and 1; check"):
        initialise(dataclasses.replace(made, registers=registers), sim, name)
    sim.close()
