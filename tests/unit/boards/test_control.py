"""The way to a memory controller's registers, beside those of the engine."""

import random

import pytest
from amaranth.sim import Simulator

from summand.boards.link.control import ControlBridge
from summand.isa.registers import register

ADDRESS, DATA = (register(name).offset for name in ("control_address", "control_data"))


class Host:
    """Makes accesses one at a time; a controller answers after some cycles, as the others do."""

    def __init__(self, ctx, dut, seed: int):
        self._ctx, self._dut, self._rng = ctx, dut, random.Random(seed)
        self.words: dict[int, int] = {}
        self.others: list[tuple[int, int, int]] = []

    async def access(self, offset: int, value: int | None = None) -> int:
        ctx, access, control, others = (
            self._ctx,
            self._dut.access,
            self._dut.control,
            self._dut.others,
        )
        for name, now in (("offset", offset), ("write", value is not None), ("data", value or 0)):
            ctx.set(getattr(access, name), now)
        ctx.set(access.strobe, 1)
        wait = self._rng.randrange(4)
        asked = False
        for _ in range(20):
            asked |= bool(ctx.get(others.strobe))
            if ctx.get(others.strobe):
                self.others.append((offset, ctx.get(others.write), ctx.get(others.data)))
            busy = ctx.get(control.cyc)
            answer = wait == 0
            ctx.set(control.ack, busy and answer)
            ctx.set(others.done, asked and answer)
            ctx.set(others.value, 0x5000 + offset)
            place = ctx.get(control.adr)
            ctx.set(control.dat_r, self.words.get(place, 0))
            if busy:
                assert ctx.get(control.stb)
                if answer and ctx.get(control.we):
                    self.words[place] = ctx.get(control.dat_w)
            if (busy or asked) and wait:
                wait -= 1
            done, got = ctx.get(access.done), ctx.get(access.value)
            await ctx.tick()
            ctx.set(access.strobe, 0)
            if done:
                ctx.set(control.ack, 0)
                ctx.set(others.done, 0)
                assert not ctx.get(control.cyc)
                return got
        raise TimeoutError(f"no answer to an access of {offset:#x}")


@pytest.mark.parametrize("seed", range(4))
def test_words_are_written_and_read_and_other_registers_passed_on(seed):
    dut = ControlBridge()

    async def testbench(ctx):
        host, rng = Host(ctx, dut, seed), random.Random(seed)
        kept: dict[int, int] = {}
        for _ in range(40):
            word, value = rng.randrange(1 << 14), rng.getrandbits(32)
            assert await host.access(ADDRESS, 4 * word) == 0
            assert await host.access(ADDRESS) == 4 * word
            assert await host.access(DATA, value) == 0
            kept[word] = value
            other = rng.randrange(0, ADDRESS, 4)
            assert await host.access(other) == 0x5000 + other
            assert await host.access(DATA) == value
        assert host.words == kept
        assert len(host.others) == 40

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
