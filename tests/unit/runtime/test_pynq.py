"""The device behind a stock AXI DMA, on the engine's RTL."""

import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from summand.golden import without_counters
from summand.isa import EngineConfig
from summand.isa.commands import Fence
from summand.isa.player import Item, ItemOp
from summand.isa.registers import IDENTITY
from summand.runtime import Driver, compile_layers, open_device
from summand.runtime.errors import DeviceError, DeviceTimeout
from summand.runtime.memory.played import PlayedDevice
from summand.runtime.overlay import Overlay
from summand.runtime.pynq import PynqDevice
from summand.stimulus.programs import random_program

from .axi_dma import Chip
from .conftest import make_layer

CONFIG = EngineConfig(
    rows=1, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=2, requant_depth=16, shift=4
)

#: Beats of a player's memory.
MEMORY = 512


@pytest.fixture
def chip(request):
    """A chip with the engine; its parameter is the probability of pauses."""
    made = Chip(CONFIG, pauses=getattr(request, "param", 0.0))
    yield made
    made.close()


@pytest.fixture
def played(request):
    """One whose engine has a player; its parameter is the probability of pauses."""
    made = Chip(CONFIG, memory_beats=MEMORY, pauses=getattr(request, "param", 0.0))
    yield made
    made.close()


def opened(
    chip: Chip,
    *,
    send_bytes: int = 4096,
    clock: Callable[[], float] | None = None,
    played: bool = False,
):
    overlay = Overlay(engine=chip.engine, dma=chip.dma, allocate=chip.allocate, played=played)
    # The processor does nothing between accesses, so time is the chip's.
    return PynqDevice(
        CONFIG, overlay, send_bytes=send_bytes, clock=clock or (lambda: chip.cycle * 1e-6)
    )


