"""An engine's RTL, cycle by cycle, with a way to its registers."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Protocol

from amaranth.sim import Simulator

from summand.testing.axi import AxiBehaviour, AxiSlave

HALF_CYCLE = 5e-9


class Step(Protocol):
    """What something outside the engine does in a cycle."""

    def before(self, ctx: Any, dut: Any) -> None:
        """Drive the engine's inputs."""
        ...

    def after(self, ctx: Any, dut: Any) -> None:
        """Look at what moves, before the clock's edge."""
        ...


class Clocked:
    """An engine between steps; each access to a register takes a few cycles."""

    def __init__(self, dut: Any, steps: Sequence[Step]):
        self.engine = EngineWindow(self)
        self.cycle = 0
        self._dut = dut
        self._registers = _Lite()
        self._steps = (self._registers, *steps)
        self._over = False
        self._sim = Simulator(dut)
        self._sim.add_testbench(self._clock)
        self.run(3)

    def close(self) -> None:
        """End the simulation; its testbench must not be left half-way."""
        self._over = True
        while self._sim.advance():
            pass

    def access(self, write: bool, offset: int, value: int) -> int:
        """Write or read a register of the engine, over its AXI4-Lite port."""
        self._registers.access = write, offset, value
        for _ in range(100):
            self.run(1)
            if self._registers.access is None:
                return self._registers.answer
        raise TimeoutError("the engine's registers do not answer")

    def run(self, cycles: int) -> None:
        """Let time pass."""
        self.cycle += cycles
        self._sim.run_until(self.cycle * 2 * HALF_CYCLE)

    async def _clock(self, ctx: Any) -> None:
        dut = self._dut
        cycle = 0
        while not self._over:
            ctx.set(dut.aresetn, cycle > 1)
            for step in self._steps:
                step.before(ctx, dut)
            await ctx.delay(HALF_CYCLE)
            for step in self._steps:
                step.after(ctx, dut)
            ctx.set(dut.aclk, 1)
            await ctx.delay(HALF_CYCLE)
            ctx.set(dut.aclk, 0)
            cycle += 1


class _Lite:
    """The registers' bus."""

    def __init__(self):
        self.access: tuple[bool, int, int] | None = None
        self.answer = 0
        self.address_taken = self.data_taken = False

    def before(self, ctx: Any, dut: Any) -> None:
        write = self.access is not None and self.access[0]
        read = self.access is not None and not self.access[0]
        _, offset, value = self.access or (False, 0, 0)
        ctx.set(dut.s_axil_awvalid, write and not self.address_taken)
        ctx.set(dut.s_axil_wvalid, write and not self.data_taken)
        ctx.set(dut.s_axil_arvalid, read and not self.address_taken)
        for port in (dut.s_axil_awaddr, dut.s_axil_araddr):
            ctx.set(port, offset)
        ctx.set(dut.s_axil_wdata, value)
        ctx.set(dut.s_axil_wstrb, 0xF)
        ctx.set(dut.s_axil_bready, 1)
        ctx.set(dut.s_axil_rready, 1)

    def after(self, ctx: Any, dut: Any) -> None:
        if self.access is None:
            return
        if ctx.get(dut.s_axil_bvalid) or ctx.get(dut.s_axil_rvalid):
            write = ctx.get(dut.s_axil_bvalid)
            assert ctx.get(dut.s_axil_bresp if write else dut.s_axil_rresp) == 0
            self.answer = ctx.get(dut.s_axil_rdata)
            self.access = None
            self.address_taken = self.data_taken = False
            return
        for prefix in ("aw", "ar"):
            valid = ctx.get(getattr(dut, f"s_axil_{prefix}valid"))
            self.address_taken |= bool(valid and ctx.get(getattr(dut, f"s_axil_{prefix}ready")))
        self.data_taken |= bool(ctx.get(dut.s_axil_wvalid) and ctx.get(dut.s_axil_wready))


class EngineWindow:
    """The engine's registers."""

    def __init__(self, clocked: Clocked):
        self._clocked = clocked

    def read(self, offset: int) -> int:
        return self._clocked.access(False, offset, 0)

    def write(self, offset: int, value: int) -> None:
        self._clocked.access(True, offset, value)


class Master:
    """The memory, as the engine's bus reaches it."""

    def __init__(
        self, dut: Any, memory: bytearray, burst_beats: int, pauses: float, *, base: int = 0
    ):
        found = dut.signature.members
        bus = SimpleNamespace(
            **{
                name.removeprefix("m_axi_"): getattr(dut, name)
                for name in found
                if name.startswith("m_axi_")
            }
        )
        self.slave = AxiSlave(
            bus,
            bus,
            memory,
            base=base,
            burst_beats=burst_beats,
            behaviour=AxiBehaviour(latency=8, pauses=pauses),
        )
        self._cycle = 0

    def before(self, ctx: Any, dut: Any) -> None:
        self.slave.before(ctx, self._cycle)

    def after(self, ctx: Any, dut: Any) -> None:
        self.slave.after(self._cycle, [ctx.get(signal) for signal in self.slave.signals])
        self._cycle += 1
