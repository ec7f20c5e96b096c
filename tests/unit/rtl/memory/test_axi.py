"""Runs by AXI4, against a memory of bytes."""

import functools
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import ConfigError
from summand.rtl.memory.axi import bursts, memory, reader, writer
from summand.rtl.memory.axi.bus import AxiConfig
from summand.testing.axi import AxiBehaviour

from .bench import BEATS, Bench, Done, Work, on_the_bus

NARROW = AxiConfig(stream_bits=32, address_bits=32, burst_beats=4, bursts=2)
MIDDLE = AxiConfig(stream_bits=128)
WIDE = AxiConfig(stream_bits=512, burst_beats=64, bursts=4)
LONG = AxiConfig(stream_bits=32, burst_beats=256, bursts=2)
CONFIGS = {"narrow": NARROW, "middle": MIDDLE, "wide": WIDE, "long": LONG}

BEHAVIOURS = {
    "prompt": AxiBehaviour(),
    "late": AxiBehaviour(latency=30),
    "pauses": AxiBehaviour(latency=3, pauses=0.4),
    "slow": AxiBehaviour(latency=9, pauses=0.8),
}


def words(rng: random.Random, count: int, bits: int) -> list[int]:
    return [rng.getrandbits(bits) for _ in range(count)]


def check(bench: Bench, works: list[Work]) -> list[Done]:
    """Do one work after the other; what is read is what was there or what was written before."""
    results: list[Done] = []
    want: list[list[int]] = []

    async def script(bench: Bench, ctx):
        for work in works:
            want.append([bench.word(a + n) for a, beats in work.reads for n in range(beats)])
            results.append(await bench.do(ctx, work))
            for address, data in work.writes:
                for n, word in enumerate(data):
                    assert bench.word(address + n) == word

    bench.run(script)
    for work, done, there in zip(works, results, want, strict=True):
        if not work.writes:
            assert done.beats == [(word, False) for word in there]
        assert done.failed == 0
    return results


@st.composite
def runs(draw: st.DrawFn, most: int) -> list[tuple[int, int]]:
    """Draw runs within the memory: often at a multiple of 4 KB, or across it."""
    found = []
    for _ in range(draw(st.integers(1, 5))):
        beats = draw(st.one_of(st.integers(1, 5), st.integers(1, most)))
        near = st.builds(lambda page, off: page * 64 + off, st.integers(0, 63), st.integers(-6, 6))
        address = draw(st.one_of(near, st.integers(0, BEATS - beats)))
        found.append((min(max(address, 0), BEATS - beats), beats))
    return found


@settings(max_examples=20)
@given(
    config=st.sampled_from(list(CONFIGS.values())),
    behaviour=st.sampled_from(list(BEHAVIOURS.values())),
    where=runs(150),
    pauses=st.sampled_from([0.0, 0.3, 0.8]),
    seed=st.integers(0, 999),
)
def test_runs_are_read(config, behaviour, where, pauses, seed):
    check(Bench(config, behaviour, pauses=pauses, seed=seed), [Work(reads=where)])


@settings(max_examples=16)
@given(
    config=st.sampled_from(list(CONFIGS.values())),
    behaviour=st.sampled_from(list(BEHAVIOURS.values())),
    where=runs(60),
    pauses=st.sampled_from([0.0, 0.3, 0.8]),
    seed=st.integers(0, 999),
)
def test_runs_are_written_and_read_again(config, behaviour, where, pauses, seed):
    rng = random.Random(seed)
    last = {address + n: (i, n) for i, (address, beats) in enumerate(where) for n in range(beats)}
    content = [words(rng, beats, config.stream_bits) for _, beats in where]
    for address, (i, n) in last.items():  # where runs overlap, the last one counts for all
        for j, (begin, beats) in enumerate(where):
            if begin <= address < begin + beats:
                content[j][address - begin] = content[i][n]
    writes = Work(writes=[(a, data) for (a, _), data in zip(where, content, strict=True)])
    bench = Bench(config, behaviour, pauses=pauses, seed=seed)
    check(bench, [writes, Work(reads=where)])


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_reads_and_writes_at_once(config):
    """They go on at the same time, and each gets what it should."""
    rng = random.Random(1)
    low = [(rng.randrange(1000), rng.randrange(1, 100)) for _ in range(5)]
    high = [(2000 + 200 * n + rng.randrange(60), rng.randrange(1, 100)) for n in range(5)]
    both = Work(low, [(a, words(rng, n, config.stream_bits)) for a, n in high])
    bench = Bench(config, BEHAVIOURS["pauses"], pauses=0.2)
    (done, _) = check(bench, [both, Work(reads=high)])
    assert done.beats == [(bench.word(a + n), False) for a, beats in low for n in range(beats)]


