import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.golden.arithmetic import accumulate
from summand.isa import EngineConfig
from summand.isa.latencies import RESULT_LATENCY, SUM_DELAY
from summand.rtl.accumulator import Accumulators
from summand.stimulus.values import signed_values
from summand.testing.streams import trace

CONFIGS = [
    EngineConfig(rows=2, cols=4, depth=8, stream_bits=32, act_bits=4, acc_bits=16, acc_depth=16),
    EngineConfig(rows=3, cols=1, depth=32, stream_bits=32, acc_bits=32, acc_depth=32, shift=4),
    EngineConfig(cols=2, depth=16, stream_bits=32, acc_bits=21, acc_depth=16, shift=1),
    EngineConfig(cols=2, depth=16, stream_bits=32, acc_bits=22, acc_depth=16, border_shift=1),
    EngineConfig(
        cols=1, depth=32, stream_bits=32, acc_bits=31, acc_depth=16, shift=3, border_shift=6
    ),
]


class Model:
    """Accumulators that take an order a cycle and answer at once."""

    def __init__(self, config):
        self.config = config
        self.acc = np.zeros((config.acc_depth, config.cols), np.int64)

    def order(self, order, sums):
        if order.get("add"):
            self.acc[order["tile"]] = accumulate(
                self.acc[order["tile"]],
                sums,
                clear=bool(order["clear"]),
                shift=self.config.shift if order["shift"] else order.get("border", 0),
                acc_bits=self.config.acc_bits,
            )
        if order.get("drain") and order["drain_row"] == 0:
            return self.acc[order["tile"]].tolist()
        return None


def check(config, orders, rng):
    """Run ``orders``, one a cycle, and compare every cycle's result with the model's."""
    model = Model(config)
    late = SUM_DELAY
    sums = signed_values(rng, config.slice_sum_bits, len(orders) * config.cols)
    sums = sums.reshape(len(orders), config.cols)
    inputs = [{"order": o} for o in [*orders, *[{}] * Accumulators.DISTANCE]]
    noise = signed_values(rng, config.slice_sum_bits, late * config.cols).reshape(late, -1)
    for cycle, values in enumerate([*noise, *sums][: len(inputs)]):
        inputs[cycle]["sum"] = values.tolist()
    rows = trace(Accumulators(config), inputs, ["result"])[RESULT_LATENCY:]
    for cycle, (order, row) in enumerate(zip(orders, rows, strict=False)):
        want = model.order(order, sums[cycle])
        got = row[0]
        assert got.valid == (want is not None), cycle
        assert list(got.acc) == (want or [0] * config.cols), cycle


def random_orders(config, rng, count, tiles):
    """Return orders that keep the distance, with random flags where these are ignored."""
    free_at = np.zeros(config.acc_depth, int)
    orders = []
    for cycle in range(count):
        tile = int(rng.integers(0, tiles))
        flags = {name: int(rng.random() < 0.3) for name in ("clear", "shift")}
        order = {"tile": tile, "drain_row": int(rng.random() < 0.3) % config.rows, **flags}
        if config.border_shift and not order["shift"]:
            order["border"] = int(rng.integers(config.border_shift + 1))
        kind = rng.random()
        if kind < 0.9 and free_at[tile] <= cycle:
            if kind < 0.6:
                order["add"] = 1
                free_at[tile] = cycle + Accumulators.DISTANCE
            else:
                order["drain"] = 1
        orders.append(order)
    return orders


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.acc_bits}shift{c.shift}")
@pytest.mark.parametrize("tiles", [4, 16])
def test_random_orders_match_the_golden_accumulation(config, tiles):
    rng = np.random.default_rng(tiles)
    check(config, random_orders(config, rng, 600, tiles), rng)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.acc_bits}shift{c.shift}")
def test_one_tile_again_and_again_at_the_distance(config):
    """An addition reads the sum written ``DISTANCE`` cycles before; no cycle is idle."""
    rng = np.random.default_rng(1)
    tiles = range(Accumulators.DISTANCE)
    add = {"add": 1, "clear": 0, "shift": 0}
    orders = [{**add, "tile": t, "clear": 1} for t in tiles]
    orders += [{**add, "tile": t, "shift": n % 2} for n in range(40) for t in tiles]
    orders += [{"drain": 1, "drain_row": 0, "tile": t} for t in tiles]
    check(config, orders, rng)


@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[2]], ids=["16bit", "21bit"])
def test_sums_wrap(config):
    """The largest sums, and the smallest, carry an accumulator around."""
    top = (1 << config.slice_sum_bits - 1) - 1
    count = (2 << config.acc_bits - config.slice_sum_bits) + 3
    for value in (top, -top - 1):
        each = [{"sum": [value] * config.cols}] * Accumulators.DISTANCE
        inputs = [{**cycle, "order": {"add": n == 0, "tile": 3}} for n, cycle in enumerate(each)]
        drain = [{"order": {"drain": 1, "tile": 3}}, *[{}] * RESULT_LATENCY]
        got = trace(Accumulators(config), inputs * count + drain, ["result"])[-1][0]
        want = accumulate(
            np.zeros(1, np.int64),
            np.array([count * value]),
            clear=False,
            shift=0,
            acc_bits=config.acc_bits,
        )
        assert list(got.acc) == want.tolist() * config.cols


def test_shift_drops_what_leaves_the_top():
    config = EngineConfig(cols=1, depth=32, stream_bits=32, acc_bits=21, acc_depth=16, shift=8)
    add = {"add": 1, "tile": 0}
    gap = [{"sum": [0]}] * (Accumulators.DISTANCE - 1)
    value = 0xF0F1
    start = [{"order": {**add, "clear": 1}, "sum": [0]}, *gap]
    start[SUM_DELAY] = {"sum": [value]}
    shifts = [{"order": {**add, "shift": 1}, "sum": [0]}, *gap] * 2
    drain = [{"order": {"drain": 1, "tile": 0}}, *[{}] * RESULT_LATENCY]
    got = trace(Accumulators(config), [*start, *shifts, *drain], ["result"])[-1][0]
    want = accumulate(np.array([value]), np.zeros(1, np.int64), clear=False, shift=16, acc_bits=21)
    assert list(got.acc) == want.tolist()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), tiles=st.integers(1, 16), config=st.sampled_from(CONFIGS))
def test_any_orders_match(seed, tiles, config):
    rng = np.random.default_rng(seed)
    check(config, random_orders(config, rng, 60, tiles), rng)