class Hurried:
    """A clock that goes a second for each look at it."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        self.seconds += 1.0
        return self.seconds


def check_program(device, seed, commands=4):
    program = random_program(np.random.default_rng(seed), CONFIG, commands=commands, max_words=6)
    device.write(program.chunks)
    output = device.read(len(program.output), 0.005)
    assert without_counters(output, CONFIG) == program.output
    return program


@pytest.mark.parametrize("chip", [0.0, 0.4], indirect=True)
def test_programs_match_golden(chip):
    """In transfers of any size, with a transfer for each packet; again after a reset."""
    device = opened(chip, send_bytes=100)
    first = check_program(device, 0)
    assert max(chip.sent) == 100
    assert sum(chip.sent) == len(first.data)
    device.write_register("reset", 1)
    check_program(device, 1, commands=2)
    assert len(chip.received) > 2


def test_packets_come_while_the_stream_is_written(chip):
    """More than fits in between, so an engine that cannot send would take no more."""
    device = opened(chip, send_bytes=64)
    fences = 12
    device.write([Fence().encode(CONFIG)] * fences)
    size = chip.received[0]
    assert len(device.read(fences * size, 0.005)) == fences * size
    with pytest.raises(DeviceTimeout, match=r"the engine gave 0 of 4 bytes within 0.001 s"):
        device.read(4, 0.001)


def test_the_driver_computes_a_layer(chip):
    layer = make_layer(CONFIG, k=20, n=4, bits=2, seed=3)
    xq = np.random.default_rng(4).integers(-128, 128, (1, 20)).astype(np.int8)
    with Driver(opened(chip)) as driver:
        result = driver.run(compile_layers([layer], CONFIG), xq)
    np.testing.assert_array_equal(result.outputs[0], layer.accumulate(xq))
    assert all(buffer.freed for buffer in chip.buffers)


def test_a_reset_in_the_middle_leaves_nothing_behind(chip):
    device = opened(chip, send_bytes=64)
    rng = np.random.default_rng(7)
    for seed in range(2):
        program = random_program(rng, CONFIG, commands=3, max_words=6)
        device.write([program.data[: int(rng.integers(8, 60)) * 4]])
        device.write_register("reset", 1)
        check_program(device, seed, commands=1)
        device.write_register("reset", 1)


def test_registers(chip):
    device = opened(chip)
    assert device.read_register("identity") == IDENTITY
    assert device.read_register("digest_lo") == int(CONFIG.digest, 16) & 0xFFFFFFFF
    device.write([Fence().encode(CONFIG)])
    device.read(1, 0.005)
    assert device.read_register("commands") == 1
    device.write_register("reset", 1)
    assert device.read_register("commands") == 0


def test_errors_of_the_dma_are_told(chip):
    device = opened(chip)
    device._packet_bytes = 4  # as if packets were that short
    device.write_register("reset", 1)
    device.write([Fence().encode(CONFIG)])
    with pytest.raises(DeviceError, match="stopped receiving .* longer than its buffer"):
        device.read(4, 0.005)
    device._packet_bytes = len(chip.buffers[-1].memory)
    device.write_register("reset", 1)
    check_program(device, 1, commands=2)
    device.write_register("reset", 1)
    del chip.buffers[:2]  # those to send from
    with pytest.raises(DeviceError, match="stopped sending .* an address is nobody's"):
        check_program(device, 2, commands=2)


def test_a_dma_that_stays_in_reset(chip):
    chip.dma.recovers = False
    with pytest.raises(DeviceError, match="does not end its reset"):
        opened(chip, clock=Hurried())
    assert all(buffer.freed for buffer in chip.buffers)


def test_an_engine_that_takes_nothing(chip):
    """Because nobody fetches its packets."""
    device = opened(chip, send_bytes=64, clock=Hurried())
    chip.dma.from_engine.busy = False  # it has lost its transfer
    with pytest.raises(DeviceTimeout, match="the engine has taken nothing for 60 s"):
        device.write([Fence().encode(CONFIG)] * 20)


def test_an_engine_with_too_long_packets(chip):
    big = EngineConfig(rows=64, cols=64, depth=64, acc_depth=16384)
    overlay = Overlay(engine=chip.engine, dma=chip.dma, allocate=chip.allocate)
    with pytest.raises(DeviceError, match="longest packet, .* is longer than a transfer"):
        PynqDevice(big, overlay)


@pytest.mark.parametrize("played", [0.0, 0.4], indirect=True)
def test_weights_are_held_and_played(played):
    """Uploaded once, to the buffer alone; they stay through the reset before a call."""
    layer = make_layer(CONFIG, k=20, n=4, bits=2, seed=3)
    program = compile_layers([layer], CONFIG, held=True)
    device = PlayedDevice(opened(played, played=True))
    weights = played.buffers[-1]
    with Driver(device) as driver:
        assert driver.holds
        size = driver.hold([program])
        assert size == sum(map(len, program.payloads)) > 0
        assert bytes(weights.memory[:size]) == b"".join(program.payloads)
        assert driver.hold([program]) == 0
        for seed in range(2):
            xq = np.random.default_rng(seed).integers(-128, 128, (1, 20)).astype(np.int8)
            result = driver.run(program, xq)
            np.testing.assert_array_equal(result.outputs[0], layer.accumulate(xq))
        assert device.played_bytes == 2 * size
    slave = played.master.slave
    size = CONFIG.beat_bytes
    begin, end = weights.device_address, weights.device_address + MEMORY * size
    for address, beats in (*slave.read, *slave.written):
        assert begin <= address < address + beats * size <= end
    assert all(buffer.freed for buffer in played.buffers)


def test_a_players_buffer_is_free_of_caches_and_empty(played):
    """What a cache holds of it was written back, so that nothing falls on weights later."""
    device = opened(played, played=True)
    weights = played.buffers[-1]
    assert device.memory_beats == MEMORY
    assert len(weights.memory) == MEMORY * CONFIG.beat_bytes
    assert (weights.memory == 0x5A).all()
    base = device.read_register("base_hi") << 32 | device.read_register("base_lo")
    assert base == weights.device_address
    device.write_register("epoch_hi", 7)
    device.close()
    again = opened(played, played=True)
    assert (again.read_register("epoch_lo"), again.read_register("epoch_hi")) == (0, 0)
    assert again.read_register("base_lo") != base & 0xFFFFFFFF


def test_a_buffer_is_not_given_back_while_the_player_writes_to_it(played):
    device = opened(played, played=True)
    item = Item(ItemOp.WRITE, 300).encode(CONFIG)
    device.write([item, bytes(40 * CONFIG.beat_bytes)])
    while not played.master.slave.written:
        device.read_register("player_status")
    assert device.read_register("player_status") & 2
    device.close()
    assert played.master.slave.quiet
    assert all(buffer.freed for buffer in played.buffers)


def test_a_memory_that_never_ends(played, monkeypatch):
    device = opened(played, played=True, clock=Hurried())
    read = device.read_register
    monkeypatch.setattr(device, "read_register", lambda n: 2 if n == "player_status" else read(n))
    with pytest.raises(DeviceError, match="the player's memory does not end what it was asked for"):
        device.close()


@pytest.mark.parametrize("reason", ["none", "place"])
def test_a_player_whose_memory_cannot_be_had(played, monkeypatch, reason):
    allocate = played.allocate

    def scarce(size):
        if size != MEMORY * CONFIG.beat_bytes:
            return allocate(size)
        if reason == "none":
            raise DeviceError("there are none")
        buffer = allocate(size)
        buffer.device_address += 64
        return buffer

    monkeypatch.setattr(played, "allocate", scarce)
    with pytest.raises(DeviceError, match=r"there are none|is no multiple of 4096"):
        opened(played, played=True)
    assert len(played.buffers) >= 4
    assert all(buffer.freed for buffer in played.buffers)


class FakePynq(ModuleType):
    """The package, as far as it is used, on a chip."""

    def __init__(self, chip: Chip, kind: str):
        super().__init__("pynq")
        self.places = {"engine": 0x4000_0000, "dma": 0x4001_0000}
        kinds = {"engine": f"summand:ip:{kind}:0.1", "dma": "xilinx.com:ip:axi_dma:7.1"}
        windows = {0x4000_0000: chip.engine, 0x4001_0000: chip.dma}

        class Loaded:
            def __init__(loaded, bitstream):
                assert bitstream == "build/summand.bit"
                loaded.ip_dict = {
                    name: {"phys_addr": place, "addr_range": 4096, "type": kinds[name]}
                    for name, place in self.places.items()
                }

        self.Overlay = Loaded
        self.MMIO = lambda place, size: windows[place]
        self.allocate = lambda size, dtype: chip.allocate(size)


def test_an_overlay_is_loaded_by_pynq(chip, monkeypatch):
    """By the names of the cells, with a package that knows no more than this."""
    fake = FakePynq(chip, "summand_ip")
    monkeypatch.setitem(sys.modules, "pynq", fake)
    device = open_device("pynq:build/summand.bit", CONFIG)
    assert isinstance(device, PynqDevice)
    assert device.read_register("identity") == IDENTITY
    fake.places.pop("dma")
    with pytest.raises(DeviceError, match="build/summand.bit has no cell dma"):
        open_device("pynq:build/summand.bit", CONFIG)
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(DeviceError, match="there is no package pynq"):
        open_device("pynq:build/summand.bit", CONFIG)


def test_an_overlay_with_a_player_is_known_by_its_kind(played, monkeypatch):
    fake = FakePynq(played, "summand_played_ip")
    monkeypatch.setitem(sys.modules, "pynq", fake)
    device = open_device("pynq:build/summand.bit", CONFIG)
    assert isinstance(device, PlayedDevice)
    assert device.read_register("memory_beats") == MEMORY
    device.close()

    def scarce(size, dtype):
        raise RuntimeError("Failed to allocate Memory!")

    monkeypatch.setattr(fake, "allocate", scarce)
    with pytest.raises(DeviceError, match=r"there are no [\d,]+ bytes in a row .*cma=256M"):
        open_device("pynq:build/summand.bit", CONFIG)
