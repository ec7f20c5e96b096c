from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.golden import arithmetic
from summand.golden.operand import Operand
from summand.isa import EngineConfig
from summand.isa.structure import requantise_latency
from summand.rtl.requantise import Requantiser
from summand.stimulus.values import signed_values
from summand.testing.streams import STALLS, run_stream, simulate

CONFIGS = {
    # A word of 4, rows of 3 words and a bit; a word of 1; of 8, wider than a tile.
    "8bit": EngineConfig(rows=4, cols=2, depth=16, stream_bits=32, act_depth=8, requant_depth=16),
    "10bit": EngineConfig(
        rows=2, cols=4, depth=32, stream_bits=64, act_depth=4, requant_depth=32, act_bits=10
    ),
    "4bit": EngineConfig(
        rows=3, cols=1, depth=64, stream_bits=64, act_depth=4, requant_depth=16, act_bits=4,
        acc_bits=21,
    ),
    "odd": EngineConfig(
        rows=2, cols=4, depth=16, stream_bits=32, act_depth=8, requant_depth=64, act_bits=9,
        acc_bits=31,
    ),
    "with casts, 5bit": EngineConfig(
        rows=3, cols=2, depth=16, stream_bits=32, act_depth=8, requant_depth=16, act_bits=5,
        operand_depth=256,
    ),
    "with casts, 10bit": EngineConfig(
        rows=2, cols=4, depth=32, stream_bits=64, act_depth=4, requant_depth=32, act_bits=10,
        operand_depth=256,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """Accumulators ``[rows, features]``, parameters of each feature, first word written."""

    acc: np.ndarray
    mult: np.ndarray
    shift: np.ndarray
    addr: int

    def tiles(self, config):
        rows = self.acc.reshape(len(self.acc), -1, config.cols)
        return [
            {
                "acc": tile.tolist(),
                "row_ends": n == len(row) - 1,
                "final": m == len(rows) - 1 and n == len(row) - 1,
            }
            for m, row in enumerate(rows)
            for n, tile in enumerate(row)
        ]

    def writes(self, config):
        """Return (row, address, last, activations) of every word."""
        t = arithmetic.requantise(self.acc, self.mult, self.shift, config.act_bits)
        t = np.pad(t, [(0, 0), (0, -t.shape[1] % config.beat_elems)])
        words = t.reshape(len(t), -1, config.beat_elems)
        rows, per_row = words.shape[:2]
        return [
            (m, self.addr + n, (m, n) == (rows - 1, per_row - 1), words[m, n].tolist())
            for m in range(rows)
            for n in range(per_row)
        ]

    async def begin(self, ctx, dut, gaps=0):
        """Start the command and give it its parameters."""
        ctx.set(dut.orders.start, 1)
        ctx.set(dut.orders.addr, self.addr)
        await ctx.tick()
        ctx.set(dut.orders.start, 0)
        ctx.set(dut.orders.addr, 0)
        for mult, shift in zip(self.mult, self.shift, strict=True):
            ctx.set(dut.orders.param_valid, 0)
            ctx.set(dut.orders.param, {"mult": 0xAAAA, "shift": 0x2A})
            for _ in range(gaps):
                await ctx.tick()
            ctx.set(dut.orders.param_valid, 1)
            ctx.set(dut.orders.param, {"mult": int(mult), "shift": int(shift)})
            await ctx.tick()
        ctx.set(dut.orders.param_valid, 0)


def random_command(config, rng, *, rows, tiles, addr):
    """Return a command whose results are mostly within range or just beyond."""
    features = tiles * config.cols
    acc = signed_values(rng, config.acc_bits, rows * features).reshape(rows, features)
    mult = rng.choice([0, 1, 0x7FFF, 0x8000, 0xFFFF], features)
    mult = np.where(rng.random(features) < 0.6, np.exp2(rng.uniform(0, 16, features)), mult)
    mult = np.minimum(mult.astype(np.int64), 0xFFFF)
    # A typical product's bits, less the bits of a result.
    size = np.log2(np.abs(acc).max(0) * np.maximum(mult, 1) + 1)
    shift = np.clip(size - config.act_bits + rng.integers(-2, 4, features), 1, 47)
    corner = rng.random(features) < 0.3
    shift = np.where(corner, rng.choice([1, 2, 8, 9, 16, 32, 46, 47], features), shift)
    return Command(acc, mult, shift.astype(np.int64), addr)


def unpacked(config, beat):
    """Return (row, address, last, activations) of a word; checks nothing of the unused bits."""
    half = 1 << config.act_bits - 1
    raw = [beat.word >> config.elem_bits * n for n in range(config.beat_elems)]
    elems = [((r + half) & 2 * half - 1) - half for r in raw]
    return beat.row, beat.addr, bool(beat.last), elems


def check(config, command, **options):
    dut = Requantiser(config)
    want = command.writes(config)

    async def setup(ctx):
        await command.begin(ctx, dut, gaps=options.get("seed", 0) % 2)

    flow = run_stream(dut, command.tiles(config), len(want), setup=setup, **options)
    assert [unpacked(config, beat) for beat in flow.beats] == want
    return flow


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("stalls", STALLS, ids=str)
def test_rows_match_the_golden_arithmetic(name, stalls):
    """Every row of the engine, as many features as one command may have."""
    config = CONFIGS[name]
    tiles = min(config.requant_depth // config.cols, config.acc_depth)
    rng = np.random.default_rng(len(str(stalls)))
    command = random_command(config, rng, rows=config.rows, tiles=tiles, addr=3)
    check(config, command, stalls=stalls, seed=3)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("tiles", [1, 2, 3, 5])
@pytest.mark.parametrize("rows", [1, 2])
def test_a_part_of_a_word_is_filled_up_with_zeros(name, tiles, rows):
    config = CONFIGS[name]
    rng = np.random.default_rng(tiles)
    command = random_command(config, rng, rows=rows, tiles=tiles, addr=1)
    check(config, command, stalls=STALLS[1], seed=tiles)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_accumulator_and_parameter(data):
    config = CONFIGS["8bit"]
    features = 8
    ints = st.lists(
        st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300),
        min_size=features,
        max_size=features,
    )
    mult = data.draw(st.lists(st.integers(0, 0xFFFF), min_size=features, max_size=features))
    shift = data.draw(st.lists(st.integers(1, 47), min_size=features, max_size=features))
    acc = np.array([data.draw(ints)])
    check(config, Command(acc, np.array(mult), np.array(shift), 0))


@pytest.mark.parametrize("shift", range(1, 48))
def test_halves_round_towards_plus_infinity(shift):
    """Products half a unit above and below a few results, and one beside each."""
    config = CONFIGS["8bit"]
    mult = 1 << min(15, shift - 1)
    half = 1 << shift - 1
    acc = [
        (unit * 2 * half + half) // mult + beside
        for unit in (-3, -2, -1, 0, 1, 2)
        for beside in (-1, 0, 1)
    ]
    acc = [a for a in acc if -(2**31) <= a < 2**31]
    acc += [0] * (-len(acc) % 2)
    if len(acc) > config.requant_depth:
        acc = acc[: config.requant_depth]
    n = len(acc)
    check(config, Command(np.array([acc]), np.full(n, mult), np.full(n, shift), 0))


def test_commands_follow_one_another():
    """Each has its own parameters and place; no command affects the next."""
    config = CONFIGS["8bit"]
    rng = np.random.default_rng(9)
    dut = Requantiser(config)
    got, want = [], []

    async def take(ctx, cycles):
        for _ in range(cycles):
            _, _, valid, beat = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid:
                got.append(unpacked(config, beat))

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        for rows, tiles, addr in [(2, 3, 5), (1, 1, 0), (4, 8, 2), (1, 5, 7)]:
            command = random_command(config, rng, rows=rows, tiles=tiles, addr=addr)
            want.extend(command.writes(config))
            await command.begin(ctx, dut)
            for tile in command.tiles(config):
                ctx.set(dut.i.p, tile)
                ctx.set(dut.i.valid, 1)
                while not ctx.get(dut.i.ready):
                    await take(ctx, 1)
                await take(ctx, 1)
                ctx.set(dut.i.valid, 0)
            await take(ctx, requantise_latency(config) + 2 * config.beat_elems + config.cols)

    simulate(dut, bench)
    assert got == want


@pytest.mark.parametrize("name", CONFIGS)
def test_a_tile_takes_its_columns_and_one_cycle(name):
    """A word comes when its last activation has passed, and takes one cycle to leave."""
    config = CONFIGS[name]
    tiles = 16 // config.cols
    rng = np.random.default_rng(1)
    flow = check(config, random_command(config, rng, rows=1, tiles=tiles, addr=0))
    words = 16 // config.beat_elems
    passing = tiles * (config.cols + 1)
    assert 16 < flow.arrived[-1] - requantise_latency(config) <= passing + words


@pytest.mark.parametrize("name", [name for name in CONFIGS if CONFIGS[name].operand_depth])
def test_casts_and_activations_follow_one_another(name):
    """Each command has its own width, and writes to its own memory only."""
    config = CONFIGS[name]
    rng = np.random.default_rng(5)
    dut = Requantiser(config)
    golden, words = Operand(config), np.zeros((config.operand_depth, config.plane_bits), np.uint8)
    got, want, written = [], [], []

    async def take(ctx, cycles):
        for _ in range(cycles):
            _, _, valid, beat, write, done = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.operand, dut.orders.written
            )
            written.append(done)
            if valid:
                got.append(unpacked(config, beat))
            if write.valid:
                bits = [write.bits >> c & 1 for c in range(config.cols)]
                words[write.addr, write.lane :: config.depth] = bits

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        for planes in [3, 0, 8, 1, 0, 5, 7, 2]:
            rows, tiles = int(rng.integers(1, config.rows + 1)), int(rng.integers(1, 4))
            command = random_command(config, rng, rows=rows, tiles=tiles, addr=2)
            ctx.set(dut.orders.casts, planes > 0)
            ctx.set(dut.orders.cast, {"planes": planes, "lane": 3, "word": 9 * planes})
            await command.begin(ctx, dut)
            ctx.set(dut.orders.casts, planes == 0)
            written.clear()
            for tile in command.tiles(config):
                ctx.set(dut.i.p, tile)
                ctx.set(dut.i.valid, 1)
                while not ctx.get(dut.i.ready):
                    await take(ctx, 1)
                await take(ctx, 1)
                ctx.set(dut.i.valid, 0)
            await take(ctx, requantise_latency(config) + 2 * config.beat_elems + config.cols + 80)
            assert sum(written) == 1
            if planes:
                weights = arithmetic.requantise(command.acc, command.mult, command.shift, planes)
                golden.write(9 * planes, 3, weights, planes)
            else:
                want.extend(command.writes(config))
            packed = np.packbits(words, axis=1, bitorder="little")
            np.testing.assert_array_equal(packed, golden.words)
            assert got == want

    simulate(dut, bench)
