"""A board's bitstream: Verilog, netlist, placement, timing check, bits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from summand.boards.board import Board
from summand.boards.files import TOP_MODULE, constraints_of
from summand.families.base import FpgaFamily
from summand.families.cells import CELL_KINDS, CellCounts
from summand.families.flow import PlaceOptions
from summand.isa import ConfigError, SummandError
from summand.synth.flow import Netlist, pack, place_and_route, synthesise
from summand.synth.placement import Placement
from summand.synth.steps import Progress
from summand.synth.tools import YOSYS, ToolError, ToolSource, find_tool

__all__ = ["Bitstream", "TimingError", "build_bitstream", "check_tools"]


class TimingError(SummandError):
    """A design that is too slow for its board's clock."""


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """What a board is configured with, and how it was made.

    Parameters
    ----------
    board : Board
        The board.
    memory : bool
        Whether its memory holds the weights.
    netlist : Netlist
        What Yosys made of the Verilog.
    attempts : tuple of Placement
        One for each seed that was tried; the last one met all clocks and is in the bitstream.
    path : Path
        The bitstream.
    """

    board: Board
    memory: bool
    netlist: Netlist
    attempts: tuple[Placement, ...]
    path: Path

    @property
    def placement(self) -> Placement:
        """The one in the bitstream."""
        return self.attempts[-1]


def check_tools(family: FpgaFamily, source: ToolSource = ToolSource.AUTO) -> None:
    """Find all programs that make a bitstream for ``family``.

    Raises
    ------
    ToolError
        If one is missing or too old, or the family cannot be placed and routed.
    """
    if family.flow is None:
        raise ToolError(f"{family.title} is counted only: there is no place and route of it here")
    for tool in (YOSYS, *family.flow.tools):
        find_tool(tool.name, source)


def build_bitstream(
    board: Board,
    files: Mapping[str, str],
    folder: Path,
    *,
    memory: bool = False,
    seeds: Sequence[int] = (1,),
    source: ToolSource = ToolSource.AUTO,
    progress: Progress | None = None,
) -> Bitstream:
    """Make a bitstream for ``board``.

    Parameters
    ----------
    board : Board
        The board.
    files : mapping of str to str
        Names and texts of its Verilog and constraints, from
        :func:`~summand.boards.files.board_files`.
    folder : Path
        For the tools' files alone. What an earlier call with the same inputs left there is used.
    memory : bool
        The files are those of a design whose memory holds the weights.
    seeds : sequence of int
        Seeds of the placement, tried in turn until one meets all clocks.
    source : ToolSource
        Where the tools may come from.
    progress : callable, optional
        Called about every second with what is being done.

    Raises
    ------
    ToolError
        If a tool is missing or too old, which is found before the first is run, or fails.
    ConfigError
        If the design needs more than the board's FPGA has, found before placement.
    TimingError
        If no seed meets the clock. There is no bitstream then.
    """
    if not seeds:
        raise ConfigError("give at least one seed")
    check_tools(board.family, source)
    verilog = {name: text for name, text in files.items() if name.endswith(".v")}
    netlist = synthesise(
        verilog,
        TOP_MODULE,
        folder / "synthesis",
        family=board.family,
        source=source,
        progress=progress,
    )
    _check_fit(board, netlist.counts)
    attempts = []
    for seed in seeds:
        options = PlaceOptions(
            chip=board.chip,
            mhz=board.design_hz(memory=memory) / 1e6,
            seed=seed,
            constraints=files[constraints_of(board)],
            config=True,
        )
        place = folder / f"placement-{seed}"
        attempts.append(place_and_route(netlist, place, options, source=source, progress=progress))
        if _met(attempts[-1]):
            break
    else:
        raise TimingError(_missed(board, attempts))
    bits = pack(attempts[-1], folder / "bitstream", source=source, progress=progress)
    return Bitstream(
        board=board, memory=memory, netlist=netlist, attempts=tuple(attempts), path=bits
    )


def _check_fit(board: Board, counts: CellCounts) -> None:
    part = board.chip.part
    for kind in CELL_KINDS:
        needed, there = getattr(counts, kind.name), getattr(part, kind.name)
        if needed > there:
            raise ConfigError(
                f"the engine does not fit on {board.name}: it needs {needed:,.0f} {kind.title} and "
                f"the {part.name} has {there:,}; give --config FILE with {kind.remedy}"
            )


def _met(placement: Placement) -> bool:
    if not placement.clocks:
        raise ToolError(f"nextpnr found no clock; see {placement.log}")
    return all(clock.met for clock in placement.clocks.values())


def _missed(board: Board, attempts: Sequence[Placement]) -> str:
    """Describe which clock was reached, and what to try."""

    def slack(placement: Placement) -> float:
        return min(c.achieved_mhz / c.constraint_mhz for c in placement.clocks.values())

    best = max(attempts, key=slack)
    name, clock = min(
        best.clocks.items(), key=lambda item: item[1].achieved_mhz / item[1].constraint_mhz
    )
    tried = [placement.options.seed for placement in attempts]
    path = next((f"; its slowest path is {p}" for p in best.paths if p.clock == name), "")
    more = range(max(tried) + 1, max(tried) + 4)
    return (
        f"timing missed on {board.name}, so there is no bitstream: {clock.achieved_mhz:.1f} MHz "
        f"reached with seed {best.options.seed} of {', '.join(map(str, tried))}, "
        f"{clock.constraint_mhz:g} MHz needed{path}. Try other seeds "
        f"({' '.join(f'--seed {seed}' for seed in more)}) or a smaller engine (--config FILE)"
    )
