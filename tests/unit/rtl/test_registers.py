import random

import pytest
from amaranth.sim import Simulator

from summand.isa.registers import PLAYER_REGISTERS, REGISTERS, Access, register
from summand.rtl.registers import RegisterBank

OKAY, SLVERR = 0, 2


class Bus:
    """An AXI4-Lite initiator that stalls each channel with a probability, and counts resets."""

    def __init__(self, ctx, dut: RegisterBank, p_stall: float, seed: int):
        self._ctx, self._dut, self._p_stall = ctx, dut, p_stall
        self._rng = random.Random(seed)
        self.resets = 0

    def _stall(self) -> bool:
        return self._rng.random() < self._p_stall

    async def _run(self, sends: dict[str, dict[str, int]], answer: str, kept: list[str]):
        """Send on some channels and return the answer; check all AXI rules."""
        ctx, bus = self._ctx, self._dut.bus
        result, before = None, None
        for _ in range(200):
            for channel in sends:
                if not ctx.get(getattr(bus, f"{channel}valid")) and not self._stall():
                    for name, value in sends[channel].items():
                        ctx.set(getattr(bus, name), value)
                    ctx.set(getattr(bus, f"{channel}valid"), 1)
            ready = not self._stall()
            ctx.set(getattr(bus, f"{answer}ready"), ready)
            taken = [
                channel
                for channel in sends
                if ctx.get(getattr(bus, f"{channel}valid"))
                and ctx.get(getattr(bus, f"{channel}ready"))
            ]
            valid = ctx.get(getattr(bus, f"{answer}valid"))
            said = tuple(ctx.get(getattr(bus, name)) for name in kept) if valid else None
            assert before is None or said == before, "answer withdrawn or changed"
            assert said is None or not sends, "answered before it was asked"
            before = None if ready else said
            self.resets += ctx.get(self._dut.pulse.reset)
            await ctx.tick()
            for channel in taken:
                ctx.set(getattr(bus, f"{channel}valid"), 0)
                del sends[channel]
            if said and ready:
                result = said
                break
        ctx.set(getattr(bus, f"{answer}ready"), 0)
        assert result is not None, "no answer"
        return result

    async def read(self, offset: int) -> tuple[int, int]:
        return await self._run({"ar": {"araddr": offset}}, "r", ["rdata", "rresp"])

    async def write(self, offset: int, value: int, strobe: int = 15) -> int:
        data = {"wdata": value, "wstrb": strobe}
        (response,) = await self._run({"aw": {"awaddr": offset}, "w": data}, "b", ["bresp"])
        return response


@pytest.fixture(params=[0.0, 0.3, 0.8])
def on_bus(request):
    """Run a coroutine with an initiator on a bank whose registers read their offsets plus 7."""

    def run(bench):
        dut = RegisterBank()

        async def testbench(ctx):
            for r in REGISTERS:
                if r.access is Access.RO:
                    ctx.set(getattr(dut.value, r.name), r.offset + 7)
            await bench(Bus(ctx, dut, request.param, seed=1))

        sim = Simulator(dut)
        sim.add_clock(1e-6)
        sim.add_testbench(testbench)
        sim.run()

    return run


def test_reads(on_bus):
    async def bench(bus):
        for r in REGISTERS:
            want = r.offset + 7 if r.access is Access.RO else 0
            assert await bus.read(r.offset) == (want, OKAY)
            assert await bus.read(r.offset + 3) == (want, OKAY)

    on_bus(bench)


def test_unknown_offsets_are_refused(on_bus):
    async def bench(bus):
        for offset in range(4 * len(REGISTERS), 256, 4):
            assert await bus.read(offset) == (0, SLVERR)
            assert await bus.write(offset, 1) == SLVERR
        assert await bus.read(0) == (7, OKAY)  # a refusal is not remembered
        assert bus.resets == 0

    on_bus(bench)


def test_read_only_registers_refuse_writes(on_bus):
    async def bench(bus):
        for r in REGISTERS:
            if r.access is Access.RO:
                assert await bus.write(r.offset, 1) == SLVERR
        assert bus.resets == 0

    on_bus(bench)


def test_a_register_that_keeps_what_is_written_does():
    """With a player's map: a byte at a time if asked, whatever is written elsewhere."""
    registers = (*REGISTERS, *PLAYER_REGISTERS)
    dut = RegisterBank(registers)

    async def testbench(ctx):
        bus = Bus(ctx, dut, 0.3, seed=2)
        low, high = register("epoch_lo").offset, register("epoch_hi").offset
        assert await bus.read(low) == (0, OKAY)
        assert await bus.write(low, 0x01234567) == OKAY
        assert await bus.write(high, 0x89ABCDEF) == OKAY
        assert await bus.write(low, 0xFFEEDDCC, 0b0101) == OKAY
        assert await bus.write(register("player_crc").offset, 1) == SLVERR
        assert await bus.read(low) == (0x01EE45CC, OKAY)
        assert await bus.read(high) == (0x89ABCDEF, OKAY)
        assert await bus.read(4 * len(registers)) == (0, SLVERR)
        assert bus.resets == 0

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()


def test_writing_1_resets_once(on_bus):
    async def bench(bus):
        reset = register("reset").offset
        for value, strobe, resets in ((1, 15, 1), (0, 15, 1), (2, 15, 1), (1, 14, 1), (3, 1, 2)):
            assert await bus.write(reset, value, strobe) == OKAY
            await bus.read(0)
            assert bus.resets == resets

    on_bus(bench)
