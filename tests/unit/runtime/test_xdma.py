"""The device behind XDMA, on the engine's RTL."""

import errno
import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from summand.golden import without_counters
from summand.isa import EngineConfig
from summand.isa.commands import Fence
from summand.isa.packets import status_packet_bytes
from summand.isa.player import Item, ItemOp
from summand.isa.registers import IDENTITY, register
from summand.runtime import Driver, compile_layers, open_device
from summand.runtime.errors import DeviceError, DeviceTimeout, WrongEngineError
from summand.runtime.memory.played import PlayedDevice
from summand.runtime.sender import Sender
from summand.runtime.windows import MappedWindow
from summand.runtime.xdma import Xdma, XdmaDevice
from summand.stimulus.programs import random_program

from .conftest import make_layer
from .xdma_card import Card

CONFIG = EngineConfig(
    rows=1, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=2, requant_depth=16, shift=4
)

#: Beats of a player's memory.
MEMORY = 512

#: Seconds that a test waits for what comes at once where nothing else runs.
SOON = 60.0


@pytest.fixture
def card(request):
    """A card with the engine; its parameter is the probability of pauses."""
    made = Card(CONFIG, pauses=getattr(request, "param", 0.0))
    yield made
    made.close()


@pytest.fixture
def played(request):
    """One whose engine has a player; its parameter is the probability of pauses."""
    made = Card(CONFIG, memory_beats=MEMORY, pauses=getattr(request, "param", 0.0))
    yield made
    made.close()


def opened(card: Card, **how: Any) -> XdmaDevice:
    """Open it; naps are as long as the card needs, whose clock is slow."""
    return XdmaDevice(CONFIG, card.xdma, sleep=lambda _: card.settle(), **how)


def check_program(device, seed, commands=4):
    program = random_program(np.random.default_rng(seed), CONFIG, commands=commands, max_words=6)
    device.write(program.chunks)
    output = device.read(len(program.output), SOON)
    assert without_counters(output, CONFIG) == program.output


@pytest.mark.parametrize("card", [0.0, 0.4], indirect=True)
def test_programs_match_golden(card):
    """Again after a reset, which takes nothing from the count of commands."""
    device = opened(card)
    check_program(device, 0)
    device.write_register("reset", 1)
    assert device.read_register("commands") == 0
    check_program(device, 1)
    device.close()
    assert card.closed


def test_a_stream_is_written_whose_results_nobody_takes_yet(card):
    """More than fits in between, so that the engine takes no more until they are taken."""
    device = opened(card)
    fences, size = 80, status_packet_bytes(CONFIG)
    device.write([Fence().encode(CONFIG)] * fences)
    before = card.packets
    time.sleep(0.3)
    assert card.packets - before < fences
    assert len(device.read(fences * size, SOON)) == fences * size
    with pytest.raises(DeviceTimeout, match=r"the engine gave 0 of 4 bytes within 0.1 s"):
        device.read(4, 0.1)
    device.close()


def test_the_driver_computes_a_layer(card):
    layer = make_layer(CONFIG, k=20, n=4, bits=2, seed=3)
    xq = np.random.default_rng(4).integers(-128, 128, (1, 20)).astype(np.int8)
    with Driver(opened(card)) as driver:
        result = driver.run(compile_layers([layer], CONFIG), xq)
    np.testing.assert_array_equal(result.outputs[0], layer.accumulate(xq))
    assert card.closed


def test_a_reset_in_the_middle_leaves_nothing_behind(card):
    """Neither of what goes to the engine, some of it in a transfer, nor of what comes from it."""
    device = opened(card)
    rng = np.random.default_rng(7)
    for seed in range(3):
        program = random_program(rng, CONFIG, commands=3, max_words=6)
        fences = [Fence().encode(CONFIG)] * int(rng.integers(0, 40))
        device.write([*fences, program.data[: int(rng.integers(8, 60)) * 4], bytes(20_000)])
        device.write_register("reset", 1)
        check_program(device, seed, commands=1)
    device.close()


