"""All the rows of an engine."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.structure import JOINED_ROWS, joints
from summand.rtl.collect import Collector, Joint
from summand.rtl.fold import Library
from summand.rtl.row import Row
from summand.rtl.token import Result, Token

__all__ = ["Rows"]


class Rows(wiring.Component):
    """A chain of rows: tokens go from each row to the next, and results come back.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    i : ``In(Token)``
        Orders for the first row.
    result : ``Out(Result)``
        Accumulators that were drained from any row.
    """

    i: Any
    result: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({"i": In(Token(config)), "result": Out(Result(config))})

    def elaborate(self, platform):
        m = Module()

        if isinstance(platform, Library):
            m.submodules.chain = self._chain(platform)
            return m
        m.submodules.collector = collector = Collector(self.config)
        m.d.comb += self.result.eq(collector.o)
        token = self.i
        for n, result in enumerate(collector.i):
            m.submodules[f"row_{n}"] = row = Row(self.config)
            m.d.comb += [row.i.eq(token), result.eq(row.result)]
            token = row.o

        return m

    def _chain(self, library: Library) -> Any:
        """Chain instances of one emitted row in Verilog; Amaranth takes a minute for 64 rows.

        Rows have no reset, which would be a wire to thousands of flip-flops. The engine's reset
        lasts until everything has left them that was on its way when it began.
        """
        row = library.module(Row(self.config))
        groups = joints(self.config)
        modules = {rows: library.module(Joint(self.config, rows)) for rows in sorted(set(groups))}
        token, result = (f"[{_width(port) - 1}:0]" for port in (self.i, self.result))
        lines = [
            "module {name}(clk, i, result);",
            "  input clk;",
            f"  input {token} i;",
            f"  output {result} result;",
        ]
        lines += [f"  wire {token} token_{n};" for n in range(self.config.rows + 1)]
        lines += [f"  wire {result} result_{n};" for n in range(self.config.rows)]
        lines += [f"  wire {result} joined_{n};" for n in range(len(groups) + 1)]
        lines += ["  assign token_0 = i;", "  assign result = joined_0;"]
        lines += [f"  assign joined_{len(groups)} = {_width(self.result)}'d0;"]
        for n in range(self.config.rows):
            lines.append(
                f"  {row} row_{n} (.clk(clk), .rst(1'b0), .i(token_{n}), .o(token_{n + 1}), "
                f".result(result_{n}));"
            )
        for n, rows in enumerate(groups):
            ports = "".join(f".i__{i}(result_{n * JOINED_ROWS + i}), " for i in range(rows))
            lines.append(
                f"  {modules[rows]} joint_{n} (.clk(clk), .rst(1'b0), {ports}"
                f".behind(joined_{n + 1}), .o(joined_{n}));"
            )
        return Instance(
            library.add("chain", "\n".join([*lines, "endmodule", ""])),
            i_clk=ClockSignal(),
            i_i=self.i,
            o_result=self.result,
        )


def _width(port: Any) -> int:
    return Shape.cast(port.shape()).width
