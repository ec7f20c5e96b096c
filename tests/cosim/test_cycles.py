"""The cost law equals the counters of the generated Verilog exactly."""

import numpy as np
import pytest

from summand.cycles import Stalls, count, read_commands
from summand.golden import split_packets
from summand.isa import EngineConfig, ErrorCode
from summand.isa.commands import Fence
from summand.isa.packets import Counters, Kind, status_packet_bytes
from summand.isa.patterns import SparsePattern
from summand.model import Layer
from summand.rtl.engine import Engine
from summand.runtime import compile_layers
from summand.schedule.fit import DEFAULT_CONFIG
from summand.schedule.steps import Walk
from summand.stimulus.programs import random_program
from summand.summands.base import Summand
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank
from summand.verilated import SimDevice

pytestmark = pytest.mark.sim

#: Cycles in which the harness holds the whole engine in reset.
RESET_CYCLES = 4

# Together they have 1 to 4 rows, plane words of 1 to 4 beats, tiles wider and narrower than a beat,
# shared writers, two words of activations a pass and more, activations of two bytes, borders of
# which two beats are one and four are a beat, chunks of which a beat has 1, 4 and 16, and operands
# whose tiles take as many cycles to write as they have planes, or as they have columns. Digits of
# two and of four planes, whose words fill the bus, leave gaps, and are read ahead. Limbs of a tile
# that are a beat, a fourth and an eighth of one. Bins of one tile and of several, whose
# extremes are four beats, and a part of one.
CONFIGS = {
    "narrow": EngineConfig(
        rows=2,
        cols=2,
        depth=16,
        stream_bits=32,
        acc_depth=16,
        act_depth=4,
        requant_depth=16,
        shift=4,
        border_shift=3,
        operand_depth=256,
        limb_bits=4,
        bin_tiles=2,
    ),
    "shared": EngineConfig(
        rows=4,
        cols=4,
        depth=32,
        stream_bits=64,
        acc_depth=64,
        act_depth=8,
        requant_depth=32,
        table_share=2,
    ),
    "slow": EngineConfig(
        rows=1,
        cols=8,
        depth=32,
        stream_bits=64,
        acc_depth=32,
        act_depth=4,
        requant_depth=64,
        act_bits=10,
        shift=2,
        operand_depth=512,
        limb_bits=8,
        bin_tiles=4,
    ),
    "rows": EngineConfig(
        rows=3,
        cols=2,
        depth=64,
        stream_bits=128,
        acc_depth=32,
        act_depth=8,
        requant_depth=32,
        bin_tiles=1,
    ),
    "half-steps": EngineConfig(
        rows=3,
        cols=2,
        depth=32,
        stream_bits=64,
        acc_depth=32,
        act_depth=8,
        requant_depth=32,
        table_share=2,
        scale_bits=3,
        half_steps=True,
    ),
    "sparse": EngineConfig(
        rows=2,
        cols=4,
        depth=32,
        stream_bits=64,
        acc_depth=32,
        act_depth=8,
        requant_depth=32,
        table_share=2,
        scale_bits=3,
        sparse_block=8,
        operand_depth=256,
    ),
    "sparse-slow": EngineConfig(
        rows=1,
        cols=8,
        depth=16,
        stream_bits=32,
        acc_depth=32,
        act_depth=8,
        requant_depth=16,
        sparse_block=4,
    ),
    "sparse-fast": EngineConfig(
        rows=1,
        cols=2,
        depth=32,
        stream_bits=64,
        acc_depth=64,
        act_depth=4,
        requant_depth=16,
        half_steps=True,
        sparse_block=16,
    ),
    "wide": EngineConfig(
        rows=1,
        cols=4,
        depth=64,
        stream_bits=256,
        acc_depth=64,
        act_depth=4,
        requant_depth=32,
        border_shift=1,
    ),
    "digits": EngineConfig(
        rows=3,
        cols=4,
        depth=32,
        stream_bits=128,
        acc_depth=32,
        act_depth=8,
        requant_depth=32,
        shift=4,
        scale_bits=3,
        half_steps=True,
        border_shift=2,
        operand_depth=256,
        digit_bits=4,
        limb_bits=4,
    ),
    "digits-slow": EngineConfig(
        rows=2,
        cols=4,
        depth=32,
        stream_bits=32,
        act_bits=10,
        acc_depth=32,
        act_depth=8,
        requant_depth=16,
        digit_bits=2,
    ),
    "digits-sparse": EngineConfig(
        rows=1,
        cols=2,
        depth=32,
        stream_bits=32,
        acc_depth=32,
        act_depth=8,
        requant_depth=16,
        scale_bits=2,
        half_steps=True,
        sparse_block=8,
        digit_bits=4,
    ),
    "scaled": EngineConfig(
        rows=2,
        cols=4,
        depth=32,
        stream_bits=64,
        acc_depth=32,
        act_depth=8,
        requant_depth=32,
        table_share=2,
        scale_bits=6,
    ),
}


