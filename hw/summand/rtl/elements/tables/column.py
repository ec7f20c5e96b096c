"""One output feature: look-ups, adder tree, and the sum over planes."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.widths import plane_sum_bits
from summand.rtl.add import Adder
from summand.rtl.elements.tables.table import LookupTable
from summand.rtl.fold import emitted_once

__all__ = ["Column"]


class Column(wiring.Component):
    """Multiply ``depth`` activations by one bit each, and combine the planes of a weight.

    ``slice <- (first ? -sum : 2 * slice + sum)``. One plane a cycle. In a half-step weight a
    plane's bits mean -1 and 1 instead of 0 and 1, because ``2 * q + 1`` is the sum that ``q`` is
    with such digits; so ``sum`` is ``2 * sum - inputs``.

    ``element(config).latency`` cycles from a plane to the slice sum that includes it.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    write : ``In(tables)``
        Bit ``t``: write table ``t``.
    entry : ``In(4)``
        Entry that is written.
    value : ``In(array of tables / table_share signed act_bits + 2)``
        Values that are written; tables that share a writer share its value.
    bits : ``In(depth)``
        One plane's bits of this column; looked up in this cycle.
    first, last, step : ``In(1)``
        Flags for the plane looked up ``latency - 1`` cycles ago. ``first``: most significant plane,
        subtracted. ``last``: final plane. ``step``: a plane is present. A reset does not end a
        weight; ``last`` with ``step`` must do so.
    sum : ``Out(signed(slice_sum_bits))``
        Sum over the weight's planes so far.
    half_step : ``In(1)``
        The plane looked up ``latency - 2`` cycles ago is one of a half-step weight. This and the
        next two only in an engine with half-steps.
    inputs : ``In(signed(plane_sum_bits))``
        With :attr:`half_step` the sum of the slice's activations, else 0.
    plane_sum : ``Out(signed(plane_sum_bits))``
        Sum of the activations whose bits were set in that plane.
    """

    write: Signal
    entry: Signal
    value: Any
    bits: Signal
    first: Signal
    last: Signal
    step: Signal
    sum: Signal
    half_step: Signal
    inputs: Signal
    plane_sum: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        entry = signed(config.act_bits + 2)
        plane_sum = signed(plane_sum_bits(config))
        halves = {"half_step": In(1), "inputs": In(plane_sum), "plane_sum": Out(plane_sum)}
        super().__init__(
            {
                "write": In(config.tables),
                "entry": In(4),
                "value": In(entry).array(config.tables // config.table_share),
                "bits": In(config.depth),
                "first": In(1),
                "last": In(1),
                "step": In(1),
                "sum": Out(signed(config.slice_sum_bits)),
                **(halves if config.half_steps else {}),
            }
        )

    @emitted_once
    def elaborate(self, platform):
        m = Module()
        cfg = self.config

        level = []
        for t in range(cfg.tables):
            m.submodules[f"table_{t}"] = table = LookupTable(cfg)
            found = Signal(signed(cfg.act_bits + 2), name=f"found_{t}", reset_less=True)
            m.d.comb += [
                table.write.eq(self.write[t]),
                table.entry.eq(self.entry),
                table.value.eq(self.value[t % len(self.value)]),
                table.address.eq(self.bits[4 * t : 4 * t + 4]),
            ]
            m.d.sync += found.eq(table.sum)
            level.append(found)

        # A register follows every addition, so that a stage has one carry chain.
        while len(level) > 1:
            above = []
            for n, (a, b) in enumerate(zip(level[::2], level[1::2], strict=True)):
                name = f"tree_{len(level) // 2}_{n}"
                m.submodules[name] = adder = Adder(len(a), len(b), len(a) + 1)
                total = Signal(signed(len(a) + 1), name=f"{name}_sum", reset_less=True)
                m.d.comb += [adder.a.eq(a), adder.b.eq(b)]
                m.d.sync += total.eq(adder.o)
                above.append(total)
            level = above

        # `base` is a copy of the sum. Its reset input clears it where a weight ends, which takes no
        # look-up table. It has no other reset, because a flip-flop has one reset input.
        (tree,) = level
        if cfg.half_steps:
            m.d.comb += self.plane_sum.eq(tree)
            tree = self._digits(m)
        base = Signal.like(self.sum, reset_less=True)
        size = len(self.sum)
        m.submodules.combine = combine = Adder(size, len(tree), size, subtracts=True)
        m.d.comb += [
            combine.a.eq(base << 1),
            combine.b.eq(tree),
            combine.subtract.eq(self.first),
        ]
        with m.If(self.step):
            m.d.sync += [self.sum.eq(combine.o), base.eq(Mux(self.last, 0, combine.o))]

        return m

    def _digits(self, m: Module) -> Signal:
        """Return the plane's sum, of digits -1 and 1 in a half-step weight, a cycle later."""
        size = len(self.plane_sum) + 1
        m.submodules.digits = adder = Adder(size, len(self.inputs), size, subtracts=True)
        digits = Signal(signed(size), reset_less=True)
        m.d.comb += [
            adder.a.eq(Mux(self.half_step, self.plane_sum << 1, self.plane_sum)),
            adder.b.eq(self.inputs),
            adder.subtract.eq(1),
        ]
        m.d.sync += digits.eq(adder.o)
        return digits