def test_what_another_program_left_is_dropped(card):
    """It ended with commands and results on their way, and has taken the first beat alone."""
    first = opened(card)
    first.write([Fence().encode(CONFIG)] * 45)
    first.read(4, SOON)
    first._sender.close()
    second = opened(card)
    check_program(second, 1)
    second.close()


@pytest.mark.parametrize("played", [0.0, 0.4], indirect=True)
def test_weights_are_held_and_played(played):
    """Uploaded once; they stay through resets, and for the next program."""
    layer = make_layer(CONFIG, k=20, n=4, bits=2, seed=3)
    program = compile_layers([layer], CONFIG, held=True)
    size = sum(map(len, program.payloads))
    for call in range(2):
        card = opened(played, memory_beats=MEMORY)
        device = PlayedDevice(card)
        driver = Driver(device)
        assert driver.holds
        assert driver.hold([program]) == (0 if call else size)
        for seed in range(2):
            xq = np.random.default_rng(seed).integers(-128, 128, (1, 20)).astype(np.int8)
            result = driver.run(program, xq)
            np.testing.assert_array_equal(result.outputs[0], layer.accumulate(xq))
        assert bytes(played.memory[:size]) == b"".join(program.payloads)
        assert device.played_bytes == 2 * size > 0
        if call:
            driver.close()
        else:
            card._sender.close()  # it ends without a word
    assert played.closed


def test_a_reset_in_the_middle_of_an_upload_leaves_nothing_behind(played):
    device = opened(played, memory_beats=MEMORY)
    device.write([Item(ItemOp.WRITE, 300).encode(CONFIG), bytes(40 * CONFIG.beat_bytes)])
    device.write_register("reset", 1)
    assert device.read_register("player_status") == 0
    check_program(PlayedDevice(device), 1, commands=2)
    device.close()


@pytest.mark.parametrize("asked", [MEMORY - 1, 2 * MEMORY])
def test_a_memory_of_another_size(played, asked):
    with pytest.raises(WrongEngineError, match=rf"has no memory of {asked:,} beats: .* 0x200;"):
        opened(played, memory_beats=asked)


def test_an_engine_that_takes_items_is_not_taken_for_one_that_takes_commands():
    card = Card(CONFIG, memory_beats=MEMORY, patience_s=0.01)
    with pytest.raises(DeviceError, match="first channels, and was it generated without --memory"):
        opened(card, clock=_hurried())
    card.close()


class _File(io.RawIOBase):
    """A driver's file that does what it is told to."""

    def __init__(self, does):
        self._does = does

    def write(self, data):
        return self._does(memoryview(data).nbytes)

    def readinto(self, into):
        return self._does(len(into))


def _raises(number):
    def does(size):
        raise OSError(number, os.strerror(number))

    return does


class _Registers:
    """Registers without an engine behind them."""

    def __init__(self, identity=IDENTITY):
        self.identity = identity
        self.writes = []

    def read(self, offset):
        return self.identity if offset == register("identity").offset else 0

    def write(self, offset, value):
        self.writes.append((offset, value))


def _silent(size):
    """Bring nothing until the driver gives up, which takes its time."""
    time.sleep(0.02)
    return _raises(512)(size)


def _card(to_card=lambda size: size, from_card=_silent, registers=None):
    return Xdma(
        name="/dev/xdma0",
        to_card=_File(to_card),
        from_card=_File(from_card),
        registers=registers or _Registers(),
        close=lambda: None,
    )


def _hurried():
    """Return a clock that goes a second for each look at it."""
    seconds = iter(range(1_000_000))
    return lambda: float(next(seconds))


