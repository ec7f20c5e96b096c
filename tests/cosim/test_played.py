"""A player, its memory on AXI4 and its engine as Verilog: golden output, and the law's cycles."""

import zlib

import numpy as np
import pytest

from summand.cycles import Stalls, count, read_commands
from summand.golden import split_packets, without_counters
from summand.isa import EngineConfig, ErrorCode
from summand.isa.packets import Counters, Kind
from summand.isa.player import Item, ItemOp, PlayerError, Refusal
from summand.model import Layer
from summand.rtl.engine import Engine
from summand.runtime import Driver, GoldenDevice, compile_layers
from summand.runtime.memory.played import PlayedDevice
from summand.stimulus.plays import random_play
from summand.stimulus.programs import random_program
from summand.summands.dense import Dense
from summand.verilated import SimDevice

pytestmark = pytest.mark.sim

#: Cycles in which the harness holds the whole engine in reset.
RESET_CYCLES = 4
#: Beats of the memory.
MEMORY = 4096

CONFIGS = {
    "narrow": EngineConfig(
        rows=2, cols=2, depth=16, stream_bits=32, acc_depth=32, act_depth=4, requant_depth=16
    ),
    "wide": EngineConfig(
        rows=1, cols=8, depth=32, stream_bits=256, acc_depth=32, act_depth=8, scale_bits=4
    ),
}


@pytest.fixture(params=CONFIGS)
def config(request) -> EngineConfig:
    return CONFIGS[request.param]


def counters(output: bytes, config: EngineConfig) -> list[Counters]:
    """Return the counters of an output stream's STATUS packets."""
    found = [p for p in split_packets(output, config) if p.header.kind is Kind.STATUS]
    assert all(p.header.status is ErrorCode.OK for p in found)
    return [Counters.decode(p.payload) for p in found]


@pytest.mark.parametrize("stall", [0.0, 0.1, 0.6])
def test_output_and_cycles_are_those_of_the_stream_that_items_make(config, stall):
    """The law is asked with when the player's beats came, and so counts every cycle."""
    reset = RESET_CYCLES + Engine.reset_cycles(config)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        program = random_program(rng, config, commands=16, max_words=64)
        play = random_play(rng, program.data, config, MEMORY, longest=80)
        device = SimDevice(config, memory_beats=MEMORY, stall=stall, seed=seed, record=True)
        device.write([play.data])
        out = device.read(len(program.output), 60)
        assert without_counters(out, config) == program.output
        commands = read_commands([program.data], config)
        stalls = Stalls.of_trace(device.trace, reset)
        assert counters(out, config) == list(count(commands, config, stalls=stalls))
        while device.read_register("player_items") != play.items:
            pass
        assert device.read_register("player_status") == 0
        sums = play.checksums
        assert device.read_register("player_crc") == (zlib.crc32(sums[-1]) if sums else 0)
        whole = Item(ItemOp.CRC, MEMORY).encode(config)
        device.write([whole])
        while device.read_register("player_items") != play.items + 1:
            pass
        assert device.read_register("player_crc") == zlib.crc32(play.memory)
        device.close()


def test_a_reset_at_any_time_comes_back_with_the_memory_as_it_was(config):
    size = config.beat_bytes
    kept = bytes(np.random.default_rng(1).integers(0, 256, 64 * size, np.uint8))
    device = SimDevice(config, memory_beats=MEMORY, stall=0.2, seed=3)
    device.write([Item(ItemOp.WRITE, 64).encode(config), kept])
    while device.read_register("player_items") != 1:
        pass
    device.write_register("epoch_lo", 77)
    for polls in range(0, 40, 3):
        # Beats of a memory that are no command, so that errors come and go as well.
        device.write([Item(ItemOp.PLAY, 64).encode(config)])
        device.write([Item(ItemOp.WRITE, 200, 64).encode(config), bytes(200 * size)])
        for _ in range(polls):
            device.read_register("status")
        device.write_register("reset", 1)
        device.write([Item(ItemOp.CRC, 64).encode(config)])
        while device.read_register("player_items") != 1:
            pass
        assert device.read_register("player_crc") == zlib.crc32(kept)
        assert device.read_register("player_status") == 0
        assert device.read_register("status") == 0
    assert device.read_register("epoch_lo") == 77
    device.close()


def test_an_item_beyond_the_memory_stops_the_player_until_reset(config):
    device = PlayedDevice(SimDevice(config, memory_beats=MEMORY))
    with Driver(device) as driver:
        driver.reset()
        device._device.write([Item(ItemOp.PLAY, 2, MEMORY - 1).encode(config)])
        with pytest.raises(PlayerError) as found:
            device.read(config.beat_bytes, 10)
        assert found.value.code is Refusal.ADDRESS
        driver.reset()
        assert device.read_register("player_status") == 0


def test_layers_are_held_and_played(config):
    rng = np.random.default_rng(2)
    layers = [
        Layer(
            name,
            40,
            20,
            config.act_bits,
            (Dense(rng.integers(-4, 4, (40, 20)).astype(np.int8), 3),),
            np.ones(20, np.float32),
        )
        for name in ("q", "k")
    ]
    held = compile_layers(layers, config, held=True)
    with (
        Driver(PlayedDevice(SimDevice(config, memory_beats=MEMORY, stall=0.1))) as driver,
        Driver(GoldenDevice(config)) as golden,
    ):
        assert driver.hold([held]) == sum(map(len, held.payloads))
        assert driver.hold([held]) == 0
        for tokens in (1, config.rows, 3 * config.rows + 1):
            xq = rng.integers(-128, 128, (tokens, layers[0].in_features))
            got, want = (d.run(held, xq).outputs for d in (driver, golden))
            for a, b in zip(got, want, strict=True):
                np.testing.assert_array_equal(a, b)
