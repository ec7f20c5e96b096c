"""Write a LiteDRAM controller; run as a script, in a process of its own.

Reads a description from standard input and prints the controller, both as JSON; see
:mod:`summand.boards.dram.controller`. LiteX and Migen keep state in their modules, log, and warn,
none of which reaches the caller.
"""

import json
import logging
import re
import sys
from typing import Any

from litedram import modules, phy
from litedram.core import LiteDRAMCore
from litedram.init import get_sdram_phy_init_sequence
from litedram.phy import dfi
from litedram.phy.model import SDRAMPHYModel
from litex.build.generic_platform import Pins, Subsignal
from litex.build.io import DDROutput
from litex.build.lattice import LatticePlatform
from litex.build.sim import SimPlatform
from litex.gen import LiteXModule
from litex.soc.cores.clock import ECP5PLL
from litex.soc.interconnect import csr_bus, wishbone
from litex.soc.interconnect.csr import CSRStorage
from migen import ClockDomain, ClockSignal, If, Instance, ResetSignal, Signal
from migen.genlib.resetsync import AsyncResetSynchronizer

_CONTROL_BITS = 14  # of a word's address on the control bus
#: Cycles of the oscillator for which the PLL of a DDR3 controller is held in reset.
_POWER_UP = 2**16 - 1
#: Of the logic that starts the DDR3 PHY's delays.
_START_HZ = 25e6


def _ports() -> list[tuple[Any, ...]]:
    """Return the controller's ports besides its pads and its user port."""
    control = {"adr": _CONTROL_BITS, "dat_w": 32, "dat_r": 32}
    control |= dict.fromkeys(("cyc", "stb", "we", "ack"), 1)
    single = [(name, 0, Pins(1)) for name in ("clk", "rst", "user_clk", "user_rst")]
    return [*single, _record("control", control)]


def _pads(spec: dict[str, Any]) -> tuple[Any, ...]:
    """Return the memory's pads."""
    rows, banks = (modules.log2_int(spec[name]) for name in ("rows", "banks"))
    lanes = spec["data_bits"] // 8
    widths = {"a": rows, "ba": banks, "dm": lanes, "dq": spec["data_bits"]}
    widths |= dict.fromkeys(("ras_n", "cas_n", "we_n", "cs_n", "cke"), 1)
    if spec["memtype"] == "DDR3":
        widths |= {"dqs_p": lanes, "odt": 1, "reset_n": 1}
    return _record("dram", widths | {"clk_p": 1})


def _record(name: str, widths: dict[str, int]) -> tuple[Any, ...]:
    return (name, 0, *(Subsignal(part, Pins(width)) for part, width in widths.items()))


class _SimulatedClocks(LiteXModule):
    """The user's clock is the clock; a memory that is simulated has no pins."""

    def __init__(self, platform: Any):
        self.cd_sys = ClockDomain("sys")
        self.comb += [
            self.cd_sys.clk.eq(platform.request("clk")),
            self.cd_sys.rst.eq(platform.request("rst")),
        ]


class _SdrClocks(LiteXModule):
    """The user's clock, and the memory's a quarter of a cycle later."""

    def __init__(self, platform: Any, spec: dict[str, Any], pads: Any):
        self.cd_sys = ClockDomain("sys")
        self.cd_shifted = ClockDomain("shifted", reset_less=True)
        self.pll = pll = ECP5PLL()
        self.comb += pll.reset.eq(platform.request("rst"))
        pll.register_clkin(platform.request("clk"), spec["oscillator_hz"])
        pll.create_clkout(self.cd_sys, spec["clock_hz"], margin=0)
        pll.create_clkout(self.cd_shifted, spec["clock_hz"], phase=90, margin=0, with_reset=False)
        self.specials += DDROutput(1, 0, pads.clk_p, ClockSignal("shifted"))


