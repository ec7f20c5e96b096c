import random
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import ConfigError
from summand.rtl.memory.native import NativeMemory, NativePort
from summand.rtl.memory.native_reads import NativeReads
from summand.testing.streams import FLOWING, STALLS, Sink, Source, Stalls, simulate

from .native_port import NativeModel, Pace

ADDRESS_BITS = 9
WORD_BITS = 8
#: Of LiteDRAM with a DDR3 memory at half rate: a word every second cycle, refreshes.
DDR3 = Pace(cycles=2, read=20, write=8, period=585, gap=38)
PACES = (Pace(), DDR3, Pace(read=9, write=1, period=50, gap=20, p_refuse=0.5))


class Pending:
    """What a source has yet to send; more can be added while it sends."""

    def __init__(self):
        self.queue: deque = deque()

    def __iter__(self):
        return self

    def __next__(self):
        if not self.queue:
            raise StopIteration
        return self.queue.popleft()


class Trial:
    """A :class:`NativeMemory`, its controller's model, and users of its four streams."""

    def __init__(self, *, words=1, pace=DDR3, stalls=FLOWING, seed=0):
        self.words = words
        native = NativePort(address_bits=ADDRESS_BITS, word_bits=WORD_BITS)
        self.dut = NativeMemory(stream_bits=WORD_BITS * words, native=native)
        self.model = NativeModel(self.dut.native, pace, seed=seed)
        self.rng = random.Random(seed)
        self.stalls, self.seed = stalls, seed
        self.cycle = 0
        #: Whether the memory was idle in the last cycle.
        self.idle = True
        self.users()

    def users(self):
        """Begin anew with empty queues."""
        port, stalls, seed = self.dut.port, self.stalls, self.seed
        self.to_read, self.to_write, self.data = Pending(), Pending(), Pending()
        self.reads = Source(port.reads, self.to_read, p_stall=stalls.i, seed=seed)
        self.writes = Source(port.writes, self.to_write, p_stall=stalls.i, seed=seed + 1)
        self.source = Source(port.data, self.data, p_stall=stalls.i, seed=seed + 2)
        self.sink = Sink(port.beats, p_stall=stalls.o, shy=stalls.shy, seed=seed)

    def beat(self, address):
        """Return a beat as it is in the memory."""
        places = range(address * self.words, (address + 1) * self.words)
        return sum(self.model.word(p) << n * WORD_BITS for n, p in enumerate(places))

    def read(self, address, beats):
        """Ask for a run; return what it must bring."""
        self.to_read.queue.append({"address": address, "beats": beats})
        return [self.beat(address + n) for n in range(beats)]

    def write(self, address, beats):
        """Ask to write a run of random beats; return them."""
        self.to_write.queue.append({"address": address, "beats": beats})
        run = [self.rng.getrandbits(WORD_BITS * self.words) for _ in range(beats)]
        self.data.queue += run
        return run

    async def step(self, ctx, *, abort=False):
        """Simulate a cycle; with ``abort``, take nothing, and check that nothing is offered."""
        port, ends = self.dut.port, (self.reads, self.writes, self.source, self.sink, self.model)
        ctx.set(port.abort, abort)
        for end in ends:
            end.before(ctx)
        if abort:
            ctx.set(port.beats.ready, 0)
        watched = [signal for end in ends for signal in end.signals]
        _, _, idle, failed, *sampled = await ctx.tick().sample(port.idle, port.failed, *watched)
        self.idle = idle
        assert not failed
        for end in ends:
            its = [sampled.pop(0) for _ in end.signals]
            if end is self.model:
                end.after(self.cycle, its)
            elif abort:
                assert its[0] == 0, f"{end} moves in cycle {self.cycle} of an abort"
            else:
                end.after(self.cycle, its)
        self.cycle += 1

    async def settle(self, ctx, *, abort=False, limit=5000):
        """Simulate until the memory is idle and everything has been sent."""
        for _ in range(limit):
            left = self.offering or any(p.queue for p in (self.to_read, self.to_write, self.data))
            await self.step(ctx, abort=abort)
            if self.idle and (abort or not left):
                return
        raise TimeoutError(f"not idle after {limit} cycles")

    @property
    def offering(self):
        return any(s._valid for s in (self.reads, self.writes, self.source))

    def taken(self):
        """Return the values of the beats that came, none of them refused."""
        assert not any(beat.failed for beat in self.sink.beats)
        return [beat.data for beat in self.sink.beats]


def play(trial, script):
    """Run ``script(ctx)`` on a trial's memory."""
    simulate(trial.dut, script)


