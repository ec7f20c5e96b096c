import random

import pytest

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.rtl.activations import Activations
from summand.rtl.elements.tables.loader import TableLoader
from summand.rtl.elements.tables.step import gray_steps
from summand.testing.streams import simulate

#: One word a pass, alone and shared; two; four.
ONE = EngineConfig(cols=8, depth=32, stream_bits=256, act_depth=8)
ONE_SHARED = EngineConfig(cols=4, depth=32, stream_bits=32, table_share=8, act_depth=8)
TWO = EngineConfig(cols=4, depth=32, stream_bits=32, table_share=4, act_depth=8)
FOUR = EngineConfig(cols=4, depth=32, stream_bits=32, table_share=2, act_depth=8)
CONFIGS = [ONE, ONE_SHARED, TWO, FOUR]


class Watch:
    """Runs a loader and keeps a model of the staging registers beside it."""

    def __init__(self, config):
        self.config = config
        self.words = config.slice_words // config.table_share
        self.staged: list[int | None] = [None] * self.words
        self.coming: list[tuple[int, int]] = []  # cycle from which, address
        self.started = 0
        #: Cycle, fields and staging registers of each step.
        self.steps: list[tuple[int, dict[str, int], list[int | None]]] = []
        #: Cycles in which `ready` rose, and in which it was answered.
        self.ready: list[int] = []
        self.released: list[int] = []

    def see(self, cycle, fill, step):
        for due, addr in list(self.coming):
            if due <= cycle:
                self.staged[addr % self.words] = addr
                self.coming.remove((due, addr))
        if fill.valid:
            self.coming.append((cycle + Activations.LATENCY, fill.addr))
        if step.valid:
            names = ("last", "select", "negate", "entry", "share")
            self.steps.append((cycle, {n: step[n] for n in names}, self.staged.copy()))

    def run(self, walks, hold=lambda: 0, max_cycles=4000):
        """Do ``walks`` of (first word, slices); keep each slice for ``hold()`` cycles."""
        dut = TableLoader(self.config)

        async def bench(ctx):
            cycle = 0

            async def tick(release=0):
                nonlocal cycle
                ctx.set(dut.turn.release, release)
                _, _, ready, fill, step = await ctx.tick().sample(dut.ready, dut.fill, dut.step)
                self.see(cycle, fill, step)
                cycle += 1
                assert cycle < max_cycles
                return ready

            for addr, slices in walks:
                ctx.set(dut.orders.start, 1)
                ctx.set(dut.orders.addr, addr)
                ctx.set(dut.orders.slices, slices)
                self.started = cycle
                assert not await tick()
                ctx.set(dut.orders.start, 0)
                ctx.set(dut.orders.addr, 0)
                ctx.set(dut.orders.slices, 0)
                for _ in range(slices):
                    while not ctx.get(dut.ready):
                        await tick()
                    self.ready.append(cycle)
                    for _ in range(hold()):
                        assert await tick()
                    self.released.append(cycle)
                    await tick(release=1)
                for _ in range(30):  # nothing more happens
                    assert not await tick()

        simulate(dut, bench)


def expected_steps(config, addr, slices):
    """Return fields and staged words of every step, in order."""
    words = config.slice_words // config.table_share
    return [
        ({**fields, "share": share}, [at + n for n in range(words)])
        for s in range(slices)
        for share in range(config.table_share)
        for at in [addr + s * config.slice_words + share * words]
        for fields in gray_steps()
    ]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.slice_words}by{c.table_share}")
@pytest.mark.parametrize("held", [0, 1, 40])
def test_steps_go_over_each_slice_in_gray_order(config, held):
    """Every step sees its own pass's activations, however long a slice is kept."""
    rng = random.Random(1)
    watch = Watch(config)
    walks = [(0, 1), (3 * config.slice_words, 5), (config.slice_words, 2)]
    watch.run(walks, hold=lambda: rng.randint(0, held))
    want = [step for addr, slices in walks for step in expected_steps(config, addr, slices)]
    assert [(fields, staged) for _, fields, staged in watch.steps] == want


@pytest.mark.parametrize("config", [ONE, ONE_SHARED], ids=["alone", "shared"])
def test_no_cycle_is_lost_with_one_word_a_pass(config):
    """A slice's steps follow one another, from the cycle after the slice before is released on."""
    watch = Watch(config)
    watch.run([(0, 4)])
    cycles = [cycle for cycle, _, _ in watch.steps]
    per = element(config).passes * element(config).steps
    for n in range(4):
        mine = cycles[n * per : (n + 1) * per]
        assert mine == list(range(mine[0], mine[0] + per))
        assert watch.ready[n] == mine[-1] + 1
        if n:
            assert mine[0] == watch.released[n - 1] + 1


@pytest.mark.parametrize(("config", "words"), [(TWO, 2), (FOUR, 4)])
def test_a_pass_waits_only_for_its_further_words(config, words):
    watch = Watch(config)
    watch.run([(0, 3)])
    cycles = [cycle for cycle, _, _ in watch.steps]
    inside = [b - a for a, b in zip(cycles, cycles[1:], strict=False)]
    for n, gap in enumerate(inside, 1):
        if n % 15:
            assert gap == 1
        elif n // 15 % config.table_share:
            assert gap == words  # within a slice


def test_a_slice_kept_long_enough_costs_its_steps_only():
    """The next slice's activations are already staged when their turn comes."""
    watch = Watch(FOUR)
    watch.run([(0, 4)], hold=lambda: 20)
    firsts = [cycle for cycle, fields, _ in watch.steps if fields["entry"] == 1]
    for n in range(1, 4):
        assert firsts[n * FOUR.table_share] == watch.released[n - 1] + 1


def test_first_steps_follow_the_read():
    """From `start`: a cycle to begin, the words, the memory's latency."""
    for config in CONFIGS:
        watch = Watch(config)
        watch.run([(0, 1)])
        words = config.slice_words // config.table_share
        assert watch.steps[0][0] == watch.started + words + Activations.LATENCY