def test_the_last_beats_of_the_memory_and_the_first():
    for config, address_bits in itertools.product(CONFIGS.values(), (32, 64)):
        config = AxiConfig(
            stream_bits=config.stream_bits, address_bits=address_bits,
            burst_beats=config.burst_beats, bursts=config.bursts,
        )  # fmt: skip
        top = (1 << address_bits - 12) - BEATS * config.stream_bits // 8 // 4096
        reads = [(0, 1), (BEATS - 1, 1), (BEATS - 99, 99), (0, 17)]
        check(Bench(config, page=top), [Work(reads=reads)])


def test_bursts_are_whole_and_aligned():
    bench = Bench(MIDDLE)
    check(bench, [Work(reads=[(250, 40)], writes=[(1023, [1] * 18)])])
    at = functools.partial(on_the_bus, MIDDLE)
    assert bench.slave.read == [(at(250), 6), (at(256), 16), (at(272), 16), (at(288), 2)]
    assert bench.slave.written == [(at(1023), 1), (at(1024), 16), (at(1040), 1)]


def test_a_beat_a_cycle_at_a_latency_of_100():
    """With eight bursts under way, if all are whole."""
    bench = Bench(AxiConfig(stream_bits=128, bursts=8), AxiBehaviour(latency=100))
    (done,) = check(bench, [Work(reads=[(0, 960), (1600, 800)])])
    assert done.arrived[-1] - done.arrived[0] == 1759
    assert bench.slave.most == 8


def test_a_beat_a_cycle_where_runs_begin_anywhere():
    """With sixteen, of which some are short."""
    bench = Bench(MIDDLE, AxiBehaviour(latency=100))
    (done,) = check(bench, [Work(reads=[(5, 500), (1500, 700), (89, 490)])])
    assert done.arrived[-1] - done.arrived[0] == 1689


def test_bursts_of_256_beats_at_a_latency_of_200():
    bench = Bench(LONG, AxiBehaviour(latency=200))
    (done,) = check(bench, [Work(reads=[(0, 4000)])])
    assert done.arrived[-1] - done.arrived[0] == 3999


def test_the_first_beat_comes_soon():
    """Four cycles to the bus's address, and those of the reader behind it."""
    bench = Bench(MIDDLE, AxiBehaviour(latency=1))
    (done,) = check(bench, [Work(reads=[(0, 1)])])
    assert done.arrived[0] - 1 == 3 + 1 + reader.AxiReader.LATENCY


def test_short_runs_follow_each_other_every_three_cycles():
    bench = Bench(MIDDLE)
    (done,) = check(bench, [Work(reads=[(16 * n, 1) for n in range(50)])])
    assert done.arrived[-1] - done.arrived[0] == 3 * 49


def test_writing_takes_two_cycles_a_burst_more():
    bench = Bench(MIDDLE, AxiBehaviour(latency=50))
    (done,) = check(bench, [Work(writes=[(0, [3] * 640)])])
    assert done.sent[-1] - done.sent[0] == 640 - 1 + 39 * 2


