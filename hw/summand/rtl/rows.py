"""All the rows of an engine."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
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
    i, result
        As the first :class:`~summand.rtl.row.Row`'s.
    """

    i: Any
    result: Any

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({"i": In(Token(config)), "result": Out(Result(config))})

    def elaborate(self, platform):
        if isinstance(platform, Library):
            return self._instance(platform)
        m = Module()

        token, result = self.i, self.result
        for n in range(self.config.rows):
            m.submodules[f"row_{n}"] = row = Row(self.config)
            m.d.comb += [row.i.eq(token), result.eq(row.result)]
            token, result = row.o, row.behind

        return m

    def _instance(self, library: Library) -> Any:
        """Chain the one emitted row in Verilog: Amaranth takes a minute for 64 wide ones.

        Rows are not reset, which would take a wire to thousands of flip-flops: what is on its way
        through them when a reset begins has left before it ends.
        """
        row = library.module(Row(self.config))
        count = self.config.rows
        token, result = (f"[{Shape.cast(p.shape()).width - 1}:0]" for p in (self.i, self.result))
        lines = [
            "module {name}(clk, i, result);",
            "  input clk;",
            f"  input {token} i;",
            f"  output {result} result;",
        ]
        lines += [f"  wire {token} token_{n};" for n in range(count + 1)]
        lines += [f"  wire {result} result_{n};" for n in range(count + 1)]
        lines += [
            "  assign token_0 = i;",
            "  assign result = result_0;",
            f"  assign result_{count} = 0;",
        ]
        for n in range(count):
            lines.append(
                f"  {row} row_{n} (.clk(clk), .rst(1'b0), .i(token_{n}), .o(token_{n + 1}), "
                f".behind(result_{n + 1}), .result(result_{n}));"
            )
        return Instance(
            library.add("rows", "\n".join([*lines, "endmodule", ""])),
            i_clk=ClockSignal(),
            i_i=self.i,
            o_result=self.result,
        )
