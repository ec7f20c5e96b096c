import itertools

import numpy as np
import pytest
from amaranth import *

from summand.isa import EngineConfig
from summand.isa.elements import element
from summand.rtl.elements.tables.step import gray_steps
from summand.rtl.elements.tables.table import LookupTable, TableWriter
from summand.testing.streams import simulate, trace


def small(**fields):
    return EngineConfig(
        cols=2, depth=16, stream_bits=32, acc_bits=32, acc_depth=16, act_depth=2, **fields
    )


def subset_sums(x):
    return [sum(v for n, v in enumerate(x) if entry >> n & 1) for entry in range(16)]


def corner_activations(config, rng):
    """Return every choice of the two ends for four activations, and some that are random."""
    ends = list(itertools.product((config.act_min, config.act_max), repeat=4))
    return [
        *ends,
        *rng.integers(config.act_min, config.act_max, (6, 4), endpoint=True).tolist(),
    ]


def test_steps_name_every_entry_but_the_empty_sum_once():
    steps = gray_steps()
    assert len(steps) == element(small()).steps
    assert sorted(s["entry"] for s in steps) == list(range(1, 16))
    assert [s["last"] for s in steps] == [False] * 14 + [True]


@pytest.mark.parametrize("act_bits", range(4, 11))
def test_writer_gives_all_subset_sums(act_bits):
    """One table after another without a gap; activations change from one to the next."""
    config = small(act_bits=act_bits)
    xs = corner_activations(config, np.random.default_rng(act_bits))
    inputs = [{"step": {"valid": 1, **step}, "x": x} for x in xs for step in gray_steps()]
    idle = [{"step": {"valid": 0, **step}} for step in gray_steps()[: TableWriter.LATENCY]]
    rows = trace(TableWriter(config), inputs + idle, ["write", "entry", "value"])
    assert not any(write for write, _, _ in rows[: TableWriter.LATENCY])
    got = rows[TableWriter.LATENCY :]
    assert all(write for write, _, _ in got)
    for n, x in enumerate(xs):
        table = {entry: value for _, entry, value in got[15 * n : 15 * n + 15]}
        assert table == {e: s for e, s in enumerate(subset_sums(x)) if e}


def test_writer_waits_between_tables_and_names_the_share():
    """Steps that are not valid, and tables broken off, leave no trace."""
    config = small(table_share=4)
    rng = np.random.default_rng(3)
    inputs, want = [], []
    for share in (0, 3, 1, 2):
        x = rng.integers(config.act_min, config.act_max, 4, endpoint=True).tolist()
        sums = subset_sums(x)
        steps = list(gray_steps())
        for these in (steps[: rng.integers(1, 15)], steps):
            inputs.append({"step": {"valid": 0}, "x": x})
            while rng.random() < 0.6:
                noise = {name: int(rng.integers(0, 2)) for name in ("last", "negate", "select")}
                inputs.append({"step": {"valid": 0, "share": 2, **noise}, "x": x})
            for step in these:
                inputs.append({"step": {"valid": 1, "share": share, **step}, "x": x})
                want.append((len(inputs) - 1, share, step["entry"], sums[step["entry"]]))
    idle = [{}] * TableWriter.LATENCY
    rows = trace(TableWriter(config), inputs + idle, ["write", "share", "entry", "value"])
    got = [(n - TableWriter.LATENCY, *row[1:]) for n, row in enumerate(rows) if row[0]]
    assert got == want


class Pair(Elaboratable):
    """A writer and the table it fills."""

    def __init__(self, config):
        self.writer = TableWriter(config)
        self.table = LookupTable(config)

    def elaborate(self, platform):
        m = Module()
        m.submodules.writer = writer = self.writer
        m.submodules.table = table = self.table
        m.d.comb += [
            table.write.eq(writer.write),
            table.entry.eq(writer.entry),
            table.value.eq(writer.value),
        ]
        return m


@pytest.mark.parametrize("act_bits", range(4, 11))
def test_table_holds_what_the_writer_wrote(act_bits):
    """All 16 entries can be read as soon as the last write is done; a refill replaces them."""
    config = small(act_bits=act_bits)
    dut = Pair(config)
    rng = np.random.default_rng(act_bits)
    xs = [[config.act_min] * 4, [config.act_max] * 4]
    xs += rng.integers(config.act_min, config.act_max, (3, 4), endpoint=True).tolist()

    async def bench(ctx):
        for x in xs:
            ctx.set(dut.writer.x, x)
            for step in gray_steps():
                ctx.set(dut.writer.step, {"valid": 1, **step})
                await ctx.tick()
            ctx.set(dut.writer.step, {"valid": 0})
            await ctx.tick().repeat(TableWriter.LATENCY)
            got = []
            for address in range(16):
                ctx.set(dut.table.address, address)
                got.append(ctx.get(dut.table.sum))
            assert got == subset_sums(x)

    simulate(dut, bench)
