"""Make the stored runs: ``python -m summand.synth.sweep``.

It skips runs that are stored with the present Verilog, so an interrupted sweep goes on where it
was. ``--jobs`` processes of Yosys or nextpnr run at a time.
"""

import argparse
import dataclasses
import hashlib
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from summand.families.base import FpgaFamily
from summand.families.flow import PlaceOptions
from summand.families.registry import DEFAULT_FAMILY, FAMILIES, find_family
from summand.isa import EngineConfig, SummandError
from summand.synth.estimate import modelled_cells
from summand.synth.measure import engine_verilog, measure, measure_placed
from summand.synth.runs import SynthesisRun, add_runs, counted_run, load_runs, runs_of
from summand.synth.tools import YOSYS, find_tool

__all__ = ["SweepPoint", "main", "points_of", "sweep"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """An engine to synthesise, and how.

    ``seed`` is 0 for engines that are packed only, ``options`` None for families whose cells are
    counted only.
    """

    config: EngineConfig
    options: PlaceOptions | None
    seed: int = 1

    @property
    def key(self) -> tuple[Any, ...]:
        """The key of its stored run."""
        if self.options is None:
            return (*dataclasses.astuple(self.config), "", 0, 0, 0)
        chip = self.options.chip
        return (
            *dataclasses.astuple(self.config),
            *(chip.part.name, chip.speed_grade, self.seed, self.options.mhz),
        )


def points_of(family: FpgaFamily) -> tuple[SweepPoint, ...]:
    """Return what is stored of a family: each engine's cells, then clocks.

    There is one engine for each parameter that can differ, and some in which several do. All are
    made for the family's first chip, some for its others; where there is no place and route, their
    cells are counted once.
    """
    base = EngineConfig(
        rows=1, cols=2, depth=16, stream_bits=32, acc_depth=256, act_depth=32, requant_depth=64
    )
    changes: list[dict[str, int]] = [
        {},
        {"rows": 2},
        {"rows": 4},
        {"cols": 4},
        {"cols": 8},
        {"depth": 32},
        {"depth": 64},
        {"depth": 32, "stream_bits": 64},
        {"cols": 4, "depth": 32, "stream_bits": 128},
        {"act_bits": 4},
        {"act_bits": 6},
        {"act_bits": 10, "depth": 32},
        {"acc_bits": 24},
        {"acc_bits": 28, "cols": 4},
        {"shift": 4},
        {"shift": 4, "rows": 2, "cols": 4},
        {"table_share": 2},
        {"table_share": 4, "depth": 32},
        {"acc_depth": 1024},
        {"acc_depth": 2048, "cols": 4},
        {"act_depth": 256},
        {"requant_depth": 1024},
        {"scale_bits": 4},
        {"scale_bits": 6, "rows": 2, "cols": 4, "depth": 32, "stream_bits": 64},
        {"scale_bits": 2},
        {"scale_bits": 3, "rows": 2, "cols": 4, "depth": 32, "stream_bits": 64},
        {"half_steps": True},
        {"half_steps": True, "rows": 2, "cols": 4, "depth": 32, "stream_bits": 64},
        {"border_shift": 1},
        {"border_shift": 3, "rows": 2, "cols": 4, "depth": 32, "stream_bits": 64},
        {"half_steps": True, "border_shift": 1},
        {
            "half_steps": True,
            "border_shift": 3,
            "rows": 2,
            "cols": 4,
            "depth": 32,
            "stream_bits": 64,
            "shift": 4,
        },
        {"rows": 2, "cols": 4, "depth": 32, "stream_bits": 64},
        *({"sparse_block": block} for block in (4, 8, 16)),
        *(
            {"sparse_block": block, "rows": 2, "cols": 4, "depth": 32, "stream_bits": 64}
            for block in (4, 8, 16)
        ),
        {"sparse_block": 8, "depth": 64},
        {"sparse_block": 8, "cols": 4, "depth": 32, "stream_bits": 128, "scale_bits": 4},
        {
            "sparse_block": 16,
            "half_steps": True,
            "border_shift": 1,
            "cols": 4,
            "depth": 32,
            "stream_bits": 128,
        },
        *(
            {
                "sparse_block": block,
                "cols": 4,
                "depth": 64,
                "stream_bits": 256,
                "acc_depth": 1024,
                "act_depth": 64,
            }
            for block in (4, 16)
        ),
        {"rows": 3, "cols": 4, "depth": 32, "stream_bits": 64, "table_share": 2},
        {"rows": 2, "cols": 4, "depth": 64, "stream_bits": 64, "table_share": 4, "shift": 4},
        {"cols": 4, "depth": 64, "stream_bits": 256, "acc_depth": 1024, "act_depth": 64},
        {
            "rows": 2,
            "cols": 4,
            "depth": 64,
            "stream_bits": 128,
            "acc_depth": 1024,
            "act_depth": 64,
            "shift": 4,
            "requant_depth": 256,
        },
        {
            "rows": 4,
            "cols": 4,
            "depth": 32,
            "stream_bits": 128,
            "acc_depth": 512,
            "acc_bits": 28,
            "table_share": 2,
            "shift": 3,
        },
        {
            "rows": 4,
            "cols": 2,
            "depth": 64,
            "stream_bits": 128,
            "acc_depth": 1024,
            "act_depth": 64,
            "table_share": 2,
            "requant_depth": 256,
        },
        {"digit_bits": 4},
        {"digit_bits": 2},
        {"digit_bits": 4, "rows": 4},
        {"digit_bits": 4, "depth": 64, "half_steps": True},
        {"digit_bits": 2, "rows": 2, "cols": 4, "depth": 32, "stream_bits": 64},
        {
            "digit_bits": 4,
            "act_bits": 6,
            "half_steps": True,
            "scale_bits": 4,
            "rows": 2,
            "cols": 4,
            "depth": 32,
            "stream_bits": 64,
        },
        {"digit_bits": 2, "cols": 8, "depth": 32, "stream_bits": 64},
        {
            "digit_bits": 4,
            "cols": 4,
            "depth": 64,
            "stream_bits": 256,
            "acc_depth": 1024,
            "act_depth": 64,
            "requant_depth": 256,
            "shift": 4,
        },
        {"limb_bits": 8},
        {"limb_bits": 4},
        {"limb_bits": 8, "rows": 2, "cols": 4, "depth": 32, "stream_bits": 64},
        {"limb_bits": 4, "cols": 8, "depth": 32, "stream_bits": 256},
        {"bin_tiles": 64},
        {"bin_tiles": 32, "rows": 2, "cols": 4, "depth": 32, "stream_bits": 64},
        {
            "limb_bits": 4,
            "bin_tiles": 32,
            "rows": 2,
            "cols": 4,
            "depth": 32,
            "stream_bits": 128,
            "half_steps": True,
            "shift": 4,
        },
        {
            "limb_bits": 8,
            "bin_tiles": 32,
            "cols": 4,
            "depth": 64,
            "stream_bits": 256,
            "acc_depth": 1024,
            "act_depth": 64,
            "scale_bits": 4,
        },
    ]
    configs = [dataclasses.replace(base, **change) for change in changes]
    if family.flow is None:
        return tuple(SweepPoint(config=config, seed=0, options=None) for config in configs)
    # Cells are known after packing, in a tenth of the time of place and route.
    first, *others = (PlaceOptions(chip=chip) for chip in family.chips)
    packing = dataclasses.replace(first, route=False)
    points = [SweepPoint(config=config, seed=0, options=packing) for config in configs]
    points += [SweepPoint(config=config, options=first) for config in configs]
    # More seeds of three engines show how much a clock depends on the placement.
    some = [configs[n] for n in (0, 3, 6)]
    points += [
        SweepPoint(config=config, seed=seed, options=first) for config in some for seed in (2, 3)
    ]
    points += [SweepPoint(config=config, options=other) for other in others for config in some]
    return tuple(points)


class _Sweep:
    """Points in work; told to stop, the tools end within a second."""

    def __init__(self, family: FpgaFamily, folder: Path, store: Path):
        self._family = family
        self._technology = family.technology
        self._folder = folder
        self._store = store
        self._stored = {run.key: run for run in (load_runs(store) if store.exists() else [])}
        self._stop = threading.Event()
        self._emitting = threading.Lock()
        self._storing = threading.Lock()

    def stop(self) -> None:
        self._stop.set()

    def make(self, point: SweepPoint) -> SynthesisRun | None:
        """Return the point's run, stored; None if it was there."""
        if self._stop.is_set():
            return None
        with self._emitting:  # Amaranth is not made for threads
            text = engine_verilog(point.config, self._technology)
        found = self._stored.get(point.key)
        if found and found.verilog == hashlib.sha256(text.encode()).hexdigest():
            return None
        run = self._run(point, self._folder / point.config.digest)
        with self._storing:
            add_runs([run], self._store)
        return run

    def _run(self, point: SweepPoint, folder: Path) -> SynthesisRun:
        if point.options is None:
            return counted_run(
                measure(
                    point.config,
                    folder,
                    family=self._family,
                    technology=self._technology,
                    progress=self._check,
                )
            )
        measured = measure_placed(
            point.config,
            folder,
            point.options,
            seeds=(point.seed or 1,),
            technology=self._technology,
            progress=self._check,
        )
        (run,) = runs_of(measured)
        return run

    def _check(self, text: str) -> None:
        if self._stop.is_set():
            raise SummandError(f"stopped during {text}")


def sweep(family: FpgaFamily, folder: Path, store: Path, *, jobs: int = 1) -> int:
    """Synthesise points that are not stored yet; prints one line each, returns how many failed."""
    for tool in (YOSYS, *(family.flow.tools[:1] if family.flow else ())):
        find_tool(tool.name)
    points = points_of(family)
    work = _Sweep(family, folder, store)
    failed = done = 0
    start = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(work.make, point): point for point in points}
        try:
            for future in as_completed(futures):
                point = futures[future]
                name = f"{point.config.digest} seed {point.seed}"
                done += 1
                try:
                    run = future.result()
                except SummandError as e:
                    failed += 1
                    _tell(f"{name}: {e}")
                    continue
                _tell(
                    f"{done} of {len(points)}, {time.monotonic() - start:.0f} s: {name}: "
                    + (f"{run.luts} LUT, {run.fmax_mhz or '-'} MHz" if run else "stored")
                )
        except KeyboardInterrupt:
            work.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return failed


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m summand.synth.sweep", description=__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("build/sweep"),
        metavar="DIR",
        help="the tools' files (default: %(default)s)",
    )
    parser.add_argument(
        "--store",
        type=Path,
        metavar="FILE",
        help="where runs are kept (default: the family's, in the package)",
    )
    parser.add_argument(
        "--family", default=DEFAULT_FAMILY.name, metavar="|".join(FAMILIES), help="what for"
    )
    parser.add_argument("-j", "--jobs", type=int, default=1, metavar="N", help="tools at a time")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end the tools too
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which nohup's shells ignore
    if options.jobs < 1:
        parser.error(f"--jobs must be at least 1, not {options.jobs}")
    try:
        family = find_family(options.family)
        store = options.store or modelled_cells(family).runs
        return int(sweep(family, options.out, store, jobs=options.jobs) > 0)
    except SummandError as e:
        sys.stderr.write(f"{parser.prog}: {e}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"{parser.prog}: stopped; the same command goes on from here\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
