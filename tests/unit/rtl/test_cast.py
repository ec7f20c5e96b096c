from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.golden.operand import Operand
from summand.isa import EngineConfig
from summand.rtl.cast import Caster
from summand.testing.streams import STALLS, Source, simulate

CONFIGS = {
    f"{cols} columns": EngineConfig(cols=cols, depth=32, stream_bits=32, operand_depth=256)
    for cols in (1, 2, 8)
}


@dataclass(frozen=True)
class Command:
    """Weights ``[rows, features]`` of ``planes`` bits, and where they go."""

    weights: np.ndarray
    planes: int
    word: int
    lane: int

    def beats(self, cols: int):
        rows, features = self.weights.shape
        for row, values in enumerate(self.weights):
            for n, value in enumerate(values):
                yield {
                    "value": int(value) & 0xFF,
                    "row_ends": n == features - 1,
                    "final": row == rows - 1 and n >= features - cols,
                }


def random_command(seed: int, config: EngineConfig) -> Command:
    rng = np.random.default_rng(seed)
    planes = int(rng.choice([1, 2, 7, 8, int(rng.integers(1, 9))]))
    rows, tiles = int(rng.integers(1, 5)), int(rng.integers(1, 6))
    weights = rng.integers(-(1 << planes - 1), 1 << planes - 1, (rows, tiles * config.cols))
    word = int(rng.choice([0, config.operand_depth - tiles * planes]))
    return Command(weights, planes, word, int(rng.integers(config.depth - rows + 1)))


def run(config: EngineConfig, commands: list[Command], *, p_stall: float = 0.0) -> list[list[int]]:
    """Do commands one after another; returns the cycles of each command's writes.

    What is written equals the golden memory's, and ``written`` comes with the last write only.
    """
    dut = Caster(config)
    golden, words = Operand(config), np.zeros((config.operand_depth, config.plane_bits), np.uint8)
    cycles: list[list[int]] = []

    async def do(ctx, command: Command) -> list[int]:
        order = {"planes": command.planes, "lane": command.lane, "word": command.word}
        ctx.set(dut.start, 1)
        ctx.set(dut.order, order)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.order, {"planes": 3, "lane": 1, "word": 77})
        source = Source(dut.i, command.beats(config.cols), p_stall=p_stall, seed=len(cycles))
        at = []
        for cycle in range(5000):
            source.before(ctx)
            _, _, ready, write, written = await ctx.tick().sample(dut.i.ready, dut.o, dut.written)
            source.after(cycle, [ready])
            if write.valid:
                at.append(cycle)
                bits = [write.bits >> c & 1 for c in range(config.cols)]
                words[write.addr, write.lane :: config.depth] = bits
            assert not written or write.valid
            if written:
                return at
        raise TimeoutError

    async def bench(ctx):
        for command in commands:
            cycles.append(await do(ctx, command))
            golden.write(command.word, command.lane, command.weights, command.planes)
            packed = np.packbits(words, axis=1, bitorder="little")
            np.testing.assert_array_equal(packed, golden.words)

    simulate(dut, bench)
    for command, at in zip(commands, cycles, strict=True):
        assert len(at) == command.weights.size // config.cols * command.planes
    return cycles


@pytest.mark.parametrize("stalls", STALLS, ids=str)
@pytest.mark.parametrize("name", CONFIGS)
def test_weights_go_where_the_golden_memory_has_them(name, stalls):
    config = CONFIGS[name]
    run(config, [random_command(seed, config) for seed in range(8)], p_stall=stalls.i)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(CONFIGS)), st.sampled_from([0.0, 0.5]))
def test_any_commands(seed, name, p_stall):
    config = CONFIGS[name]
    run(config, [random_command(seed, config), random_command(seed + 1, config)], p_stall=p_stall)


@pytest.mark.parametrize("planes", [1, 2, 7, 8])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_tile_takes_as_many_cycles_as_it_has_columns_or_planes(name, planes):
    config = CONFIGS[name]
    weights = np.zeros((2, 3 * config.cols), np.int64)
    (at,) = run(config, [Command(weights, planes, 0, 0)])
    step = max(config.cols, planes)
    first = config.cols + 1  # the first plane two cycles after the last weight, counted from 0
    assert at == [first + tile * step + n for tile in range(6) for n in range(planes)]
