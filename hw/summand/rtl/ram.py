"""Block RAM: one write port, one read port with an output register."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from summand.isa.latencies import BLOCK_RAM_LATENCY
from summand.isa.memory import EngineMemory
from summand.rtl.fold import Library
from summand.rtl.technology import ECP5_BLOCK_RAM_SHAPES, Technology

__all__ = ["BlockRam"]

_PORTS = """\
module {name}(clk, write_en, write_addr, write_data, read_en, read_addr, read_data);
  input clk;
  input write_en;
  input [{addr_top}:0] write_addr;
  input [{data_top}:0] write_data;
  input read_en;
  input [{addr_top}:0] read_addr;
"""

# Amaranth would write out every bit of the initial zeros, which takes minutes for a large memory.
_GENERIC = (
    _PORTS
    + """\
  output reg [{data_top}:0] read_data = 0;
  reg [{data_top}:0] word = 0;
  reg [{data_top}:0] words [0:{last}];
  integer i;
  initial
    for (i = 0; i <= {last}; i = i + 1)
      words[i] = 0;
  always @(posedge clk) begin
    if (write_en)
      words[write_addr] <= write_data;
    if (read_en) begin
      word <= words[read_addr];
      if (write_en && write_addr == read_addr)
        word <= {width}'bx;
      read_data <= word;
    end
  end
endmodule
"""
)


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
        Read ``read_addr``, and bring what was read before to ``read_data``: a word arrives there
        with the :attr:`LATENCY`-th enabled cycle, its own being the first.
    """

    #: Enabled cycles from an address to its word.
    LATENCY = BLOCK_RAM_LATENCY

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

    @classmethod
    def of(cls, memory: EngineMemory) -> "BlockRam":
        """Return one of an engine's memories."""
        return cls(width=memory.width, depth=memory.depth)

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
        ]
        with m.If(self.read_en):
            m.d.sync += self.read_data.eq(read.data)

        return m

    def _instance(self, library: Library) -> Any:
        text = _GENERIC
        if library.technology is Technology.ECP5 and self.depth <= ECP5_BLOCK_RAM_SHAPES[-1][1]:
            text = _PORTS + self._ecp5_body()
        text = text.format(
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

    def _ecp5_body(self) -> str:
        """Cut words into block RAMs whose output registers are used, which inference is not.

        A block RAM's own output comes 5 ns late in the cycle, its register's in 1 ns.
        """
        width, _ = next(shape for shape in ECP5_BLOCK_RAM_SHAPES if shape[1] >= self.depth)
        count = -(-self.width // width)
        skip = ceil_log2(width // 9 * 8 if width >= 9 else width)  # low address bits, unused
        bytes_written = 2 ** (width // 9) - 1 if width >= 18 else 0
        lines = [
            "  output [{data_top}:0] read_data;",
            f"  wire [{count * width - 1}:0] data_in = write_data;",
            f"  wire [{count * width - 1}:0] data_out;",
            f"  wire [13:0] write_place = (write_addr << {skip}) | {bytes_written};",
            f"  wire [13:0] read_place = read_addr << {skip};",
            "  assign read_data = data_out[{data_top}:0];",
        ]
        for n in range(count):
            lines += _ecp5_block(n, width)
        return "\n".join([*lines, "endmodule", ""])


def _ecp5_block(n: int, width: int) -> list[str]:
    """Return the lines of the ``n``-th block RAM, for :meth:`str.format`."""
    double = width == 36
    modes = {
        "DATA_WIDTH_A": width,
        "DATA_WIDTH_B": width,
        "REGMODE_A": '"OUTREG"' if double else '"NOREG"',
        "REGMODE_B": '"OUTREG"',
        "RESETMODE": '"SYNC"',
        "ASYNC_RESET_RELEASE": '"SYNC"',
        "CSDECODE_A": '"0b000"',
        "CSDECODE_B": '"0b000"',
        "CLKAMUX": '"CLKA"',
        "CLKBMUX": '"CLKB"',
        "WRITEMODE_A": '"NORMAL"',
        "WRITEMODE_B": '"NORMAL"',
        "GSR": '"DISABLED"',
    }
    half = min(width, 18)
    ports = {
        "CLKA": "clk",
        "CLKB": "clk",
        "CEA": "write_en",
        "WEA": "write_en",
        "OCEA": "read_en" if double else "1'b0",
        "CEB": "read_en",
        "OCEB": "read_en",
        "WEB": "1'b0",
        **{f"RST{port}": "1'b0" for port in "AB"},
        **{f"CS{port}{i}": "1'b0" for port in "AB" for i in range(3)},
        **{f"ADA{i}": f"write_place[{i}]" for i in range(14)},
        **{f"ADB{i}": f"read_place[{i}]" for i in range(14)},
    }
    for i in range(18):
        low, high = n * width + i, n * width + 18 + i
        ports[f"DIA{i}"] = f"data_in[{low}]" if i < half else "1'b0"
        ports[f"DIB{i}"] = f"data_in[{high}]" if double else "1'b0"
        if double:
            ports[f"DOA{i}"] = f"data_out[{low}]"
            ports[f"DOB{i}"] = f"data_out[{high}]"
        elif i < half:
            ports[f"DOB{i}"] = f"data_out[{low}]"
    return [
        f"  DP16KD #({', '.join(f'.{k}({v})' for k, v in modes.items())})",
        f"    block_{n} ({', '.join(f'.{k}({v})' for k, v in ports.items())});",
    ]
