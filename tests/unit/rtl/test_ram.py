import random

from amaranth.sim import Simulator

from summand.rtl.ram import BlockRam


def test_reads_what_was_written_before():
    """One word a cycle is written and one read; a word read while it is written is not compared."""
    dut = BlockRam(width=5, depth=4)
    rng = random.Random(1)
    words = [0] * 4
    coming: list[int | None] = [0] * BlockRam.LATENCY

    async def bench(ctx):
        for _ in range(200):
            w_en, r_en, w_addr, r_addr, value = (rng.randrange(n) for n in (2, 2, 4, 4, 32))
            ctx.set(dut.write_en, w_en)
            ctx.set(dut.write_addr, w_addr)
            ctx.set(dut.write_data, value)
            ctx.set(dut.read_en, r_en)
            ctx.set(dut.read_addr, r_addr)
            await ctx.tick()
            if r_en:
                coming.append(None if w_en and w_addr == r_addr else words[r_addr])
                coming.pop(0)
            if w_en:
                words[w_addr] = value
            assert coming[0] is None or ctx.get(dut.read_data) == coming[0]

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