def test_nobody_takes_what_was_read():
    """No more is asked for than there is room for."""
    bench = Bench(MIDDLE)

    async def script(bench: Bench, ctx):
        done = await bench.watch(ctx, Work(reads=[(0, 300)]), 400, taking=False)
        assert done.beats == []
        assert sum(beats for _, beats in bench.slave.read) == MIDDLE.depth
        done = await bench.do(ctx, Work(), begun=300)
        assert done.beats == [(bench.word(n), False) for n in range(300)]

    bench.run(script)


@settings(max_examples=15)
@given(data=st.data())
def test_refused_beats_say_so(data):
    config = data.draw(st.sampled_from([NARROW, MIDDLE]))
    where = data.draw(runs(60))
    bad = data.draw(st.sets(st.sampled_from([a + n for a, k in where for n in range(k)])))
    refuses = {on_the_bus(config, beat) for beat in bad}
    bench = Bench(config, AxiBehaviour(latency=3, pauses=0.2, refuses=refuses), pauses=0.2)

    async def script(bench: Bench, ctx):
        done = await bench.do(ctx, Work(reads=where))
        places = [a + n for a, beats in where for n in range(beats)]
        for place, (word, failed) in zip(places, done.beats, strict=True):
            assert failed == (place in bad)
            assert failed or word == bench.word(place)

    bench.run(script)


def test_refused_writes_say_so():
    """Once for each burst; the others are written."""
    refuses = {on_the_bus(MIDDLE, beat) for beat in (35, 36, 70)}
    bench = Bench(MIDDLE, AxiBehaviour(latency=5, pauses=0.3, refuses=refuses))

    async def script(bench: Bench, ctx):
        before = [bench.word(n) for n in range(200)]
        content = words(random.Random(3), 100, 128)
        done = await bench.do(ctx, Work(writes=[(10, content)]))
        assert done.failed == 2
        refused = {*range(32, 48), *range(64, 80)}
        for n in range(200):
            new = 10 <= n < 110 and n not in refused
            assert bench.word(n) == (content[n - 10] if new else before[n])
        assert (await bench.do(ctx, Work(writes=[(0, [1, 2])]))).failed == 0

    bench.run(script)


@pytest.mark.parametrize("at", [0, 7, 14])
def test_an_early_last_fails_all_that_follows(at):
    """The count goes on, so every beat comes, and none of them is believed until idle."""
    early = AxiBehaviour(marks=lambda number, beats: (beats, at if number == 1 else beats - 1))
    bench = Bench(MIDDLE, early)

    async def script(bench: Bench, ctx):
        done = await bench.do(ctx, Work(reads=[(0, 64)]))
        assert [failed for _, failed in done.beats] == [n >= 16 + at for n in range(64)]
        done = await bench.do(ctx, Work(reads=[(0, 64)]))
        assert done.beats == [(bench.word(n), False) for n in range(64)]

    bench.run(script)


def test_a_last_that_does_not_come_fails_all_that_follows():
    never = AxiBehaviour(marks=lambda number, beats: (beats, beats - 1 if number != 1 else -1))
    bench = Bench(MIDDLE, never)

    async def script(bench: Bench, ctx):
        done = await bench.do(ctx, Work(reads=[(0, 64)]))
        assert [failed for _, failed in done.beats] == [n >= 31 for n in range(64)]
        done = await bench.do(ctx, Work(reads=[(0, 64)]))
        assert not any(failed for _, failed in done.beats)

    bench.run(script)


def test_a_beat_too_many_fails_all_that_follows():
    """Beats that take the place of others are failed; what comes when all have come is dropped."""
    more = AxiBehaviour(marks=lambda n, beats: (beats + 1, beats) if n == 1 else (beats, beats - 1))
    bench = Bench(MIDDLE, more)
    failures = []

    async def script(bench: Bench, ctx):
        bench._give(Work(reads=[(0, 64)]))
        for _ in range(200):
            await bench._step(ctx)
        failures.extend(beat.failed for beat in bench.beats.beats)
        done = await bench.do(ctx, Work(reads=[(100, 64)]))
        assert done.beats == [(bench.word(100 + n), False) for n in range(64)]

    bench.run(script)
    assert failures == [n >= 31 for n in range(64)]


