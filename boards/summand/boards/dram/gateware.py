"""A generated controller within a design."""

from collections.abc import Mapping
from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from summand.boards.dram.controller import MODULE, DramController
from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.memory.native import NativeMemory
from summand.rtl.memory.port import MemoryPort

__all__ = ["SIMULATED_MODULE", "ControlPort", "LiteDram", "SimulatedDram", "simulated_verilog"]

#: Width of a word's address on the control bus.
_CONTROL_BITS = 14

#: Name of the module that :func:`simulated_verilog` makes.
SIMULATED_MODULE = "summand_memory"


class ControlPort(wiring.Signature):
    """The way to a controller's registers, a Wishbone bus of 32 bits, as its initiator sees it."""

    def __init__(self):
        super().__init__(
            {
                "adr": Out(_CONTROL_BITS),
                "dat_w": Out(32),
                "dat_r": In(32),
                "cyc": Out(1),
                "stb": Out(1),
                "we": Out(1),
                "ack": In(1),
            }
        )


class LiteDram(wiring.Component):
    """A generated controller, whose Verilog is to be given to the tools beside that of this.

    All members but ``clk`` and ``rst`` belong to the clock ``user_clk``. The controller is reset by
    ``rst`` alone.

    Parameters
    ----------
    controller : DramController
        The controller.
    pads : mapping of str to object
        The memory's pads, by LiteDRAM's names: ``a``, ``ba``, ``dq``, ... Those left out are left
        open.

    Members
    -------
    clk, rst : ``In(1)``
        The oscillator, and a reset, asynchronous.
    user_clk, user_rst : ``Out(1)``
        The clock and the reset for everything else.
    control : ``In(ControlPort())``
        Its registers.
    native : ``In(NativePort)``
        Its user port. Commands wait until the memory has been initialised.
    """

    clk: Signal
    rst: Signal
    user_clk: Signal
    user_rst: Signal
    control: Any
    native: Any

    def __init__(self, controller: DramController, *, pads: Mapping[str, Any]):
        self.pads = pads
        super().__init__(
            {
                "clk": In(1),
                "rst": In(1),
                "user_clk": Out(1),
                "user_rst": Out(1),
                "control": In(ControlPort()),
                "native": In(controller.native),
            }
        )

    def elaborate(self, platform):
        m = Module()

        native, control = self.native, self.control
        m.submodules.controller = Instance(
            MODULE,
            i_clk=self.clk,
            i_rst=self.rst,
            o_user_clk=self.user_clk,
            o_user_rst=self.user_rst,
            i_control_adr=control.adr,
            i_control_dat_w=control.dat_w,
            o_control_dat_r=control.dat_r,
            i_control_cyc=control.cyc,
            i_control_stb=control.stb,
            i_control_we=control.we,
            o_control_ack=control.ack,
            i_user_cmd_valid=native.cmd.valid,
            o_user_cmd_ready=native.cmd.ready,
            i_user_cmd_we=native.cmd.payload.we,
            i_user_cmd_addr=native.cmd.payload.addr,
            i_user_wdata_valid=native.wdata.valid,
            o_user_wdata_ready=native.wdata.ready,
            i_user_wdata_data=native.wdata.payload,
            o_user_rdata_valid=native.rdata.valid,
            o_user_rdata_data=native.rdata.payload,
            **{f"{'io' if n[:2] == 'dq' else 'o'}_dram_{n}": pad for n, pad in self.pads.items()},
        )

        return m


class SimulatedDram(wiring.Component):
    """A controller that was made to be simulated, on one clock.

    Parameters
    ----------
    controller : DramController
        The controller.
    memory : :class:`~summand.rtl.memory.native.NativeMemory`
        What lies between its port and the beats.

    Members
    -------
    clk, rst : ``In(1)``
        Clock, and reset, synchronous.
    control : ``In(ControlPort())``
        The controller's registers.
    port : ``In(MemoryPort(stream_bits))``
        The memory.
    """

    clk: Signal
    rst: Signal
    control: Any
    port: Any

    def __init__(self, controller: DramController, memory: NativeMemory):
        self.controller = controller
        self.memory = memory
        super().__init__(
            {
                "clk": In(1),
                "rst": In(1),
                "control": In(ControlPort()),
                "port": In(MemoryPort(memory.stream_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        domain: Any = ClockDomain("sync", local=True)
        domain.clk = self.clk
        domain.rst = self.rst
        m.domains += domain
        m.submodules.dram = dram = LiteDram(self.controller, pads={})
        m.submodules.memory = memory = self.memory
        m.d.comb += [dram.clk.eq(self.clk), dram.rst.eq(self.rst)]
        connect(m, wiring.flipped(self.control), dram.control)
        connect(m, wiring.flipped(self.port), memory.port)
        connect(m, memory.native, dram.native)

        return m


def simulated_verilog(
    controller: DramController, memory: NativeMemory, config: EngineConfig
) -> str:
    """Return the Verilog of a :class:`SimulatedDram`, module :data:`SIMULATED_MODULE`.

    ``config`` is the engine whose beats the memory holds.
    """
    top = SimulatedDram(controller, memory)
    return controller.verilog + emit_verilog(top, name=SIMULATED_MODULE, config=config)
