"""cocotb drivers for Amaranth streams, by the names that Amaranth gives their ports.

They drive pins on falling edges and sample them just before rising ones.
"""

import random
from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge
from cocotb.types import LogicArray

__all__ = ["StreamSink", "StreamSource", "four_states", "reset", "start_clock", "watch_outputs"]


def four_states() -> bool:
    """Return whether the simulator knows X, the value of a signal that nothing has set."""
    return not cocotb.SIM_NAME.startswith("Verilator")


async def start_clock(dut: Any, *, cycles: int = 1, period_ns: int = 10) -> None:
    """Start the clock and hold reset for some cycles. Returns on a falling edge."""
    Clock(dut.clk, period_ns, unit="ns").start()
    await reset(dut, cycles)


async def reset(dut: Any, cycles: int = 1) -> None:
    """Hold reset for some cycles. Returns on a falling edge."""
    dut.rst.value = 1
    for _ in range(1 + cycles):
        await FallingEdge(dut.clk)
    dut.rst.value = 0


async def watch_outputs(dut: Any, names: Iterable[str], offers: Iterable[str] = ()) -> None:
    """Fail when an output is X just before a rising edge; runs until the test ends.

    Payloads of the streams ``offers`` may be X while their ``valid`` is low. Ends at once where the
    simulator has no X.
    """
    if not four_states():
        return
    always = [(name, getattr(dut, name)) for name in names]
    always += [(f"{prefix}__valid", getattr(dut, f"{prefix}__valid")) for prefix in offers]
    offered = [(prefix, getattr(dut, f"{prefix}__payload")) for prefix in offers]
    while True:
        await RisingEdge(dut.clk)
        for name, port in always:
            assert port.value.is_resolvable, f"{name} is {port.value}"
        for prefix, payload in offered:
            if getattr(dut, f"{prefix}__valid").value:
                assert payload.value.is_resolvable, f"{prefix}__payload is {payload.value}"


class _Port:
    """A stream's three ports, and how often to stall it."""

    def __init__(self, dut: Any, prefix: str, *, p_stall: float, seed: int):
        self.clk = dut.clk
        self.valid = getattr(dut, f"{prefix}__valid")
        self.ready = getattr(dut, f"{prefix}__ready")
        self.payload = getattr(dut, f"{prefix}__payload")
        self.p_stall = p_stall
        self._rng = random.Random(f"{seed} {prefix}")

    def stalls(self) -> bool:
        """Draw whether to stall in this cycle."""
        return self._rng.random() < self.p_stall


class StreamSource(_Port):
    """Drives a component's input stream."""

    def __init__(self, dut: Any, prefix: str, *, p_stall: float = 0.0, seed: int = 0):
        super().__init__(dut, prefix, p_stall=p_stall, seed=seed)
        self.stop()

    def stop(self) -> None:
        """Offer nothing. This takes back a beat on offer, which only a reset allows.

        The payload then is X where the simulator has one, so that any use of it is detected.
        """
        self.valid.value = 0
        if four_states():
            self.payload.value = LogicArray("X" * len(self.payload))

    async def send(self, payloads: Iterable[int]) -> None:
        """Send payloads, as bits; returns when the last has been taken."""
        for payload in payloads:
            while self.stalls():
                await FallingEdge(self.clk)
            self.payload.value = payload
            self.valid.value = 1
            taken = False
            while not taken:
                await ReadOnly()
                taken = bool(self.ready.value)
                await FallingEdge(self.clk)
            self.stop()


class StreamSink(_Port):
    """Takes from a component's output stream, and checks that it keeps the stream's rules."""

    def __init__(self, dut: Any, prefix: str, *, p_stall: float = 0.0, seed: int = 0):
        super().__init__(dut, prefix, p_stall=p_stall, seed=seed)
        self.stop()

    def stop(self) -> None:
        """Take nothing."""
        self.ready.value = 0
        self._waiting: int | None = None

    async def cycle(self) -> int | None:
        """Let a cycle pass; returns the payload taken in it, as bits, if any."""
        ready = not self.stalls()
        self.ready.value = int(ready)
        await ReadOnly()
        payload = int(self.payload.value) if self.valid.value else None
        assert self._waiting is None or payload == self._waiting, "payload withdrawn or changed"
        self._waiting = None if ready else payload
        await FallingEdge(self.clk)
        return payload if ready else None

    async def receive(self, count: int) -> list[int]:
        """Return the next ``count`` payloads, as bits."""
        taken: list[int] = []
        while len(taken) < count:
            payload = await self.cycle()
            if payload is not None:
                taken.append(payload)
        return taken