def test_a_burst_cut_short_never_ends():
    """What is missing cannot be made up; no beat after it is believed."""
    short = AxiBehaviour(marks=lambda number, beats: (5, 4) if number == 1 else (beats, beats - 1))
    bench = Bench(MIDDLE, short)

    async def script(bench: Bench, ctx):
        done = await bench.watch(ctx, Work(reads=[(0, 64)]), 400)
        assert [failed for _, failed in done.beats] == [n >= 20 for n in range(64 - 11)]

    bench.run(script)


def test_an_answer_that_nothing_asked_for_is_dropped():
    bench = Bench(MIDDLE)

    async def script(bench: Bench, ctx):
        reads, writes = bench.dut.reads, bench.dut.writes
        for valid in (1, 0):
            ctx.set(reads.rvalid, valid)
            ctx.set(writes.bvalid, valid)
            ctx.set(writes.bresp, 0)
            await ctx.tick().repeat(3)
        assert ctx.get(bench.port.idle)
        assert not ctx.get(bench.port.beats.valid)
        done = await bench.do(ctx, Work(reads=[(3, 40)]))
        assert done.beats == [(bench.word(3 + n), False) for n in range(40)]
        await bench.do(ctx, Work(writes=[(0, list(range(400)))]))
        done = await bench.do(ctx, Work(reads=[(0, 400)]))
        assert done.beats == [(n, False) for n in range(400)]

    bench.run(script)


@pytest.mark.parametrize(
    ("config", "behaviour"),
    [(MIDDLE, "prompt"), (NARROW, "prompt"), (MIDDLE, "late"), (NARROW, "pauses")],
    ids=["prompt", "prompt-narrow", "late", "pauses-narrow"],
)
def test_an_abort_in_any_cycle(config, behaviour):
    """All is over then, what was not taken is not written, and the next work is done."""
    rng = random.Random(5)
    bench = Bench(config, BEHAVIOURS[behaviour], pauses=0.1)

    async def script(bench: Bench, ctx):
        for cycles in [*range(32), 45, 60, 80]:
            content = words(rng, 40, config.stream_bits)
            before = [bench.word(1000 + n) for n in range(60)]
            work = Work(reads=[(rng.randrange(500), 23), (7, 30)], writes=[(1005, content)])
            done = await bench.abort(ctx, work, cycles)
            first = work.reads[0][0]
            places = [first + n for n in range(23)] + [7 + n for n in range(30)]
            want = [(bench.word(place), False) for place in places]
            assert done.beats == want[: len(done.beats)]
            assert done.failed == 0
            after = [bench.word(1000 + n) for n in range(60)]
            written = done.taken
            assert after[5 : 5 + written] == content[:written]
            assert after[:5] == before[:5]
            assert after[5 + written :] == before[5 + written :]
            done = await bench.do(ctx, Work(reads=[(1000, 20)]))
            assert done.beats == [(bench.word(1000 + n), False) for n in range(20)]

    bench.run(script)


def test_an_abort_leaves_no_failure_behind():
    """Beats that a broken bus brings during an abort are dropped with all others."""
    early = AxiBehaviour(latency=20, marks=lambda n, beats: (beats, 3 if n < 4 else beats - 1))
    bench = Bench(MIDDLE, early)

    async def script(bench: Bench, ctx):
        await bench.abort(ctx, Work(reads=[(0, 64)]), 30)
        done = await bench.do(ctx, Work(reads=[(0, 64)]))
        assert done.beats == [(bench.word(n), False) for n in range(64)]

    bench.run(script)