@pytest.fixture(scope="module", params=CONFIGS)
def config(request: pytest.FixtureRequest) -> EngineConfig:
    """Each engine, with all its tests one after the other, so that it is generated once."""
    return CONFIGS[request.param]


def reported(output: bytes, config: EngineConfig) -> list[Counters]:
    """Return the counters of an output stream's STATUS packets."""
    found = [p for p in split_packets(output, config) if p.header.kind is Kind.STATUS]
    assert all(p.header.status is ErrorCode.OK for p in found)
    return [Counters.decode(p.payload) for p in found]


def check(chunks, config: EngineConfig, size: int, *, stall: float = 0.0, seed: int = 0) -> None:
    """Run a stream on the Verilog and compare what each FENCE reports."""
    device = SimDevice(config, stall=stall, seed=seed, record=True)
    device.write(chunks)
    measured = reported(device.read(size, 60), config)
    reset = RESET_CYCLES + Engine.reset_cycles(config)
    stalls = Stalls.of_trace(device.trace, reset) if stall else None
    device.close()
    law = count(read_commands(chunks, config), config, stalls=stalls)
    assert len(measured) > 0
    assert measured == list(law)


@pytest.mark.parametrize(
    ("programs", "commands", "max_words"),
    [(120, 24, 64), (60, 40, 8), (30, 24, 400)],
    ids=["mixed", "tiny", "long"],
)
def test_random_programs(config, programs, commands, max_words):
    for seed in range(programs):
        rng = np.random.default_rng([seed, max_words])
        program = random_program(rng, config, commands=commands, max_words=max_words)
        check(program.chunks, config, len(program.output))


@pytest.mark.parametrize("stall", [0.05, 0.3, 0.8])
def test_random_programs_with_stalls(config, stall):
    for seed in range(40):
        program = random_program(np.random.default_rng(seed), config)
        check(program.chunks, config, len(program.output), stall=stall, seed=seed)


def test_slices_that_are_left_out(config):
    """Half of a layer's input features have no weights, in one run or in several."""
    rng = np.random.default_rng(0)
    depth, n = config.depth, 24 * config.cols
    for run in (1, 2, 4, 12):
        weights = rng.integers(-8, 8, (24, depth, n)).astype(np.int8)
        weights[np.arange(24) // run % 2 == 1] = 0
        weights = weights.reshape(24 * depth, n)
        pattern = None
        if config.sparse_block:
            pattern = SparsePattern(kept=2, block=4)
            weights.reshape(-1, 4, n)[:, 1::2] = 0
        layer = Layer(
            "x",
            len(weights),
            n,
            config.act_bits,
            (Dense(weights, 4, pattern=pattern),),
            np.ones(n, np.float32),
        )
        program = compile_layers([layer], config)
        (batch,) = program.schedule(1)
        walks = [step.plan for step in batch.steps if isinstance(step.plan, Walk)]
        assert {s for w in walks for s in range(w.first, w.first + w.slices)} == {
            s for s in range(24) if s // run % 2 == 0
        }
        tokens = rng.integers(config.act_min, config.act_max + 1, (1, program.in_features))
        chunks = [*program.chunks(batch, tokens), Fence().encode(config)]
        size = sum(program.result_bytes(store, 1) for _, store in batch.fetches)
        check(chunks, config, size + status_packet_bytes(config))


def test_smollm2_layers():
    """A block's projections at full size, dense and with a low-rank summand."""
    config = DEFAULT_CONFIG
    rng = np.random.default_rng(0)

    def layer(name: str, k: int, n: int, rank: int):
        def matrix(rows: int, columns: int):
            return rng.integers(-8, 8, (rows, columns)).astype(np.int8)

        summands: list[Summand] = [Dense(matrix(k, n), 4)]
        if rank:
            mult, shift = np.full(rank, 40_000, np.uint16), np.full(rank, 24, np.uint8)
            a, b = matrix(k, rank), matrix(rank, n)
            summands.append(LowRank(a, 8, b, 8, mult, shift, acc_shift=config.shift))
        return Layer(
            name=name,
            in_features=k,
            out_features=n,
            act_bits=config.act_bits,
            summands=tuple(summands),
            scale=np.ones(n, np.float32),
        )

    groups = [
        [layer("q", 576, 576, 16), layer("k", 576, 192, 16), layer("v", 576, 192, 8)],
        [layer("gate", 576, 1536, 0), layer("up", 576, 1536, 16)],
        [layer("down", 1536, 576, 32)],
    ]
    chunks, size = [], 0
    for group in groups:
        program = compile_layers(group, config)
        for batch in program.schedule(2):
            tokens = rng.integers(config.act_min, config.act_max + 1, (1, program.in_features))
            chunks += program.chunks(batch, tokens)
            size += sum(program.result_bytes(store, 1) for _, store in batch.fetches)
        chunks += [Fence().encode(config)]
        size += status_packet_bytes(config)
    check(chunks, config, size)
    check(chunks, config, size, stall=0.1)