@pytest.mark.parametrize("words", [1, 8])
@pytest.mark.parametrize("stalls", STALLS, ids=str)
@pytest.mark.parametrize("pace", PACES[1:], ids=["ddr3", "refusing"])
def test_what_was_written_is_read(words, stalls, pace):
    trial = Trial(words=words, pace=pace, stalls=stalls)

    async def script(ctx):
        want = []
        for address, beats in ((0, 1), (7, 20), (3, 2), ((1 << ADDRESS_BITS) // words - 9, 9)):
            want += trial.write(address, beats)
        await trial.settle(ctx)
        # Idle means that all of it can be read, the last beat, which is the last word's, too.
        assert trial.beat((1 << ADDRESS_BITS) // words - 1) == want[-1]
        assert trial.read(0, 1) == want[:1]
        trial.read(7, 20)
        trial.read(3, 2)
        trial.read((1 << ADDRESS_BITS) // words - 9, 9)
        await trial.settle(ctx)
        assert trial.taken() == want

    play(trial, script)


Runs = st.lists(st.tuples(st.integers(0, 63), st.integers(1, 12)), min_size=1, max_size=3)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    words=st.sampled_from([1, 2, 4]),
    pace=st.builds(
        Pace,
        cycles=st.integers(1, 3),
        read=st.integers(5, 40),
        write=st.integers(1, 4),
        period=st.just(90),
        gap=st.integers(0, 60),
        p_refuse=st.sampled_from([0, 0.4]),
    ),
    stalls=st.builds(
        Stalls, i=st.sampled_from([0, 0.6]), o=st.sampled_from([0, 0.6]), shy=st.booleans()
    ),
    rounds=st.lists(st.tuples(Runs, Runs), min_size=1, max_size=2),
)
def test_reads_see_what_was_written_before_and_writes_beside_them_disturb_none(
    seed, words, pace, stalls, rounds
):
    """Each round reads from one half of the memory while it writes the other, then turns."""
    trial = Trial(words=words, pace=pace, stalls=stalls, seed=seed)
    half = (1 << ADDRESS_BITS) // words // 2

    async def script(ctx):
        for turn, (reads, writes) in enumerate(rounds):
            trial.users()
            source, target = (turn % 2) * half, (1 - turn % 2) * half
            size = min(half, 64)
            want, expected = [], {}
            for begin, beats in reads:
                want += trial.read(source + begin % size, min(beats, size - begin % size))
            for begin, beats in writes:
                begin, beats = begin % size, min(beats, size - begin % size)
                written = trial.write(target + begin, beats)
                expected |= {target + begin + n: beat for n, beat in enumerate(written)}
            await trial.settle(ctx)
            assert trial.taken() == want
            assert {address: trial.beat(address) for address in expected} == expected

    play(trial, script)


@pytest.mark.parametrize(("words", "first"), [(1, 0), (4, 1), (4, 2), (1, 3)])
@pytest.mark.parametrize("stalls", [FLOWING, Stalls(i=0.3, o=0.6)], ids=str)
@pytest.mark.parametrize("pace", PACES[:2], ids=["even", "ddr3"])
def test_abort_in_any_cycle(words, first, stalls, pace):
    """Nothing moves, idle comes, beats that were not taken are not written, and all goes on."""
    trial = Trial(words=words, pace=pace, stalls=stalls)

    async def script(ctx):
        for cycle in range(first, 70, 4):
            trial.users()
            before = {n: trial.beat(n) for n in range(40, 52)}
            want = trial.read(5, 12) + trial.read(0, 3)
            written = trial.write(40, 12)
            for _ in range(cycle):
                await trial.step(ctx)
            taken = len(trial.source.sent)
            got = len(trial.sink.beats)
            await trial.settle(ctx, abort=True, limit=300)
            assert trial.taken() == want[:got]
            expected = written[:taken] + list(before.values())[taken:]
            assert [trial.beat(40 + n) for n in range(12)] == expected
            trial.users()
            want = trial.read(10, 4)
            await trial.settle(ctx)
            assert trial.taken() == want

    play(trial, script)


def test_idle_falls_with_the_run_and_rises_with_the_last_beat():
    trial = Trial(pace=Pace())

    async def script(ctx):
        await trial.step(ctx)
        assert trial.idle
        trial.read(0, 3)
        await trial.step(ctx)
        assert trial.reads.sent == [1]
        await trial.step(ctx)
        assert not trial.idle
        await trial.settle(ctx)
        assert trial.cycle == trial.sink.arrived[-1] + 2  # idle in the cycle after the last beat
        trial.write(0, 1)
        await trial.step(ctx)
        await trial.step(ctx)
        assert not trial.idle
        await trial.settle(ctx)
        assert trial.model.words[0] is not None

    play(trial, script)


@pytest.mark.parametrize(("words", "cycles"), [(1, 1), (1, 2), (2, 2), (8, 1)])
def test_words_are_asked_for_without_pause(words, cycles):
    """Beats come as fast as the controller gives words, 26 cycles after they are asked for."""
    trial = Trial(words=words, pace=Pace(cycles=cycles, read=16))
    beats = 60 // words

    async def script(ctx):
        trial.read(0, beats)
        await trial.settle(ctx)
        arrived = trial.sink.arrived
        step = words * cycles
        assert arrived == [arrived[0] + step * n for n in range(beats)]
        assert arrived[0] == trial.reads.sent[0] + 2 + 1 + 16 + (words - 1) * cycles + 3

    play(trial, script)


def test_no_more_is_asked_for_than_the_buffer_holds():
    trial = Trial(pace=Pace(read=200), stalls=Stalls(o=0.9))

    async def script(ctx):
        want = trial.read(0, 150)
        await trial.settle(ctx)
        assert trial.taken() == want
        assert trial.model.outstanding == NativeReads.DEPTH

    play(trial, script)


@pytest.mark.parametrize("stream_bits", [4, 12, 24])
def test_beats_are_1_2_4_words(stream_bits):
    native = NativePort(address_bits=ADDRESS_BITS, word_bits=WORD_BITS)
    with pytest.raises(ConfigError, match=f"stream_bits is {stream_bits}, a word 8 bits"):
        native.words(stream_bits)
