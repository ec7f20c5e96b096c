"""The SoC in docs/use.md, as LiteX writes it, simulated: a host drives its engines by its bus."""

import ctypes
import json
import re
import shutil
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Shape

from summand.boards.litex import generated
from summand.boards.soc.places import EnginePlaces
from summand.golden import without_counters
from summand.isa import EngineConfig
from summand.isa.commands import Fence
from summand.isa.player import Item, ItemOp
from summand.isa.registers import PLAYER_REGISTERS, REGISTERS
from summand.model import Layer
from summand.rtl.feeds.native import native_members
from summand.rtl.memory.native import NativePort
from summand.rtl.registers import identity
from summand.runtime import Driver, GoldenDevice, compile_layers
from summand.runtime.errors import DeviceTimeout
from summand.runtime.litex import LitexDevice
from summand.runtime.memory.played import PlayedDevice
from summand.stimulus.plays import random_play
from summand.stimulus.programs import random_program
from summand.summands.dense import Dense
from summand.verilated.build import compile_harness, harness_arguments
from summand.verilated.cache import cached, default_cache
from summand.verilated.tools import content_key, find_verilator

pytestmark = [pytest.mark.needs("verilator", "litedram"), pytest.mark.sim]

CONFIG = EngineConfig(
    rows=2, cols=2, depth=32, stream_bits=64, acc_depth=32, act_depth=4, requant_depth=16
)
#: An engine without a memory in the same SoC.
PLAIN = EngineConfig(
    rows=1, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=2, requant_depth=16
)
#: Where the SoC's bus has the weights: the DRAM, and in it the region of the example.
DRAM, ORIGIN = 0x4000_0000, 0x10_0000
DRAM_BYTES = 1 << 23

HERE = Path(__file__).parent
HARNESS = HERE / "soc_harness.cpp"


