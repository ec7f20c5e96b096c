"""Slices are copied in their turn, and staged no sooner than the one before has been copied."""

import random

import pytest

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.latencies import ACCUMULATOR_DISTANCE
from summand.rtl.activations import Activations
from summand.rtl.elements.digits.loader import DigitLoader
from summand.testing.streams import simulate

ONE = EngineConfig(cols=8, depth=32, stream_bits=256, act_depth=8, digit_bits=4)
TWO = EngineConfig(cols=4, depth=32, stream_bits=128, act_depth=8, digit_bits=2)
EIGHT = EngineConfig(cols=4, depth=32, stream_bits=32, act_depth=8, digit_bits=4)
CONFIGS = [ONE, TWO, EIGHT]


def watch(config, walks, hold):
    """Do ``walks`` of (first word, slices), each slice kept for ``hold()`` cycles.

    Returns what each copy finds staged, and when copies, readiness and releases came.
    """
    dut = DigitLoader(config)
    staged: list[int | None] = [None] * config.slice_words
    coming: list[tuple[int, int]] = []
    copies: list[tuple[int, list[int | None]]] = []
    ready: list[int] = []
    released: list[int] = []
    started: list[int] = []

    async def bench(ctx):
        cycle = 0

        async def tick(release=0):
            nonlocal cycle
            ctx.set(dut.turn.release, release)
            _, _, fill, step = await ctx.tick().sample(dut.fill, dut.step)
            while coming and coming[0][0] <= cycle:
                addr = coming.pop(0)[1]
                staged[addr % len(staged)] = addr
            if fill.valid:
                coming.append((cycle + Activations.LATENCY, fill.addr))
            if step.valid:
                copies.append((cycle, staged.copy()))
            cycle += 1
            assert cycle < 4000

        for addr, slices in walks:
            ctx.set(dut.orders.start, 1)
            ctx.set(dut.orders.addr, addr)
            ctx.set(dut.orders.slices, slices)
            started.append(cycle)
            await tick()
            ctx.set(dut.orders.start, 0)
            for _ in range(slices):
                while not ctx.get(dut.ready):
                    await tick()
                ready.append(cycle)
                for _ in range(hold()):
                    await tick()
                    assert ctx.get(dut.ready)
                released.append(cycle)
                await tick(release=1)
            for _ in range(30):  # nothing more happens
                await tick()
                assert not ctx.get(dut.ready)

    simulate(dut, bench)
    return copies, ready, released, started


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.slice_words}by{c.digit_bits}")
@pytest.mark.parametrize("held", [0, 1, 40])
def test_each_copy_finds_its_slice(config, held):
    rng = random.Random(1)
    words = config.slice_words
    walks = [(0, 1), (3 * words, 5), (words, 2)]
    copies, ready, released, started = watch(config, walks, lambda: rng.randint(0, held))
    slices = [addr + n * words for addr, slices in walks for n in range(slices)]
    assert [found for _, found in copies] == [list(range(s, s + words)) for s in slices]

    # The last words of the slice before are in the rows `digit_bits` cycles after its release.
    steps = element(config).steps
    for n, (cycle, _) in enumerate(copies):
        assert cycle == ready[n] - steps + ACCUMULATOR_DISTANCE - 1
        if n not in (0, 1, 6):
            assert cycle >= released[n - 1] + config.digit_bits
            assert ready[n] >= released[n - 1] + 1 + steps
    assert ready[0] == started[0] + words + Activations.LATENCY + steps


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.slice_words}by{c.digit_bits}")
def test_a_slice_kept_long_enough_costs_its_steps_only(config):
    _, ready, released, _ = watch(config, [(0, 4)], lambda: 20)
    for n in range(1, 4):
        assert ready[n] == released[n - 1] + 1 + element(config).steps
