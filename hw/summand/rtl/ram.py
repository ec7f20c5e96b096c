"""Block RAM: one write port, one read port."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from summand.rtl.fold import Library

__all__ = ["BlockRam"]

# Amaranth would write out every bit of the initial zeros, which takes minutes for a large memory.
_VERILOG = """\
module {name}(clk, write_en, write_addr, write_data, read_en, read_addr, read_data);
  input clk;
  input write_en;
  input [{addr_top}:0] write_addr;
  input [{data_top}:0] write_data;
  input read_en;
  input [{addr_top}:0] read_addr;
  output reg [{data_top}:0] read_data = 0;
  reg [{data_top}:0] memory [0:{last}];
  integer i;
  initial
    for (i = 0; i <= {last}; i = i + 1)
      memory[i] = 0;
  always @(posedge clk) begin
    if (write_en)
      memory[write_addr] <= write_data;
    if (read_en) begin
      read_data <= memory[read_addr];
      if (write_en && write_addr == read_addr)
        read_data <= {width}'bx;
    end
  end
endmodule
"""


class BlockRam(wiring.Component):
    """Hold ``depth`` words, zero at power-up. One write and one read a cycle.

    A word that is read in the cycle in which it is written reads as anything: no user of this
    component may look at it. Block RAMs differ in what they return then, and a promise would cost
    a bypass register and a multiplexer for every bit. The Verilog says so with an ``x``, from
    which synthesis learns that it need not care, and which simulation can make random.

    Parameters
    ----------
    width : int
        Bits of a word.
    depth : int
        Words, at least 2.

    Members
    -------
    write_en : ``In(1)``
        Write ``write_data`` to ``write_addr``.
    read_en : ``In(1)``
        Read; ``read_data`` has the word of ``read_addr`` from the next cycle on, until another
        read.
    """

    write_en: Signal
    write_addr: Signal
    write_data: Signal
    read_en: Signal
    read_addr: Signal
    read_data: Signal

    def __init__(self, *, width: int, depth: int):
        self.width = width
        self.depth = depth
        super().__init__(
            {
                "write_en": In(1),
                "write_addr": In(ceil_log2(depth)),
                "write_data": In(width),
                "read_en": In(1),
                "read_addr": In(ceil_log2(depth)),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform):
        if isinstance(platform, Library):
            return self._instance(platform)
        m = Module()

        m.submodules.memory = memory = Memory(shape=self.width, depth=self.depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.write_en),
            write.addr.eq(self.write_addr),
            write.data.eq(self.write_data),
            read.en.eq(self.read_en),
            read.addr.eq(self.read_addr),
            self.read_data.eq(read.data),
        ]

        return m

    def _instance(self, library: Library) -> Any:
        text = _VERILOG.format(
            name="{name}",
            addr_top=ceil_log2(self.depth) - 1,
            data_top=self.width - 1,
            width=self.width,
            last=self.depth - 1,
        )
        name = library.add(f"ram_{self.depth}x{self.width}", text)
        return Instance(
            name,
            i_clk=ClockSignal(),
            i_write_en=self.write_en,
            i_write_addr=self.write_addr,
            i_write_data=self.write_data,
            i_read_en=self.read_en,
            i_read_addr=self.read_addr,
            o_read_data=self.read_data,
        )
