from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.isa.latencies import RESULT_LATENCY, SUM_DELAY
from summand.isa.structure import scaler_latency
from summand.rtl.accumulator import Accumulators
from summand.rtl.activations import Activations
from summand.rtl.elements.tables.step import gray_steps
from summand.rtl.elements.tables.table import TableWriter
from summand.rtl.rows import Rows
from summand.testing.streams import trace

CONFIGS = [
    EngineConfig(rows=3, cols=4, depth=16, stream_bits=32, act_depth=4, acc_depth=16,
                 table_share=2, shift=3),
    EngineConfig(rows=2, cols=1, depth=32, stream_bits=32, act_depth=2, acc_depth=16, act_bits=10,
                 acc_bits=24),
    EngineConfig(rows=1, cols=8, depth=8, stream_bits=64, act_depth=4, acc_depth=16, act_bits=5,
                 acc_bits=20),
    EngineConfig(rows=2, cols=2, depth=16, stream_bits=32, act_depth=4, acc_depth=16, scale_bits=6),
    EngineConfig(rows=2, cols=2, depth=32, stream_bits=32, act_depth=4, acc_depth=16, table_share=4,
                 half_steps=True),
    EngineConfig(rows=2, cols=2, depth=16, stream_bits=32, act_depth=4, acc_depth=16,
                 border_shift=3),
]  # fmt: skip


