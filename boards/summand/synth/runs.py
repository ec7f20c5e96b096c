"""Stored runs: the results of synthesising many engines, as data."""

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from summand.isa import EngineConfig, SummandError
from summand.synth.measure import CLOCK, Measured

__all__ = ["RunError", "SynthesisRun", "add_runs", "counted_run", "load_runs", "runs_of"]


class RunError(SummandError):
    """Stored runs that cannot be read or written."""


@dataclass(frozen=True, kw_only=True)
class SynthesisRun:
    """One engine: counted by Yosys, packed, or placed and routed once.

    Parameters
    ----------
    config : EngineConfig
        The engine, with its AXI ports.
    part, speed_grade : str, int
        The FPGA; empty and 0 where cells were counted only, which depend on no part.
    mhz : float
        The clock that nextpnr was asked for; 0 where it did not run.
    seed : int
        Of the placement; 0 where the engine was not placed.
    luts, ffs, lut_rams, block_rams, dsps : int
        Cells of each kind, as nextpnr counts them, or Yosys where nextpnr did not run. Block RAMs
        may be halves.
    cells : dict of str to int
        Yosys's cells by type.
    fmax_mhz : float or None
        The clock that was reached; None where the engine was not placed.
    path : str
        The slowest path; empty where the engine was not placed.
    yosys, nextpnr : str
        Versions; nextpnr's is empty where it did not run.
    verilog : str
        SHA-256 of the engine's Verilog.
    yosys_s, nextpnr_s : float
        Wall time, seconds.
    """

    config: EngineConfig
    part: str
    speed_grade: int
    mhz: float
    seed: int
    luts: int
    ffs: int
    lut_rams: int
    block_rams: float
    dsps: int
    cells: dict[str, int]
    fmax_mhz: float | None
    path: str
    yosys: str
    nextpnr: str
    verilog: str
    yosys_s: float
    nextpnr_s: float

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from other runs: a store holds one run of each key."""
        return (*dataclasses.astuple(self.config), self.part, self.speed_grade, self.seed, self.mhz)

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(dataclasses.asdict(self), separators=(", ", ": "))

    @classmethod
    def from_json(cls, line: str) -> "SynthesisRun":
        """Parse one line; raises :class:`RunError`."""
        try:
            raw = json.loads(line)
            return cls(**{**raw, "config": EngineConfig.from_dict(raw["config"])})
        except (ValueError, TypeError, KeyError, SummandError) as e:
            raise RunError(f"not a stored run: {e}") from None


def runs_of(measured: Measured) -> list[SynthesisRun]:
    """Return the runs of an engine that was packed, or placed and routed."""
    runs = []
    for placement in measured.placements:
        options, chip = placement.options, placement.options.chip
        if options.route and CLOCK not in placement.clocks:
            raise RunError(f"nextpnr found no clock {CLOCK}; see {placement.log}")
        runs.append(
            SynthesisRun(
                config=measured.config,
                part=chip.part.name,
                speed_grade=chip.speed_grade,
                mhz=options.mhz,
                seed=options.seed if options.route else 0,
                **placement.cells.used,
                cells=dict(sorted(measured.netlist.cells.items())),
                fmax_mhz=(
                    round(placement.clocks[CLOCK].achieved_mhz, 2) if options.route else None
                ),
                path=next((str(p) for p in placement.paths if p.clock == CLOCK), ""),
                yosys=measured.netlist.tool,
                nextpnr=placement.tool,
                verilog=measured.verilog,
                yosys_s=measured.netlist.seconds,
                nextpnr_s=placement.seconds,
            )
        )
    return runs


def counted_run(measured: Measured) -> SynthesisRun:
    """Return the run of an engine whose cells Yosys has counted."""
    return SynthesisRun(
        config=measured.config,
        part="",
        speed_grade=0,
        mhz=0,
        seed=0,
        **dataclasses.asdict(measured.netlist.counts),
        cells=dict(sorted(measured.netlist.cells.items())),
        fmax_mhz=None,
        path="",
        yosys=measured.netlist.tool,
        nextpnr="",
        verilog=measured.verilog,
        yosys_s=measured.netlist.seconds,
        nextpnr_s=0,
    )


def load_runs(store: Path) -> list[SynthesisRun]:
    """Return the runs of a store, which has one a line, in order; raises :class:`RunError`."""
    try:
        lines = store.read_text().splitlines()
    except OSError as e:
        raise RunError(f"cannot read {store}: {e.strerror}") from None
    runs = []
    for number, line in enumerate(lines, 1):
        try:
            runs.append(SynthesisRun.from_json(line))
        except RunError as e:
            raise RunError(f"{store}, line {number}: {e}") from None
    return runs


def add_runs(new: Iterable[SynthesisRun], store: Path) -> None:
    """Add runs to a store, in the place of older ones of the same engine, part, seed and clock.

    The store is written anew and then moved to its place; processes take turns.

    Raises
    ------
    RunError
        If it cannot be read or written.
    """
    try:
        with _lock(store):
            known = {run.key: run for run in (load_runs(store) if store.exists() else [])}
            known |= {run.key: run for run in new}
            part = store.with_name(f"{store.name}.part")
            part.write_text("".join(f"{known[key].to_json()}\n" for key in sorted(known)))
            part.replace(store)
    except OSError as e:
        raise RunError(f"cannot write {store}: {e.strerror}") from None


@contextmanager
def _lock(store: Path) -> Iterator[None]:
    descriptor = os.open(store.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
