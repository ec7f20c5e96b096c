"""Make a board's memory ready, as a host does it through the controller's registers."""

from summand.boards.dram.bus import ControlBus
from summand.boards.dram.commands import HostCommands
from summand.boards.dram.controller import DramController
from summand.boards.dram.levelling import LaneSetting, level_reads
from summand.isa import SummandError

__all__ = ["DramError", "initialise", "initialised"]

#: Seconds for which a memory is held in reset.
_RESET_S = 200e-6
#: Words with which the memory is tested at the end.
_PATTERNS = 8


class DramError(SummandError):
    """A memory does not answer as it must."""


def initialised(controller: DramController, bus: ControlBus) -> bool:
    """Return whether the memory has been made ready since the controller was configured."""
    return HostCommands(controller, bus).registers.read("status_done") != 0


def initialise(controller: DramController, bus: ControlBus, board: str) -> list[LaneSetting]:
    """Make the memory ready, and let its users at it; what it held is lost.

    Its rows are not refreshed meanwhile, which is no harm: all tests use one row, and write it
    just before they read it.

    Parameters
    ----------
    controller : DramController
        The controller in the board's bitstream.
    bus : ControlBus
        The way to its registers.
    board : str
        The board's name, for errors.

    Returns
    -------
    list of LaneSetting
        When each byte lane is read; empty if the PHY has no such setting.

    Raises
    ------
    DramError
        If the memory does not answer as it must. Its users stay without it.
    """
    host = HostCommands(controller, bus)
    host.take()
    bus.wait(round(controller.dram.clock_hz * _RESET_S))
    host.play(controller.sequence)
    settings: list[LaneSetting] = []
    if "phy_dly_sel" in host.registers:
        for lane, setting in enumerate(level_reads(controller, host)):
            if setting is None:
                tried = controller.bitslips * controller.delays
                raise _failure(
                    board, f"byte lane {lane} is read right with none of {tried} settings"
                )
            settings.append(setting)
    for pattern in host.patterns(_PATTERNS):
        if bad := host.lanes(host.wrong(pattern)):
            named = " and ".join(map(str, sorted(bad)))
            raise _failure(board, f"what was written comes back wrong on byte lane {named}")
    host.give()
    return settings


def _failure(board: str, what: str) -> DramError:
    return DramError(
        f"{board}: the memory does not start: {what}; check that the bitstream was made for this "
        f"board and clock, and that [memory.dram] in the board's file describes its memory"
    )