@pytest.mark.parametrize("found", [0xFFFFFFFF, 0])
def test_registers_of_something_else_are_not_written(found):
    registers = _Registers(found)
    with pytest.raises(WrongEngineError, match=f"is no Summand engine: .* {found:#010x}"):
        XdmaDevice(CONFIG, _card(registers=registers))
    assert registers.writes == []


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (
            _card(to_card=lambda size: size - 4),
            r"/dev/xdma0 took \d+ of \d+ bytes; the driver gave up",
        ),
        (_card(to_card=lambda size: None), r"/dev/xdma0 took 0 of \d+ bytes"),
        (_card(to_card=_raises(512)), r"/dev/xdma0 refused \d+ bytes"),
        (_card(), "the engine at /dev/xdma0 does not answer after a reset"),
        (_card(from_card=_raises(errno.EIO)), "/dev/xdma0 gives no bytes .Input/output error"),
        (_card(from_card=lambda size: 0), "/dev/xdma0 has come to its end"),
    ],
    ids=["short", "nothing", "refused", "silent", "broken", "gone"],
)
def test_what_goes_wrong_is_told(card, said):
    with pytest.raises(DeviceError, match=said):
        XdmaDevice(CONFIG, card, clock=_hurried(), sleep=lambda _: None)


def test_a_transfer_that_fails_is_told_by_the_next_call_until_reset(card):
    device = opened(card)
    working, device._sender._file = device._sender._file, _File(_raises(errno.EIO))
    device.write([bytes(4)])
    device._sender.wait(SOON)
    for call in (lambda: device.write([bytes(4)]), lambda: device.read(4, 1.0)):
        with pytest.raises(DeviceError, match="refused 4 bytes"):
            call()
    device._sender._file = working
    device.write_register("reset", 1)
    check_program(device, 2)
    device.close()


def test_transfers_are_as_long_as_they_may_be_and_lose_nothing():
    """Whatever the chunks."""
    sizes = []
    seen = bytearray()

    class Kept(io.RawIOBase):
        def write(self, data):
            sizes.append(len(data))
            seen.extend(data)
            return len(data)

    rng = np.random.default_rng(5)
    chunks = [rng.bytes(int(rng.integers(0, 300))) for _ in range(50)]
    sender = Sender(Kept(), "it", 128)
    sender.push(chunks)
    assert sender.wait(SOON)
    sender.close()
    assert bytes(seen) == b"".join(chunks)
    assert max(sizes) == 128


def test_a_window_is_a_mapped_file(tmp_path):
    path = tmp_path / "card_user"
    path.write_bytes(bytes(4096))
    window = MappedWindow(str(path))
    window.write(0x14, 0x12345678)
    window.write(0x4C, 0xFFFFFFFF)
    assert (window.read(0x14), window.read(0x4C), window.read(0x18)) == (0x12345678, 0xFFFFFFFF, 0)
    window.close()
    assert path.read_bytes()[0x14:0x18] == bytes.fromhex("78563412")


def _files(folder: Path, *suffixes: str) -> str:
    """Make a card's files; returns the card's name."""
    for suffix in suffixes:
        (folder / f"xdma0_{suffix}").write_bytes(bytes(4096))
    return str(folder / "xdma0")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ((), "the registers at .*xdma0_user cannot be mapped .*No such file"),
        (("user",), "xdma0_h2c_0 cannot be opened .No such file"),
        (("user", "h2c_0"), "xdma0_c2h_0 cannot be opened .No such file"),
        (("user", "h2c_0", "c2h_0"), "is no Summand engine: its identity register is 0x00000000"),
    ],
)
def test_files_that_are_missing_or_not_a_cards(tmp_path, there, said):
    """They stay as they are."""
    name = _files(tmp_path, *there)
    with pytest.raises(DeviceError, match=said):
        open_device(f"xdma:{name}", CONFIG)
    assert all((tmp_path / f"xdma0_{suffix}").read_bytes() == bytes(4096) for suffix in there)


def test_the_device_is_opened_by_the_cards_name(card, monkeypatch):
    names = []

    def found(name):
        names.append(name)
        return card.xdma

    monkeypatch.setattr(Xdma, "open", found)
    device = open_device("xdma:/dev/xdma0", CONFIG)
    assert names == ["/dev/xdma0"]
    check_program(device, 3)
    device.close()


def test_an_engine_with_a_memory_is_opened_by_its_size(played, monkeypatch):
    monkeypatch.setattr(Xdma, "open", lambda name: played.xdma)
    size = MEMORY * CONFIG.beat_bytes
    device = open_device("xdma:/dev/xdma0", CONFIG, memory_bytes=size)
    assert isinstance(device, PlayedDevice)
    check_program(device, 3)
    device.close()
