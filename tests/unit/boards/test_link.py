"""Host and gateware of the link against each other, over lines of every quality."""

import random

import pytest

from summand.boards.link.host import HostLink, LinePace, LinkSilence
from summand.boards.link.link import LinkConfig
from summand.boards.link.protocol import Frame, FrameKind, LinkError
from summand.boards.udp_top import UdpLinkConfig
from summand.isa import ConfigError

SMALL = LinkConfig(receive_bytes=512, transmit_bytes=256, frame_bytes=64)


def _transfer(bench, data, *, chunk=1000, seed=0):
    """Echo ``data`` and check that each byte comes back once, in order."""

    async def scenario(b):
        b.host.open(1 + seed)
        await b.until(lambda: b.host.is_open)
        rng = random.Random(seed)
        rest = memoryview(data)
        while len(rest):
            size = rng.randint(1, chunk)
            b.host.send([rest[:size]])
            rest = rest[size:]
        await b.until(lambda: len(b.host.received) >= len(data))
        await b.until(lambda: b.host.unacknowledged == 0)
        await b.until(lambda end=b.cycle + 3000: b.cycle > end)
        assert bytes(b.host.received) == bytes((x + 1) & 255 for x in data)

    bench.run(scenario)


@pytest.mark.parametrize("config", [SMALL, LinkConfig()])
def test_clean_line_needs_no_repetition(bench, config):
    data = random.Random(1).randbytes(3000)
    b = bench(config, pace=4)
    _transfer(b, data)
    statistics = b.host.statistics
    assert (statistics.repeats_sent, statistics.repeats_asked, statistics.damaged) == (0, 0, 0)
    # 64-byte frames cost 16 bytes more, escapes, and 16 for each answer the other way.
    assert b.cycle < 4 * 1.6 * len(data) + 4000


