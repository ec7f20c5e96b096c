"""When a DDR3 PHY reads: found by trying every setting."""

from dataclasses import dataclass
from itertools import groupby

from summand.boards.dram.commands import HostCommands
from summand.boards.dram.controller import DramController

__all__ = ["LaneSetting", "best_setting", "level_reads"]


@dataclass(frozen=True, kw_only=True)
class LaneSetting:
    """How a byte lane is read.

    Parameters
    ----------
    bitslip : int
        Half clocks by which its bits are shifted.
    delay : int
        Setting of the delay of its strobe.
    window : int
        How many delays around this one read right.
    """

    bitslip: int
    delay: int
    window: int


def best_setting(works: dict[tuple[int, int], bool]) -> LaneSetting | None:
    """Return the middle of the longest row of delays that work; None if none does.

    Parameters
    ----------
    works : dict of (int, int) to bool
        Bitslip and delay, and whether the lane was read right.
    """
    found: list[LaneSetting] = []
    for (bitslip, right), group in groupby(sorted(works), lambda place: (place[0], works[place])):
        delays = [delay for _, delay in group]
        if right:
            middle = delays[(len(delays) - 1) // 2]
            found.append(LaneSetting(bitslip=bitslip, delay=middle, window=len(delays)))
    return max(found, key=lambda setting: setting.window, default=None)


def level_reads(controller: DramController, host: HostCommands) -> list[LaneSetting | None]:
    """Find and set each lane's best time to read; None where a lane is read right at no time.

    All lanes are tried at once. Nothing is to be set for writing: the PHY aligns writes itself.
    """
    registers = host.registers
    lanes = controller.dram.data_bits // 8
    every = (1 << lanes) - 1
    works: list[dict[tuple[int, int], bool]] = [{} for _ in range(lanes)]
    _act(host, every, "phy_rdly_dq_bitslip_rst")
    for bitslip in range(controller.bitslips):
        _act(host, every, "phy_rdly_dq_rst")
        for delay in range(controller.delays):
            bad: set[int] = set()
            for pattern in host.patterns(2):
                registers.write("phy_burstdet_clr", 1)
                bad |= host.lanes(host.wrong(pattern))
                seen = registers.read("phy_burstdet_seen")
                bad |= {lane for lane in range(lanes) if not seen >> lane & 1}
            for lane in range(lanes):
                works[lane][bitslip, delay] = lane not in bad
            _act(host, every, "phy_rdly_dq_inc")
        _act(host, every, "phy_rdly_dq_bitslip")
    settings = [best_setting(its) for its in works]
    for lane, setting in enumerate(settings):
        if setting is not None:
            _act(host, 1 << lane, "phy_rdly_dq_bitslip_rst", "phy_rdly_dq_rst")
            _act(host, 1 << lane, *["phy_rdly_dq_bitslip"] * setting.bitslip)
            _act(host, 1 << lane, *["phy_rdly_dq_inc"] * setting.delay)
    _act(host, every)  # lanes that were paused together go on together
    return settings


def _act(host: HostCommands, lanes: int, *registers: str) -> None:
    """Pause the strobes of ``lanes``, act on their settings, and let them go on."""
    host.registers.write("phy_dly_sel", lanes)
    for register in registers:
        host.registers.write(register, 1)
    host.registers.write("phy_dly_sel", 0)
