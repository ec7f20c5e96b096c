import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.isa.scales import pack_scales
from summand.rtl.scales import ScaleMemory
from summand.testing.streams import simulate

FIXED = settings(deadline=None, derandomize=True, max_examples=25)
CONFIGS = {
    "whole": EngineConfig(cols=4, depth=16, stream_bits=32, acc_depth=16, scale_bits=8),
    "spare bits": EngineConfig(cols=2, depth=32, stream_bits=64, acc_depth=32, scale_bits=6),
    "one memory word": EngineConfig(cols=1, depth=64, stream_bits=64, acc_depth=16, scale_bits=1),
    "many": EngineConfig(cols=4, depth=64, stream_bits=256, acc_depth=64, scale_bits=6),
}


def walk(config: EngineConfig, groups, *, p_stall: float, seed: int) -> None:
    """Take each group's scales, then walk its slices; every scale must come out in time.

    ``groups`` are ``(slices, scaled)`` with ``scaled`` a flag for each tile.
    """
    dut = ScaleMemory(config)
    rng = random.Random(seed)
    values = np.random.default_rng(seed)

    async def bench(ctx):
        due: dict[int, list[int]] = {}
        cycle = 0

        async def tick():
            nonlocal cycle
            *_, scale = await ctx.tick().sample(dut.scale)
            if (want := due.pop(cycle, None)) is not None:
                assert [scale[c] for c in range(config.cols)] == want
            cycle += 1

        for slices, scaled in groups:
            count = sum(scaled)
            scales = values.integers(0, 1 << config.scale_bits, (count, config.cols))
            if count:
                ctx.set(dut.start, 1)
                ctx.set(dut.tiles, count)
                await tick()
                ctx.set(dut.start, 0)
                raw = pack_scales(scales, config)
                for at in range(0, len(raw), config.beat_bytes):
                    while rng.random() < p_stall:
                        ctx.set(dut.i.valid, 0)
                        assert ctx.get(dut.taking)
                        await tick()
                    ctx.set(dut.i.valid, 1)
                    beat = int.from_bytes(raw[at : at + config.beat_bytes], "little")
                    used = config.scale_tiles * config.cols * config.scale_bits
                    noise = rng.getrandbits(config.stream_bits) >> used << used
                    ctx.set(dut.i.payload, beat | noise)
                    assert ctx.get(dut.i.ready)
                    await tick()
                ctx.set(dut.i.valid, 0)
            assert not ctx.get(dut.taking)
            for _ in range(slices):
                turn = iter(scales.tolist())
                for n, flag in enumerate(scaled):
                    while rng.random() < p_stall:
                        ctx.set(dut.scaled, rng.getrandbits(1))
                        await tick()
                    ctx.set(dut.step, 1)
                    ctx.set(dut.scaled, flag)
                    ctx.set(dut.rewind, n == len(scaled) - 1)
                    due[cycle + dut.LATENCY] = next(turn) if flag else [1] * config.cols
                    await tick()
                    ctx.set(dut.step, 0)
                    ctx.set(dut.rewind, 0)
        for _ in range(dut.LATENCY + 1):
            await tick()
        assert not due

    simulate(dut, bench)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("p_stall", [0.0, 0.4])
def test_scales_come_out_in_every_slice_of_their_group(config, p_stall):
    full = [True] * config.acc_depth
    mixed = [n % 3 != 1 for n in range(config.acc_depth)]
    groups = [(2, full), (1, [True]), (3, mixed), (1, [False] * 3), (2, [False, True])]
    walk(config, groups, p_stall=p_stall, seed=3)


@FIXED
@given(
    st.sampled_from(sorted(CONFIGS)),
    st.lists(
        st.tuples(st.integers(1, 3), st.lists(st.booleans(), min_size=1, max_size=16)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 1000),
)
def test_any_groups(name, groups, p_stall, seed):
    walk(CONFIGS[name], groups, p_stall=p_stall, seed=seed)