@pytest.mark.parametrize(
    "behaviour", [AxiBehaviour(mute=True), AxiBehaviour(deaf=True)], ids=["mute", "deaf"]
)
def test_a_memory_that_never_answers(behaviour):
    """Idle never comes, not even by an abort, and no more is asked for than there is room for."""
    bench = Bench(MIDDLE, behaviour)

    async def script(bench: Bench, ctx):
        work = Work(reads=[(0, 1000)], writes=[(0, [0] * 1000)])
        done = await bench.watch(ctx, work, 400)
        assert done.beats == []
        assert bench.slave.most == (0 if behaviour.deaf else MIDDLE.bursts)
        with pytest.raises(TimeoutError):
            await bench.abort(ctx, work, 0)

    bench.run(script)


async def everything(bench: Bench, ctx):
    """Do a little of all that is tested above."""
    content = words(random.Random(1), 40, 32)
    await bench.do(ctx, Work(writes=[(1021, content[:14]), (30, content[14:25]), (3, [7])]))
    assert [bench.word(1021 + n) for n in range(14)] == content[:14]
    assert [bench.word(30 + n) for n in range(11)] == content[14:25]
    where = [(1020, 17), *((5 * n, 1) for n in range(9)), (27, 15)]
    done = await bench.do(ctx, Work(reads=where))
    assert done.beats == [(bench.word(a + n), False) for a, beats in where for n in range(beats)]

    done = await bench.watch(ctx, Work(reads=[(0, 40)]), 80, taking=False)
    assert done.beats == []
    done = await bench.do(ctx, Work(), begun=40)
    assert done.beats == [(bench.word(n), False) for n in range(40)]

    bench.pauses = 0.7
    done = await bench.do(ctx, Work(reads=[(0, 60)]))
    assert done.beats == [(bench.word(n), False) for n in range(60)]
    bench.pauses = 0.0

    done = await bench.do(ctx, Work(reads=[(BAD - 5, 9)], writes=[(BAD - 5, content[:9])]))
    assert [failed for _, failed in done.beats] == [n == 5 for n in range(9)]
    assert done.failed == 1

    number = len(bench.slave.read)
    bench.odd = number + 1
    done = await bench.do(ctx, Work(reads=[(0, 12)]))
    assert [failed for _, failed in done.beats] == [n >= 5 for n in range(12)]
    done = await bench.do(ctx, Work(reads=[(0, 12)]))
    assert done.beats == [(bench.word(n), False) for n in range(12)]

    for valid in (1, 0):
        ctx.set(bench.dut.reads.rvalid, valid)
        ctx.set(bench.dut.writes.bvalid, valid)
        await ctx.tick().repeat(3)
    for cycles in (1, 2, 3, 4, 6, 8, 11, 15):
        before = [bench.word(100 + n) for n in range(20)]
        work = Work(reads=[(400, 21), (7, 30)], writes=[(101, content[:17])])
        done = await bench.abort(ctx, work, cycles)
        after = [bench.word(100 + n) for n in range(20)]
        taken = done.taken
        assert after == [before[0], *content[:taken], *before[taken + 1 :]]
        content = content[1:] + content[:1]
        done = await bench.do(ctx, Work(reads=[(99, 5)]))
        assert done.beats == [(bench.word(99 + n), False) for n in range(5)]


BAD = 800