def example() -> str:
    """Return the SoC that docs/use.md shows."""
    text = (HERE.parents[1] / "docs/use.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (found,) = (block for block in blocks if "class Soc(" in block)
    return found


class Bus:
    """A simulated SoC's bus, as LiteX's ``RemoteClient`` offers it."""

    def __init__(self, library: ctypes.CDLL):
        self._library = library
        self._handle = library.soc_new()
        self.close = weakref.finalize(self, library.soc_free, self._handle)

    def read(self, addr: int, length: int) -> list[int]:
        return self._access(0, addr, [0] * length)

    def write(self, addr: int, datas: list[int]) -> None:
        self._access(1, addr, datas)

    def _access(self, write: int, addr: int, datas: list[int]) -> list[int]:
        words = (ctypes.c_uint32 * len(datas))(*datas)
        done = self._library.soc_access(self._handle, write, addr, words, len(datas))
        assert done == len(datas), f"no answer from {addr + 4 * done:#x}"
        return list(words)


@dataclass(frozen=True, kw_only=True)
class Soc:
    """A SoC's simulation, and what litex_soc.py says besides."""

    library: ctypes.CDLL
    places: dict[str, Any]
    refusals: list[str]
    user_port: dict[str, int]


@pytest.fixture(scope="module")
def soc(tmp_path_factory) -> Soc:
    made = json.loads(
        generated(
            HERE / "litex_soc.py",
            {
                "example": example(),
                "config": CONFIG.to_json(),
                "plain": PLAIN.to_json(),
                "folder": str(tmp_path_factory.mktemp("soc")),
            },
            needs=("litex", "litedram"),
            what="a SoC",
            failure="LiteX cannot make the SoC",
        )
    )
    tool, cache = find_verilator(), default_cache()
    arguments = harness_arguments("soc", {}, ("soc.v", HARNESS.name))

    def build(folder: Path) -> Path:
        (folder / "soc.v").write_text(made["verilog"])
        shutil.copy(HARNESS, folder)
        return compile_harness(tool, folder, arguments, cache)

    digest = content_key(tool.version, made["verilog"], HARNESS.read_text(), *arguments)
    library = ctypes.CDLL(str(cached(cache, f"{digest}.so", build)))
    library.soc_new.restype = ctypes.c_void_p
    library.soc_free.argtypes = [ctypes.c_void_p]
    library.soc_access.restype = ctypes.c_size_t
    library.soc_access.argtypes = [
        ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t,
    ]  # fmt: skip
    del made["verilog"]
    return Soc(library=library, **made)


@pytest.fixture
def bus(soc):
    bus = Bus(soc.library)
    yield bus
    bus.close()


@pytest.fixture
def device(soc, bus):
    return LitexDevice(CONFIG, bus, EnginePlaces.of(soc.places))


@pytest.fixture
def plain(soc, bus):
    return LitexDevice(PLAIN, bus, EnginePlaces.of(soc.places, "plain"))


def words(data: bytes) -> list[int]:
    return np.frombuffer(data, "<u4").tolist()


def finished(device: LitexDevice, items: int) -> None:
    """Wait until the player has carried out so many items."""
    for _ in range(10_000):
        if device.read_register("player_items") == items:
            return
    raise AssertionError(f"{device.read_register('player_items')} items of {items}")


def test_the_registers_say_which_engine_and_how_much_memory(soc, device):
    for name, value in identity(CONFIG).items():
        assert device.read_register(name) == value
    assert device.read_register("memory_beats") == (DRAM_BYTES - ORIGIN) // CONFIG.beat_bytes
    constants = soc.places["constants"]
    for register in (*REGISTERS, *PLAYER_REGISTERS):
        assert constants[f"summand_{register.name}_offset"] == register.offset


@pytest.mark.parametrize("seed", range(4))
def test_programs_are_answered_as_the_golden_model_does(device, seed):
    """Cut into items of all kinds: parts are written to the DRAM and played from it."""
    rng = np.random.default_rng(seed)
    program = random_program(rng, CONFIG, commands=16, max_words=64)
    play = random_play(rng, program.data, CONFIG, 4096, longest=80)
    device.write([play.data])
    assert without_counters(device.read(len(program.output), 60), CONFIG) == program.output
    finished(device, play.items)
    assert device.read_register("player_status") == 0
    sums = play.checksums
    assert device.read_register("player_crc") == (zlib.crc32(sums[-1]) if sums else 0)


@pytest.mark.parametrize("seed", range(3))
def test_an_engine_without_a_memory_takes_commands(plain, seed):
    """Its packets are longer than the buffer, too."""
    rng = np.random.default_rng(seed)
    program = random_program(rng, PLAIN, commands=16, max_words=64)
    plain.write([program.data])
    assert without_counters(plain.read(len(program.output), 60), PLAIN) == program.output
    assert plain.read_register("digest_lo") == identity(PLAIN)["digest_lo"]


def test_both_engines_work_at_once(device, plain):
    rng = np.random.default_rng(4)
    ours, theirs = (random_program(rng, c, commands=12, max_words=64) for c in (CONFIG, PLAIN))
    play = random_play(rng, ours.data, CONFIG, 4096, longest=80)
    for at in range(0, max(len(play.data), len(theirs.data)), 1024):
        device.write([play.data[at : at + 1024]])
        plain.write([theirs.data[at : at + 1024]])
    assert without_counters(plain.read(len(theirs.output), 60), PLAIN) == theirs.output
    assert without_counters(device.read(len(ours.output), 60), CONFIG) == ours.output


def test_bad_arguments_are_refused(soc):
    small, odd, place, csrs, twice = soc.refusals
    assert small == "buffer_bytes must be a power of two, at least 256, not 128"
    assert odd == "buffer_bytes must be a power of two, at least 256, not 768"
    assert place == "origin must be a multiple of buffer_bytes, 0x1000, not 0x90010100"
    assert csrs.endswith("which are LiteX's defaults, not 8 bits and big")
    assert "summand_engine.v is an engine's of this platform already; give" in twice


def test_the_memorys_ports_are_named_as_those_of_a_controller_of_litedram_gen(soc):
    members = native_members(NativePort(address_bits=22, word_bits=16))
    ours = {name: Shape.cast(member.shape).width for name, member in members.items()}
    assert ours == {f"m_native_{name}": width for name, width in soc.user_port.items()}


def test_weights_that_a_master_of_the_bus_wrote_are_played(bus, device):
    """And those that the player wrote are where the bus reads them; the rest is left alone."""
    rng = np.random.default_rng(5)
    program = random_program(rng, CONFIG, commands=8, max_words=16)
    stream, size = program.data, CONFIG.beat_bytes
    around = words(rng.bytes(64))
    bus.write(DRAM + ORIGIN - 64, around)
    bus.write(DRAM + ORIGIN, words(stream))
    device.write([Item(ItemOp.PLAY, len(stream) // size).encode(CONFIG)])
    assert without_counters(device.read(len(program.output), 60), CONFIG) == program.output
    device.write([Item(ItemOp.WRITE, 8).encode(CONFIG), kept := rng.bytes(8 * size)])
    finished(device, 2)
    assert bus.read(DRAM + ORIGIN, 16 + 2) == words(kept + stream[64:72])
    assert bus.read(DRAM + ORIGIN - 64, 16) == around


def test_a_reset_drops_what_was_under_way(device):
    """Input that waits in the DMA, output that nobody has fetched, an engine in error."""
    rng = np.random.default_rng(6)
    program = random_program(rng, CONFIG, commands=8, max_words=16)
    literal = Item(ItemOp.LITERAL, len(program.data) // CONFIG.beat_bytes).encode(CONFIG)
    # Of these only two packets or three find room, so that the others wait, and the DMA is full.
    fences = b"".join(Fence(tag=n).encode(CONFIG) for n in range(100))
    waiting = Item(ItemOp.LITERAL, len(fences) // CONFIG.beat_bytes).encode(CONFIG) + fences
    for begun in (waiting, b"\xff" * 600, *((literal + program.data)[:n] for n in (64, 800))):
        device.write([begun])
        device.write_register("reset", 1)
        assert device.read_register("status") & 1 == 0
        device.write([literal, program.data])
        assert without_counters(device.read(len(program.output), 60), CONFIG) == program.output
        finished(device, 1)


def test_output_that_cannot_come_is_told(device):
    device.write([Item(ItemOp.LITERAL, 2).encode(CONFIG)])
    with pytest.raises(DeviceTimeout, match="gave 0 of 8 bytes"):
        device.read(8, 0.05)


def test_layers_are_held_and_played(device):
    rng = np.random.default_rng(7)
    layers = [
        Layer(
            name,
            72,
            20,
            CONFIG.act_bits,
            (Dense(rng.integers(-4, 4, (72, 20)).astype(np.int8), 3),),
            np.ones(20, np.float32),
        )
        for name in ("q", "k")
    ]
    held = compile_layers(layers, CONFIG, held=True)
    with Driver(PlayedDevice(device)) as driver, Driver(GoldenDevice(CONFIG)) as golden:
        assert driver.hold([held]) == sum(map(len, held.payloads))
        assert driver.hold([held]) == 0
        for tokens in (1, 2 * CONFIG.rows + 1):
            xq = rng.integers(-128, 128, (tokens, layers[0].in_features))
            got, want = (d.run(held, xq).outputs for d in (driver, golden))
            for a, b in zip(got, want, strict=True):
                np.testing.assert_array_equal(a, b)
