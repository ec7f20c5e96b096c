import random

import pytest

from summand.isa import EngineConfig
from summand.isa.segments import Segment
from summand.rtl.walker import Walker
from summand.testing.streams import Source, simulate

CONFIG = EngineConfig(
    cols=2,
    depth=16,
    stream_bits=32,
    acc_depth=16,
    act_depth=8,
    shift=1,
    half_steps=True,
    border_shift=7,
)

TABLES = [
    [Segment(tile=0, tiles=1, planes=1)],
    [Segment(tile=5, tiles=3, planes=8, clear=True)],
    [
        Segment(tile=1, tiles=1, planes=1, shift=True),
        Segment(tile=2, tiles=1, planes=1, clear=True, half_step=True),
        Segment(tile=7, tiles=4, planes=3, clear=True, shift=True, half_step=True),
        Segment(tile=15, tiles=1, planes=2),
    ],
]


def expected(segments, slices):
    """Return the orders that accompany every word of a walk."""
    return [
        {
            "first": plane == 0,
            "last": plane == s.planes - 1,
            "clear": s.clear and k == 0,
            "shift": s.shift and k == 0,
            "half_step": s.half_step,
            "tile": s.tile + tile,
        }
        for k in range(slices)
        for s in segments
        for tile in range(s.tiles)
        for plane in range(s.planes)
    ]


class Walks:
    """Runs walks one after another, with a model of the ring and of the loader."""

    def __init__(self, walks, *, group=CONFIG.act_depth, p_stall=0.0, load=lambda: 0, seed=0):
        self.dut = Walker(CONFIG)
        self.rng = random.Random(seed)
        counts = [len(expected(segments, slices)) for segments, slices in walks]
        self.payloads = [self.rng.getrandbits(CONFIG.plane_bits) for _ in range(sum(counts))]
        self.source = Source(self.dut.words, self.payloads, p_stall=p_stall, seed=seed)
        self.walks = walks
        self.group = group
        self.load = load
        #: Cycle and orders of each word.
        self.words: list[tuple[int, dict[str, int]]] = []
        self.releases: list[int] = []
        self.dones: list[int] = []
        self.regroups: list[int] = []
        self.starts: list[int] = []
        simulate(self.dut, self._bench)

    async def _bench(self, ctx):
        dut = self.dut
        cycle = 0
        for segments, slices in self.walks:
            ring, steps, wait, ended = segments, 0, max(0, self.load() - 1), False
            loaded = False
            ctx.set(dut.orders.start, 1)
            ctx.set(dut.orders.slices, slices)
            ctx.set(dut.orders.group, self.group)
            self.starts.append(cycle)
            for _ in range(3000):
                self._entry(ctx, ring, steps)
                border = self.rng.getrandbits(3)
                ctx.set(dut.border, border)
                self.source.before(ctx)
                released = bool(ctx.get(dut.turn.release))
                coming = wait == 0 and not released
                wait = self.load() if released else max(0, wait - 1)
                ctx.set(dut.turn.next_ready, coming)
                _, _, taken, work, release, done, regroup, step, walking = await ctx.tick().sample(
                    dut.words.ready,
                    dut.work,
                    dut.turn.release,
                    dut.orders.done,
                    dut.regroup,
                    dut.ring.next,
                    dut.orders.walking,
                )
                before = len(self.source.sent)
                self.source.after(cycle, [taken])
                moved = len(self.source.sent) > before
                assert work.valid == moved, "an order without a word, or the reverse"
                if moved:
                    assert loaded
                    assert work.word == self.payloads[before]
                    assert work.border == border
                    names = ("first", "last", "clear", "shift", "half_step", "tile")
                    self.words.append((cycle, {n: work[n] for n in names}))
                else:
                    assert not release
                    assert not done
                    assert not regroup
                if release:
                    self.releases.append(cycle)
                if regroup:
                    self.regroups.append(cycle)
                if done:
                    self.dones.append(cycle)
                    ended = True
                elif ended:
                    assert not walking
                    break
                steps += step
                loaded = coming
                ctx.set(dut.orders.start, 0)
                ctx.set(dut.orders.slices, 0)
                cycle += 1
            else:
                raise TimeoutError(f"walk of {slices} slices has not ended")

    def _entry(self, ctx, ring, steps):
        """Show the ring's output: random values until it has been stepped twice."""
        for port, n in ((self.dut.ring.entry, steps - 2), (self.dut.ring.ahead, steps - 1)):
            if n < 0:
                raw = port.as_value()
                ctx.set(raw, self.rng.getrandbits(len(raw)))
                continue
            s = ring[n % len(ring)]
            sizes = {"tile": s.tile, "more": s.tiles - 1, "words": s.planes - 1}
            flags = {"clear": s.clear, "shift": s.shift, "one_tile": s.tiles == 1}
            flags |= {"one_word": s.planes == 1, "half_step": s.half_step}
            ctx.set(port, sizes | flags | {"last": n % len(ring) == len(ring) - 1})


@pytest.mark.parametrize("p_stall", [0.0, 0.4])
@pytest.mark.parametrize("load", [0, 25])
def test_orders_follow_slices_segments_tiles_planes(p_stall, load):
    """Words wait for the tables and for the stream; the orders are the same."""
    walks = [(table, slices) for table in TABLES for slices in (1, 3)] + [(TABLES[0], 8)]
    rng = random.Random(7)
    got = Walks(walks, p_stall=p_stall, load=lambda: rng.randint(0, load), seed=4)
    want = [orders for segments, slices in walks for orders in expected(segments, slices)]
    assert [orders for _, orders in got.words] == want


def test_a_slice_is_released_with_its_last_word_and_a_walk_done_with_its_own():
    walks = [(TABLES[2], 3), (TABLES[0], 2)]
    got = Walks(walks, p_stall=0.2)
    cycles = [cycle for cycle, _ in got.words]
    releases, dones, at = [], [], -1
    for segments, slices in walks:
        for _ in range(slices):
            at += sum(s.words for s in segments)
            releases.append(cycles[at])
        dones.append(cycles[at])
    assert got.releases == releases
    assert got.dones == dones


def test_a_word_a_cycle():
    """Two cycles bring the ring to its first segment; then only the tables keep a slice waiting.

    Here they do so for a cycle, which is the least that they can.
    """
    got = Walks([(TABLES[2], 4)])
    start = got.starts[0] + 1 + 2
    size = len(got.words) // 4
    assert [cycle for cycle, _ in got.words] == [
        start + n + n // size for n in range(len(got.words))
    ]


@pytest.mark.parametrize("group", [1, 2, 3, 8])
def test_a_group_ends_with_its_last_slice_and_the_walks_last_is_done_instead(group):
    walks = [(TABLES[2], 6), (TABLES[0], 1), (TABLES[1], 5)]
    got = Walks(walks, group=group, p_stall=0.2)
    releases, want = iter(got.releases), []
    for _, slices in walks:
        ends = [next(releases) for _ in range(slices)]
        want += ends[group - 1 : -1 : group]
    assert got.regroups == want