class _Ddr3Clocks(LiteXModule):
    """The user's clock, and the PHY's of twice its frequency, which its start stops and divides."""

    def __init__(self, platform: Any, spec: dict[str, Any]):
        for name in ("init", "sys", "sys2x"):
            setattr(self, f"cd_{name}", ClockDomain(name))
        for name in ("power", "fast"):
            setattr(self, f"cd_{name}", ClockDomain(name, reset_less=True))
        self.stop, self.reset = Signal(), Signal()

        clk, left = platform.request("clk"), Signal(16, reset=_POWER_UP)
        self.comb += self.cd_power.clk.eq(clk)
        self.sync.power += If(left != 0, left.eq(left - 1))
        self.pll = pll = ECP5PLL()
        self.comb += pll.reset.eq((left != 0) | platform.request("rst"))
        pll.register_clkin(clk, spec["oscillator_hz"])
        pll.create_clkout(self.cd_fast, 2 * spec["clock_hz"], margin=0, with_reset=False)
        pll.create_clkout(self.cd_init, _START_HZ)
        self.specials += [
            Instance(
                "ECLKSYNCB",
                i_ECLKI=self.cd_fast.clk,
                i_STOP=self.stop,
                o_ECLKO=self.cd_sys2x.clk,
            ),
            Instance(
                "CLKDIVF",
                p_DIV="2.0",
                i_ALIGNWD=0,
                i_CLKI=self.cd_sys2x.clk,
                i_RST=self.reset,
                o_CDIVX=self.cd_sys.clk,
            ),
            AsyncResetSynchronizer(self.cd_sys, ~pll.locked | self.reset),
            AsyncResetSynchronizer(self.cd_sys2x, ~pll.locked | self.reset),
        ]


class _SimulatedPhy(LiteXModule):
    """LiteDRAM's model of PHY and memory, made to mark read data in every phase."""

    def __init__(self, part: Any, spec: dict[str, Any], settings: Any):
        self.settings = settings
        self.model = model = SDRAMPHYModel(part, settings=settings, clk_freq=spec["clock_hz"])
        geometry, bits = part.geom_settings, settings.dfi_databits
        self.dfi = dfi.Interface(
            geometry.addressbits, geometry.bankbits, settings.nranks, bits, settings.nphases
        )
        self.comb += self.dfi.connect(model.dfi, omit={"rddata_valid"})
        self.comb += [p.rddata_valid.eq(model.dfi.p0.rddata_valid) for p in self.dfi.phases]


class _Status(LiteXModule):
    """Lets the user's port work when whoever initialises the memory says so."""

    def __init__(self):
        self.done = CSRStorage()


