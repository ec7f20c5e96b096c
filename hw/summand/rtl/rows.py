"""All the rows of an engine."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.collect import Collector
from summand.rtl.fold import Library
from summand.rtl.row import Row
from summand.rtl.token import Result, Token

__all__ = ["Rows"]


class Rows(wiring.Component):
    """Chain the engine's rows: tokens go from each to the next, results come back.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    i : ``In(Token)``
        As the first :class:`~summand.rtl.row.Row`'s.
    result : ``Out(Result)``
        What was drained of any row.
    """

    i: Any
    result: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({"i": In(Token(config)), "result": Out(Result(config))})

    def elaborate(self, platform):
        m = Module()

        m.submodules.collector = collector = Collector(self.config)
        m.d.comb += self.result.eq(collector.o)
        if isinstance(platform, Library):
            results = Cat(result.as_value() for result in collector.i)
            m.submodules.chain = self._instance(platform, results)
            return m
        token = self.i
        for n, result in enumerate(collector.i):
            m.submodules[f"row_{n}"] = row = Row(self.config)
            m.d.comb += [row.i.eq(token), result.eq(row.result)]
            token = row.o

        return m

    def _instance(self, library: Library, results: Value) -> Any:
        """Chain the one emitted row in Verilog: Amaranth takes a minute for 64 wide ones.

        Rows are not reset, which would take a wire to thousands of flip-flops: what is on its way
        through them when a reset begins has left before it ends.
        """
        row = library.module(Row(self.config))
        count = self.config.rows
        token = f"[{Shape.cast(self.i.shape()).width - 1}:0]"
        width = Shape.cast(self.result.shape()).width
        lines = [
            "module {name}(clk, i, results);",
            "  input clk;",
            f"  input {token} i;",
            f"  output [{count * width - 1}:0] results;",
        ]
        lines += [f"  wire {token} token_{n};" for n in range(count + 1)]
        lines += ["  assign token_0 = i;"]
        for n in range(count):
            lines.append(
                f"  {row} row_{n} (.clk(clk), .rst(1'b0), .i(token_{n}), .o(token_{n + 1}), "
                f".result(results[{(n + 1) * width - 1}:{n * width}]));"
            )
        return Instance(
            library.add("chain", "\n".join([*lines, "endmodule", ""])),
            i_clk=ClockSignal(),
            i_i=self.i,
            o_results=results,
        )