class Schedule:
    """Tokens by cycle, as the engine's front, loader, walker and drain would send them."""

    def __init__(self, config, rng):
        self.config = config
        self.rng = rng
        self.tokens: dict[int, dict[str, Any]] = defaultdict(dict)
        self.now = 0
        self.stepped = 0  # cycle of the tables' last step

    def load(self, x):
        """Write activations ``[rows, slices * depth]``, a word a cycle."""
        cfg = self.config
        mask = (1 << cfg.elem_bits) - 1
        for row, values in enumerate(x):
            for addr, word in enumerate(values.reshape(-1, cfg.beat_elems)):
                bits = sum((int(v) & mask) << n * cfg.elem_bits for n, v in enumerate(word))
                bits <<= cfg.plane_bits - cfg.stream_bits
                bits |= int(self.rng.integers(0, 2)) * (cfg.plane_bits > cfg.stream_bits)
                order = {"act_write": 1, "act_row": row, "act_addr": addr, "word": bits}
                self.tokens[self.now]["work"] = order
                self.now += 1

    def tables(self, s):
        """Fill the tables with slice ``s``; afterwards the first word may come."""
        cfg = self.config
        per_pass = cfg.slice_words // cfg.table_share
        for share in range(cfg.table_share):
            for n in range(per_pass):
                addr = s * cfg.slice_words + share * per_pass + n
                self.tokens[self.now]["fill"] = {"valid": 1, "addr": addr}
                self.now += 1
            self.now += Activations.LATENCY - 1
            for step in gray_steps():
                self.tokens[self.now]["step"] = {"valid": 1, "share": share, **step}
                self.stepped = self.now
                self.now += 1
        # A step's write is visible the cycle after it is made.
        self.now += TableWriter.LATENCY

    def words(self, w, tile, planes, scales, *, gaps, **flags):
        """Send a tile's planes of weights ``[depth, cols]``; returns the cycles in between."""
        cfg = self.config
        free = []
        for plane in reversed(range(planes)):
            while self.rng.random() < gaps:
                noise = {"first": 1, "last": 1, "clear": 1, "tile": tile}
                self.tokens[self.now]["work"] = noise
                free.append(self.now)
                self.now += 1
            bits = 0
            for c in range(cfg.cols):
                for d in range(cfg.depth):
                    bits |= (int(w[d, c]) >> plane & 1) << c * cfg.depth + d
            first, last = int(plane == planes - 1), int(plane == 0)
            self.tokens[self.now]["work"] = {
                "word": bits,
                "valid": 1,
                "first": first,
                "last": last,
                "tile": tile,
                **flags,
            }
            if not last:
                free.append(self.now)
            elif scales is not None:
                self.tokens[self.now + element(cfg).latency]["scales"] = scales.tolist()
            self.now += 1
        return free

    def gemm(self, w, tiles, planes, *, scales=None, shift=False, halves=(), borders=(), gaps=0.0):
        """Multiply by ``w[slices * depth, tiles * cols]``; returns slots without a tile's end.

        The sums of each slice are multiplied by ``scales[slices, tiles * cols]``, 1 without. The
        accumulators start from zero or, with ``shift``, from what they hold, shifted. The weights
        of the tiles in ``halves`` are half-step. Before slice ``s`` the accumulators are shifted by
        ``borders[s]``.
        """
        cfg = self.config
        free = []
        for s in range(len(w) // cfg.depth):
            if s:
                # The tables may change as soon as the last word has been looked up, and the
                # staging registers as soon as the last step has seen them.
                ahead = TableWriter.LATENCY + Activations.LATENCY
                ahead += cfg.slice_words // cfg.table_share
                seen = self.stepped + 1 - Activations.LATENCY
                self.now = max(self.now - ahead, seen)
            self.tables(s)
            for n, tile in enumerate(tiles):
                part = w[s * cfg.depth :, n * cfg.cols :][: cfg.depth, : cfg.cols]
                flags = {"clear": int(s == 0 and not shift), "shift": int(s == 0 and shift)}
                if cfg.half_steps:
                    flags["half_step"] = int(tile in halves)
                if borders:
                    flags["border"] = borders[s]
                factors = None
                if cfg.scale_bits:
                    factors = np.ones(cfg.cols, int)
                    if scales is not None:
                        factors = scales[s, n * cfg.cols :][: cfg.cols]
                free += self.words(part, tile, planes, factors, gaps=gaps, **flags)
        self.now += Accumulators.DISTANCE
        return free

    def drain(self, cycle, row, tile):
        self.tokens[cycle].setdefault("work", {})
        self.tokens[cycle]["work"] |= {"drain": 1, "drain_row": row, "tile": tile}

    def run(self):
        """Return (cycle, accumulators) of every result; where there is none, all must be 0."""
        cfg = self.config
        tail = 8 + element(cfg).latency + scaler_latency(cfg) + 2 * cfg.rows
        inputs = [{"i": self.tokens.get(n, {})} for n in range(self.now + tail)]
        found = []
        for cycle, (result,) in enumerate(trace(Rows(cfg), inputs, ["result"])):
            if result.valid:
                found.append((cycle, list(result.acc)))
            else:
                assert not any(result.acc)
        return found


def trip(config, row):
    """Return the cycles from a token with a drain to its result."""
    there = row + 1 + element(config).latency + scaler_latency(config) - SUM_DELAY
    return there + RESULT_LATENCY + 2 + row


def drain_all(schedule, config, y, tiles):
    """Read tiles' results row by row from now on; returns when each comes, and its values.

    ``y`` has the shape ``[rows, tiles, cols]``.
    """
    want = []
    for row in range(config.rows):
        for n, tile in enumerate(tiles):
            schedule.drain(schedule.now, row, tile)
            want.append((schedule.now + trip(config, row), y[row, n].tolist()))
            schedule.now += 1
    return want


def random_weights(config, rng, slices, tiles, planes):
    low, high = -(1 << planes - 1), (1 << planes - 1) - 1
    shape = (slices * config.depth, tiles * config.cols)
    return rng.integers(low, high, shape, endpoint=True)


def random_activations(config, rng, slices):
    shape = (config.rows, slices * config.depth)
    return rng.integers(config.act_min, config.act_max, shape, endpoint=True)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.rows}x{c.cols}x{c.depth}")
