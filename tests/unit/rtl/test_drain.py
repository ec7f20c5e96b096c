import dataclasses
import random
from collections import deque

import pytest

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.latencies import RESULT_LATENCY, SUM_DELAY
from summand.isa.structure import drain_room
from summand.rtl.drain import Drain
from summand.testing.streams import FLOWING, STALLS, Sink, simulate

CONFIG = EngineConfig(rows=4, cols=2, depth=16, stream_bits=32, acc_depth=16)
SINGLE = EngineConfig(rows=1, cols=4, depth=8, stream_bits=32, acc_depth=32)


def trip(config, row):
    """Return the cycles from a grant to the result of ``row``: at least the engine's."""
    there = 2 + (row + 1) + element(config).latency - SUM_DELAY
    return there + RESULT_LATENCY + row + 2


def contents(config, row, tile):
    """Return a model row's accumulators in a tile."""
    return [(row << 10 | tile << 4 | c) - (1 << 9) for c in range(config.cols)]


class Orders:
    """Runs orders of (first tile, tiles, rows) with model rows that answer a trip later."""

    def __init__(self, config, orders, *, p_grant=1.0, stalls=FLOWING, seed=0, hold=0):
        self.config = config
        self.dut = Drain(config)
        self.orders = orders
        self.rng = random.Random(f"{seed} grants")
        self.p_grant = p_grant
        self.sink = Sink(self.dut.o, p_stall=stalls.o, shy=stalls.shy, seed=seed)
        self.hold = hold
        #: Cycle and place of each read; the most tiles that were on their way or in the FIFO.
        self.reads: list[tuple[int, int, int]] = []
        self.most = 0
        simulate(self.dut, self._bench)

    async def _bench(self, ctx):
        dut, cycle = self.dut, 0
        results: deque[tuple[int, list[int]]] = deque()
        wanted = granted = 0
        asked = False  # in the cycle before: its place is there now
        for tile, tiles, rows in self.orders:
            wanted += tiles * rows
            order = {"tile": tile, "tiles": tiles, "rows": rows, "reads": tiles * rows}
            ctx.set(dut.orders.order, order)
            await ctx.tick()
            cycle += 1
            ctx.set(dut.orders.start, 1)
            for _ in range(4000):
                due = results.popleft()[1] if results and results[0][0] == cycle else None
                idle = {"valid": 0, "acc": [0] * self.config.cols}
                ctx.set(dut.result, idle if due is None else {"valid": 1, "acc": due})
                if cycle >= self.hold:
                    self.sink.before(ctx)
                request = ctx.get(dut.slots.request)  # may not depend on the grant
                grant = bool(request) and self.rng.random() < self.p_grant
                ctx.set(dut.slots.grant, grant)
                _, _, at, row, reading, *out = await ctx.tick().sample(
                    dut.slots.tile, dut.slots.row, dut.orders.reading, *self.sink.signals
                )
                if cycle >= self.hold:
                    self.sink.after(cycle, out)
                if asked:
                    self.reads.append((cycle - 1, at, row))
                    answer = contents(self.config, row, at)
                    results.append((cycle - 1 + trip(self.config, row), answer))
                assert reading or not grant
                asked = grant
                granted += grant
                self.most = max(self.most, granted - len(self.sink.beats))
                ctx.set(dut.orders.start, 0)
                ctx.set(dut.orders.order, dict.fromkeys(order, 0))
                cycle += 1
                if len(self.sink.beats) == wanted:
                    assert not ctx.get(dut.orders.reading)
                    assert not ctx.get(dut.slots.request)
                    assert not ctx.get(dut.o.valid)
                    break
            else:
                raise TimeoutError(f"{len(self.sink.beats)} of {wanted} tiles")


def places(orders):
    return [
        (row, at, at == tile + tiles - 1, (row, at) == (rows - 1, tile + tiles - 1))
        for tile, tiles, rows in orders
        for row in range(rows)
        for at in range(tile, tile + tiles)
    ]


def check(config, got, orders):
    want = places(orders)
    assert [(row, at) for _, at, row in got.reads] == [p[:2] for p in want]
    assert [(list(b.acc), bool(b.row_ends), bool(b.final)) for b in got.sink.beats] == [
        (contents(config, row, at), ends, final) for row, at, ends, final in want
    ]
    assert got.most <= drain_room(config)


@pytest.mark.parametrize("config", [CONFIG, SINGLE], ids=["rows", "single"])
@pytest.mark.parametrize("stalls", STALLS, ids=str)
@pytest.mark.parametrize("p_grant", [1.0, 0.3])
def test_tiles_come_back_in_order(config, stalls, p_grant):
    """Grants withheld at random, the output stalled at random: no tile is lost or changed."""
    depth, rows = config.acc_depth, config.rows
    orders = [(0, depth, rows), (depth - 1, 1, 1), (3, 5, rows), (0, 1, rows), (2, 2, 1)]
    got = Orders(config, orders, p_grant=p_grant, stalls=stalls, seed=2)
    check(config, got, orders)


@pytest.mark.parametrize("config", [CONFIG, SINGLE], ids=["rows", "single"])
def test_reads_stop_when_there_is_no_room(config):
    """While the output takes no tile, reads stop when the FIFO's room is used up."""
    orders = [(0, 16, config.rows), (0, config.acc_depth, 1)]
    got = Orders(config, orders, hold=200)
    room = drain_room(config)
    before = [cycle for cycle, _, _ in got.reads if cycle < 200]
    assert len(before) == min(room, 16 * config.rows)
    check(config, got, orders)


@pytest.mark.parametrize("config", [CONFIG, SINGLE], ids=["rows", "single"])
def test_room_covers_the_longest_trip(config):
    """If every slot is granted and every tile taken, a row's tiles leave without a gap."""
    orders = [(0, config.acc_depth, config.rows)]
    got = Orders(config, orders)
    check(config, got, orders)
    cycles = [cycle for cycle, _, _ in got.reads]
    assert cycles == list(range(cycles[0], cycles[0] + len(cycles)))
    assert got.most < drain_room(config)


@pytest.mark.parametrize(("digit_bits", "rest"), [(0, 0), (2, 0), (4, 1)])
def test_the_first_slot_is_asked_for_when_the_words_before_have_been_added(digit_bits, rest):
    config = dataclasses.replace(CONFIG, digit_bits=digit_bits)
    got = Orders(config, [(3, 2, 1)])
    check(config, got, [(3, 2, 1)])
    assert [cycle for cycle, _, _ in got.reads] == [2 + rest, 3 + rest]