class _Controller(LiteXModule):
    """PHY, controller, control registers and a native port."""

    def __init__(self, platform: Any, spec: dict[str, Any]):
        platform.add_extension(_ports())
        # The PHY of real pads has the settings, so it is made in any case.
        board = _lattice(spec) if spec["simulated"] else platform
        board.add_extension([_pads(spec)])
        pads = board.request("dram")
        real = getattr(phy, spec["phy"])(pads, sys_clk_freq=spec["clock_hz"])
        self.settings = real.settings
        rate = f"1:{self.settings.nphases}"
        part = _part(spec)(spec["clock_hz"], rate)
        if spec["simulated"]:
            self.clocks = _SimulatedClocks(platform)
            self.phy = _SimulatedPhy(part, spec, self.settings)
        elif spec["memtype"] == "DDR3":
            self.clocks, self.phy = _Ddr3Clocks(platform, spec), real
            self.comb += [
                self.clocks.stop.eq(real.init.stop),
                self.clocks.reset.eq(real.init.reset),
            ]
        else:
            self.clocks, self.phy = _SdrClocks(platform, spec, pads), real
        self.core = LiteDRAMCore(
            self.phy, part.geom_settings, part.timing_settings, spec["clock_hz"]
        )
        self.sequence, _ = get_sdram_phy_init_sequence(self.settings, part.timing_settings)
        self.status = _Status()
        self._control(platform)
        self._user(platform)

    def _control(self, platform: Any) -> None:
        pads = platform.request("control")
        bridge = wishbone.Interface(data_width=32, adr_width=_CONTROL_BITS, addressing="word")
        sizes = {"data_width": 32, "address_width": _CONTROL_BITS}
        self.bridge = wishbone.Wishbone2CSR(bridge, csr_bus.Interface(**sizes))
        places = {"core": 0, "phy": 1, "status": 2}
        self.banks = csr_bus.CSRBankArray(self, lambda name, memory: places[name], **sizes)
        self.bus = csr_bus.InterconnectShared([self.bridge.csr], self.banks.get_buses())
        self.comb += [
            *(getattr(bridge, name).eq(getattr(pads, name)) for name in ("adr", "dat_w")),
            *(getattr(bridge, name).eq(getattr(pads, name)) for name in ("cyc", "stb", "we")),
            bridge.sel.eq(0xF),
            pads.dat_r.eq(bridge.dat_r),
            pads.ack.eq(bridge.ack),
        ]

    def _user(self, platform: Any) -> None:
        self.port = port = self.core.crossbar.get_port()
        widths = {"cmd_addr": port.address_width}
        widths |= dict.fromkeys(("wdata_data", "rdata_data"), port.data_width)
        handshakes = ("cmd_valid", "cmd_ready", "wdata_valid", "wdata_ready", "rdata_valid")
        widths |= dict.fromkeys(("cmd_we", *handshakes), 1)
        platform.add_extension([_record("user", widths)])
        pads, done = platform.request("user"), self.status.done.storage
        self.comb += [
            platform.request("user_clk").eq(ClockSignal()),
            platform.request("user_rst").eq(ResetSignal()),
            port.cmd.valid.eq(pads.cmd_valid & done),
            pads.cmd_ready.eq(port.cmd.ready & done),
            port.cmd.we.eq(pads.cmd_we),
            port.cmd.addr.eq(pads.cmd_addr),
            port.wdata.valid.eq(pads.wdata_valid),
            pads.wdata_ready.eq(port.wdata.ready),
            port.wdata.data.eq(pads.wdata_data),
            port.wdata.we.eq(2 ** len(port.wdata.we) - 1),
            pads.rdata_valid.eq(port.rdata.valid),
            port.rdata.ready.eq(1),
            pads.rdata_data.eq(port.rdata.data),
        ]

    def registers(self) -> list[dict[str, Any]]:
        """Return the registers: name, byte offset, bits. Several words lie highest first."""
        found = []
        for name, csrs, place, _ in self.banks.banks:
            offset = place * self.banks.paging
            for csr in csrs:
                found.append({"name": f"{name}_{csr.name}", "offset": offset, "bits": csr.size})
                offset += 4 * -(-csr.size // 32)
        return found


def _part(spec: dict[str, Any]) -> Any:
    """Return LiteDRAM's record of the memory."""
    geometry = {"nbanks": spec["banks"], "nrows": spec["rows"], "ncols": spec["columns"]}
    timings = {name: tuple(value) for name, value in spec["timings"].items()}
    return type("Part", (modules.SDRAMModule,), {"memtype": spec["memtype"], **geometry, **timings})


def _step(what: str, address: int, bank: int, command: str, cycles: int) -> dict[str, Any]:
    """Return a step of the initialisation, with LiteDRAM's names of bits as a number."""
    bits = {"RAS": 8, "CAS": 4, "WE": 2, "CS": 1}
    control = {"CKE": 2, "ODT": 4, "RESET_N": 8}
    names = [name.split("_", 2)[1:] for name in command.split("|")]
    kinds = {kind for kind, _ in names}
    table = {"COMMAND": bits, "CONTROL": control}[kinds.pop()]
    value = sum(table[name] for _, name in names)
    return {
        "what": what,
        "address": address,
        "bank": bank,
        "control": table is control,
        "value": value,
        "cycles": cycles,
    }


def _lattice(spec: dict[str, Any]) -> Any:
    return LatticePlatform(spec["device"], io=[], toolchain="trellis")


def _verilog(platform: Any, controller: Any, name: str) -> str:
    """Return the Verilog, without what LiteX says of the day and of itself."""
    output = platform.get_verilog(controller, name=name, regular_comb=False)
    if output.data_files:
        raise ValueError(f"the controller has files beside its Verilog: {[*output.data_files]}")
    text = re.sub(r"/\*.*?\*/", "", output.main_source, flags=re.DOTALL)
    text = re.sub(r"\s*//.*", "", text)
    # LiteX writes an assignment to several signals once for each of them.
    text = re.sub(r"^(assign .*\n)\1+", r"\1", text, flags=re.MULTILINE)
    # LiteX declares what only primitives drive as inputs.
    text = re.sub(r"\binput  wire (.*\bdram_dqs?(?:_p)?,)", r"inout  wire \1", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def main() -> None:
    """Answer one description."""
    logging.disable()
    spec = json.load(sys.stdin)
    platform = SimPlatform("", io=[]) if spec["simulated"] else _lattice(spec)
    controller = _Controller(platform, spec)
    settings = controller.settings
    text = _verilog(platform, controller, spec["name"])
    sys.stdout.write(
        json.dumps(
            {
                "verilog": text,
                "registers": controller.registers(),
                "sequence": [_step(*step) for step in controller.sequence],
                "address_bits": controller.port.address_width,
                "word_bits": controller.port.data_width,
                "phases": settings.nphases,
                "phase_bits": settings.dfi_databits,
                "read_phase": settings.rdphase,
                "write_phase": settings.wrphase,
                "bitslips": settings.bitslips,
                "delays": settings.delays,
            }
        )
    )


if __name__ == "__main__":
    main()