@pytest.mark.parametrize("planes", [1, 4, 8])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_rows_multiply_their_own_token(config, planes, gaps):
    """Tables are refilled as tightly as the engine may; results come back by row and in time."""
    rng = np.random.default_rng(planes)
    slices, tiles = 2, [3, 0, 7, 15, 4]
    x = random_activations(config, rng, slices)
    w = random_weights(config, rng, slices, len(tiles), planes)
    schedule = Schedule(config, rng)
    schedule.load(x)
    schedule.gemm(w, tiles, planes, gaps=gaps)
    y = (x @ w).reshape(config.rows, len(tiles), config.cols)
    want = drain_all(schedule, config, y, tiles)
    assert schedule.run() == want


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.rows}x{c.cols}x{c.depth}")
def test_draining_takes_the_slots_that_words_leave(config):
    """Earlier results are read while later ones are computed."""
    rng = np.random.default_rng(3)
    x = random_activations(config, rng, 1)
    first, second = (random_weights(config, rng, 1, 2, 8) for _ in range(2))
    schedule = Schedule(config, rng)
    schedule.load(x)
    schedule.gemm(first, [1, 2], 8)
    slots = schedule.gemm(second, [5, 6], 8, gaps=0.2)
    want = []
    y = (x @ first).reshape(config.rows, 2, config.cols)
    for n in range(2 * config.rows):
        row, tile = divmod(n, 2)
        schedule.drain(slots[n], row, 1 + tile)
        want.append((slots[n] + trip(config, row), y[row, tile].tolist()))
    y = (x @ second).reshape(config.rows, 2, config.cols)
    for n in range(2 * config.rows):
        row, tile = divmod(n, 2)
        schedule.drain(schedule.now, row, 5 + tile)
        want.append((schedule.now + trip(config, row), y[row, tile].tolist()))
        schedule.now += 1
    assert schedule.run() == want


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_slice_sums_are_multiplied_by_their_scales(gaps):
    config = CONFIGS[3]
    rng = np.random.default_rng(5)
    x = random_activations(config, rng, 3)
    w = random_weights(config, rng, 3, 4, 4)
    scales = rng.integers(0, 1 << config.scale_bits, (3, w.shape[1]))
    schedule = Schedule(config, rng)
    schedule.load(x)
    tiles = [1, 2, 5, 0]
    schedule.gemm(w, tiles, 4, scales=scales, gaps=gaps)
    y = x @ (w * np.repeat(scales, config.depth, axis=0))
    want = drain_all(schedule, config, y.reshape(config.rows, 4, config.cols), tiles)
    assert schedule.run() == want


@pytest.mark.parametrize("planes", [1, 2, 8])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("config", [CONFIGS[4], replace(CONFIGS[3], half_steps=True)])
def test_half_step_tiles_and_others_mix_in_every_slice(config, gaps, planes):
    """Each slice's tables are refilled as tightly as can be, and its own sum is added."""
    rng = np.random.default_rng(planes)
    slices, tiles, halves = 4, [3, 0, 7, 15, 4], {0, 7, 4}
    x = random_activations(config, rng, slices)
    x[:, : config.depth] = config.act_min  # the largest sums
    w = random_weights(config, rng, slices, len(tiles), planes)
    schedule = Schedule(config, rng)
    schedule.load(x)
    schedule.gemm(w, tiles, planes, halves=halves, gaps=gaps)
    half = np.repeat([tile in halves for tile in tiles], config.cols)
    y = (x @ np.where(half, 2 * w + 1, w)).reshape(config.rows, len(tiles), config.cols)
    want = drain_all(schedule, config, y, tiles)
    assert schedule.run() == want


def test_a_second_product_adds_to_the_first_one_shifted():
    """The shift comes once, before the first slice's sum."""
    config = CONFIGS[0]
    rng = np.random.default_rng(4)
    x = random_activations(config, rng, 2)
    first, second = (random_weights(config, rng, 2, 2, planes) for planes in (4, 6))
    schedule = Schedule(config, rng)
    schedule.load(x)
    schedule.gemm(second, [9, 2], 6)  # what the next one clears
    schedule.gemm(first, [2, 9], 4)
    schedule.gemm(second, [2, 9], 6, shift=True)
    y = (x @ first << config.shift) + x @ second
    want = []
    for row, tiles in enumerate(y.reshape(config.rows, 2, config.cols)):
        for tile, acc in zip((2, 9), tiles, strict=True):
            schedule.drain(schedule.now, row, tile)
            want.append((schedule.now + trip(config, row), acc.tolist()))
            schedule.now += 1
    assert schedule.run() == want


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_borders_shift_what_all_slices_before_have_added(gaps, planes):
    config = CONFIGS[5]
    rng = np.random.default_rng(planes)
    slices, tiles, borders = 4, [3, 0, 7, 15, 4], [3, 1, 0, 2]
    x = random_activations(config, rng, slices)
    w = random_weights(config, rng, slices, len(tiles), planes)
    schedule = Schedule(config, rng)
    schedule.load(x)
    schedule.gemm(w, tiles, planes, borders=borders, gaps=gaps)
    y = np.zeros((config.rows, w.shape[1]), int)
    for k, border in enumerate(borders):
        part = slice(k * config.depth, (k + 1) * config.depth)
        y = (y << border) + x[:, part] @ w[part]
    want = drain_all(schedule, config, y.reshape(config.rows, len(tiles), config.cols), tiles)
    assert schedule.run() == want