@pytest.mark.parametrize(
    ("down", "up"),
    [
        ({"flip": 0.003}, {}),
        ({}, {"flip": 0.003}),
        ({"drop": 0.003}, {"drop": 0.003}),
        ({"flip": 0.002, "double": 0.002}, {"drop": 0.002, "double": 0.002}),
        ({"flip": 0.006}, {"flip": 0.006}),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_or_doubled_on_a_bad_line(bench, noise, down, up, seed):
    data = random.Random(seed).randbytes(800)
    to_board, to_host = noise(seed=seed, **down), noise(seed=seed + 100, **up)
    b = bench(SMALL, to_board=to_board, to_host=to_host)
    _transfer(b, data, seed=seed)
    assert to_board.harmed + to_host.harmed > 2


class _OneLoss:
    """Drops the byte after a number of them."""

    def __init__(self, after):
        self._left = after

    def __call__(self, data):
        at, self._left = self._left, self._left - len(data)
        return data[:at] + data[at + 1 :] if 0 <= at < len(data) else data


def test_a_byte_a_cycle_both_ways(bench):
    """But for headers and escapes, on a line as quick as that, in frames as over UDP."""
    b = bench(UdpLinkConfig(), pace=1, frame_bytes=640)
    data = random.Random(1).randbytes(8000)

    async def scenario(b):
        b.host.open(1)
        await b.until(lambda: b.host.is_open)
        b.host.send([data])
        await b.until(lambda: len(b.host.received) > 0)
        start = b.cycle, len(b.host.received)
        await b.until(lambda: len(b.host.received) == len(data))
        cycles, count = b.cycle - start[0], len(data) - start[1]
        assert count / cycles > 0.9

    b.run(scenario)
    assert bytes(b.host.received) == bytes((x + 1) & 255 for x in data)


@pytest.mark.parametrize("after", [100, 217, 333, 471])
def test_one_loss_is_repeated_once(bench, after):
    data = random.Random(6).randbytes(700)
    b = bench(SMALL, to_board=_OneLoss(after))
    _transfer(b, data)
    assert (b.host.statistics.repeats_sent, b.host.statistics.repeats_asked) == (1, 0)
    b = bench(SMALL, to_host=_OneLoss(after))
    _transfer(b, data)
    assert (b.host.statistics.repeats_sent, b.host.statistics.repeats_asked) == (0, 1)
    # No more bytes than had been sent ahead at the request.
    assert b.host.statistics.doubled_bytes <= SMALL.transmit_bytes


def test_losses_at_the_end_are_noticed(bench, noise):
    """Even if no later frame shows them."""

    async def scenario(b):
        b.host.open(3)
        await b.until(lambda: b.host.is_open)
        b.set(b.top.pause, 1)
        b.host.send([bytes(100)])
        await b.until(lambda: not b.host.unsent and not b.host.unacknowledged)
        b.to_host = noise(drop=1.0)
        b.set(b.top.pause, 0)
        await b.until(lambda end=b.cycle + 1500: b.cycle > end)
        b.to_host = noise()
        await b.until(lambda: len(b.host.received) == 100)
        b.to_board = noise(drop=1.0)
        b.host.send([bytes(100)])
        await b.until(lambda end=b.cycle + 1500: b.cycle > end)
        b.to_board = noise()
        await b.until(lambda: len(b.host.received) == 200)

    bench(SMALL).run(scenario)


def _frame(position, payload=b"", **fields):
    common = {"kind": FrameKind.DATA, "session": 5, "position": position, "payload": payload}
    return Frame(**{**common, **fields}).encode()


def test_each_frame_has_its_answer(bench):
    """Sessions, gaps and answers as specified, frame by frame."""
    damaged = _frame(10, bytes(10))[:-5] + b"\x7e"
    steps = [
        # what is sent, then session, gap, accepted of the answer
        (_frame(0, bytes(10)), (0, 0, 0)),  # none is open
        (_frame(0)[:-3] + b"\x7e", None),
        (Frame(kind=FrameKind.OPEN, session=5).encode(), None),
        (_frame(0, bytes(10)), (5, 0, 10)),
        (_frame(0, bytes(10)), (5, 0, 10)),  # a repetition
        (_frame(0, bytes(10), down_round=1), (5, 0, 10)),
        (_frame(20, bytes(10), down_round=1), (5, 1, 10)),  # ahead
        (_frame(0, bytes(10), down_round=1), (5, 1, 10)),
        (_frame(0, bytes(10), down_round=2), (5, 0, 10)),
        (_frame(11, down_round=2), (5, 1, 10)),  # ahead and empty
        (_frame(10, down_round=2), (5, 0, 10)),
        (damaged, (5, 1, 10)),
        (_frame(10, bytes(10), session=6), (5, 1, 10)),
        (_frame(10, bytes(10), kind=FrameKind.HELLO), None),
        (_frame(10, bytes(10)), (5, 0, 20)),
        (_frame(20, bytes(600)), (5, 1, 20)),  # more than there is room for
        (_frame(20, bytes(400)), (5, 0, 420)),
    ]

    async def scenario(b):
        b.set(b.top.pause, 1)
        for line, want in steps:
            got = [f for f in await b.exchange(line) if f and f.kind is FrameKind.DATA]
            seen = [(f.session, f.tag, f.accepted) for f in got]
            assert seen[-1:] == ([] if want is None else [want]), line

    bench(SMALL).run(scenario)


def test_room_is_told_unasked(bench):
    async def scenario(b):
        await b.exchange(Frame(kind=FrameKind.OPEN, session=5).encode())
        b.set(b.top.pause, 1)
        (full,) = await b.exchange(_frame(0, bytes(508)))
        assert (full.accepted, full.limit) == (508, 508)
        b.set(b.top.swallow, 1)
        b.set(b.top.pause, 0)
        answers = await b.exchange(b"", cycles=2500)
        assert answers[-1].limit >= 508 + SMALL.receive_bytes // 4

    bench(SMALL).run(scenario)


def test_bytes_that_need_escapes(bench):
    _transfer(bench(SMALL), bytes([0x7E, 0x7D, 0x7C, 0x5E, 0x5D]) * 100)


def test_a_silent_host_stops_the_board_and_loses_nothing(bench):
    """The board sends its window and waits; a stuck engine stops the host likewise."""
    data = random.Random(3).randbytes(3000)

    async def scenario(b):
        b.host.open(7)
        await b.until(lambda: b.host.is_open)
        b.set(b.top.pause, 1)
        b.host.send([data])
        await b.until(lambda end=b.cycle + 5000: b.cycle > end)
        assert b.host.unsent
        b.set(b.top.pause, 0)
        await b.cycles(5000)
        await b.until(lambda: len(b.host.received) == len(data))
        assert bytes(b.host.received) == bytes((x + 1) & 255 for x in data)

    bench(SMALL).run(scenario)


def test_a_host_that_ignores_the_limit_loses_nothing(bench):
    """Bytes that find no room are sent again."""
    data = random.Random(5).randbytes(2000)

    async def scenario(b):
        b.host.open(7)
        await b.until(lambda: b.host.is_open)
        b.host._limit = 1 << 14
        b.set(b.top.pause, 1)
        b.host.send([data])
        await b.until(lambda end=b.cycle + 4000: b.cycle > end)
        b.set(b.top.pause, 0)
        await b.until(lambda: len(b.host.received) == len(data))
        assert bytes(b.host.received) == bytes((x + 1) & 255 for x in data)
        assert b.host.statistics.repeats_sent

    bench(SMALL).run(scenario)


def test_registers(bench, noise):
    """A write is carried out once, however often it is sent."""

    async def scenario(b):
        b.host.open(9)
        await b.until(lambda: b.host.is_open)
        for n in range(1, 9):
            b.host.request(write=True, offset=0, value=n)
            await b.until(lambda: b.host.answer() is not None)
            b.host.request(write=False, offset=8)
            await b.until(lambda: b.host.answer() is not None)
            assert b.host.answer() == (n << 16) + n + 8
        assert b.host.statistics.damaged
        assert b.host.statistics.frames_sent > 1 + 2 * 8  # some of them again

    bench(SMALL, to_board=noise(flip=0.005, seed=1), to_host=noise(drop=0.02, seed=2)).run(scenario)


def test_a_new_session_forgets_the_old(bench):
    """In the middle of a transfer, both ways, with frames on the line."""
    data = random.Random(4).randbytes(700)

    async def scenario(b):
        for session in range(1, 14):
            b.host.open(session)
            begin = b.cycle
            await b.until(lambda: b.host.is_open)
            assert b.cycle - begin < 1000  # the first HELLO arrived
            assert not b.host.received
            b.host.send([data])
            await b.until(lambda end=b.cycle + 97 * session: b.cycle > end)
        await b.until(lambda: len(b.host.received) >= len(data))
        assert bytes(b.host.received) == bytes((x + 1) & 255 for x in data)

    bench(SMALL).run(scenario)


def test_another_host_is_noticed(bench):
    async def scenario(b):
        b.host.open(1)
        await b.until(lambda: b.host.is_open)
        other = HostLink(LinePace.of_uart(9600))
        other.open(2)
        b.inject(other.transmit(b.now))
        b.host.send([bytes(10)])
        with pytest.raises(LinkError, match="restarted or opened by someone else"):
            await b.until(lambda: False)

    bench(SMALL).run(scenario)


def test_silence_is_an_error():
    host = HostLink(LinePace.of_uart(9600))
    host.open(1)

    def wait():
        for tick in range(1000):
            host.transmit(tick * 0.1)

    with pytest.raises(LinkSilence, match="has not answered for"):
        wait()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("receive_bytes", 100),
        ("transmit_bytes", 1 << 16),
        ("frame_bytes", 0),
        ("frame_bytes", 5000),
    ],
)
def test_bad_sizes_are_refused(field, value):
    with pytest.raises(ConfigError, match=f"{field} must be .*, not {value}"):
        LinkConfig(**{field: value})