MISTAKES = [
    (bursts, "BurstCutter", "last.eq(left[low:] == 0)", "last.eq(left[low:] == 1)"),
    (bursts, "BurstCutter", "cfg.burst_beats - 1) - below", "cfg.burst_beats - 1)"),
    (bursts, "BurstCutter", "above.eq(above + 1), below.eq(0)", "above.eq(above + 1)"),
    (bursts, "BurstCutter", "upper = placed | (below == 0)", "upper = placed"),
    (bursts, "BurstCutter", "self.room & free.any() &", "self.room &"),
    (bursts, "BurstCutter", "self.room & free.any() &", "free.any() &"),
    (bursts, "BurstCutter", "~self.o.valid & ~self.abort", "~self.abort"),
    (bursts, "BurstCutter", "~self.o.valid & ~self.abort", "~self.o.valid"),
    (bursts, "BurstCutter", "m.If(self.abort | (begin & last))", "m.If(begin & last)"),
    (bursts, "BurstCutter", "~(active | self.abort)", "~active"),
    (bursts, "BurstCutter", "~(active | take | self.o.valid)", "~(active | self.o.valid)"),
    (bursts, "BurstCutter", "self.base + address", "self.base | address"),
    (bursts, "BurstCutter", "ends.eq(self.ended & ~nothing)", "ends.eq(self.ended)"),
    (reader, "AxiReader", "failed | wrong | lost", "wrong | lost"),
    (reader, "AxiReader", "failed | wrong | lost", "failed | lost"),
    (reader, "AxiReader", "failed | wrong | lost", "failed | wrong"),
    (reader, "AxiReader", "with m.If(self.idle):", "with m.If(0):"),
    (reader, "AxiReader", "take.eq(came & lengths.o.valid)", "take.eq(came)"),
    (reader, "AxiReader", "self.idle.eq(cutter.idle & free[-1])", "self.idle.eq(cutter.idle)"),
    (reader, "AxiReader", "room.eq(free[cfg.length_bits :].any())", "room.eq(1)"),
    (reader, "AxiReader", "room.eq(free[cfg.length_bits :].any())", "room.eq(free.any())"),
    (reader, "AxiReader", "self.beats.ready | self.abort", "self.beats.ready"),
    (reader, "AxiReader", "buffer.o.valid & ~self.abort", "buffer.o.valid"),
    (writer, "AxiWriter", "strobe.eq(~self.abort)", "strobe.eq(1)"),
    (writer, "AxiWriter", "(self.data.valid | self.abort)", "self.data.valid"),
    (writer, "AxiWriter", "writing & advance & ~self.abort", "writing & advance"),
    (writer, "AxiWriter", "bus.wlast.eq(more == 0)", "bus.wlast.eq(more == 1)"),
    (writer, "AxiWriter", "ended.eq(bus.bvalid)", "ended.eq(bus.wvalid & bus.wready & bus.wlast)"),
    (writer, "AxiWriter", "room.eq(~writing)", "room.eq(1)"),
    (writer, "AxiWriter", "refused(bus.bresp)", "0"),
]


def small(**options) -> Bench:
    """Make a bench for :func:`everything`: an early last beat in the burst of number ``odd``."""
    bench: Bench

    def marks(number: int, beats: int) -> tuple[int, int]:
        return beats, 1 if number == bench.odd else beats - 1

    behaviour = AxiBehaviour(latency=9, refuses={on_the_bus(NARROW, BAD)}, marks=marks)
    bench = Bench(NARROW, behaviour, patience=400, **options)
    return bench


def test_everything():
    small().run(everything)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake[2]} -> {mistake[3]}")
def test_a_mistake_is_found(mistake, mutant, monkeypatch):
    module, name, right, wrong = mistake
    changed = mutant(module, name, right, wrong)
    for user in (reader, writer, memory):
        if hasattr(user, name):
            monkeypatch.setattr(user, name, changed)
    with pytest.raises((AssertionError, TimeoutError)):
        small().run(everything)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"stream_bits": 96}, "stream_bits must be a power of two, not 96"),
        ({"stream_bits": 16}, "stream_bits must be 32 to 512, not 16"),
        ({"stream_bits": 64, "address_bits": 40}, "address_bits must be 32 or 64, not 40"),
        ({"stream_bits": 64, "burst_beats": 12}, "burst_beats must be a power of two, not 12"),
        ({"stream_bits": 64, "bursts": 1}, "bursts must be 2 to 64, not 1"),
        ({"stream_bits": 512, "burst_beats": 128}, "burst_beats must be at most 64 where"),
    ],
)
def test_what_is_refused(fields, text):
    with pytest.raises(ConfigError, match=text):
        AxiConfig(**fields)
