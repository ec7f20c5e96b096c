"""One exploration in one folder: calibrate, search, count, and measure what was chosen."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from summand.boards.board import Board
from summand.compress import Options, Workers, calibration_text, open_source, plan, read_text
from summand.compress.job.compressor import Job
from summand.explore.allocated import Allocated, allocated
from summand.explore.choices import ModelChoices
from summand.explore.errors import ExploreError
from summand.explore.exact import Counted, count_cycles
from summand.explore.measure import Measuring
from summand.explore.point import Found
from summand.explore.result import (
    layers_of,
    measured_table,
    point_record,
    record_of,
    write_json,
    write_trace,
)
from summand.explore.search import Search
from summand.explore.workload import Limits, Workload

__all__ = ["Exploration"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Exploration:
    """An exploration that is ready to start.

    Parameters
    ----------
    model : str
        The source's name.
    job : Job
        Of the source, nothing compressed.
    board, workload, limits
        What is searched for.
    folder : Path
        Where everything goes.
    """

    model: str
    job: Job
    board: Board
    workload: Workload
    limits: Limits
    folder: Path

    @classmethod
    def open(
        cls,
        model: str,
        board: Board,
        workload: Workload,
        limits: Limits,
        folder: Path,
        calibration: Path | None,
        tokens: int,
    ) -> "Exploration":
        """Open a source, and make the folder.

        Raises
        ------
        CompressError
            If the source or the text cannot be used.
        ExploreError
            If the folder cannot be made.
        """
        text = read_text(calibration) if calibration else calibration_text()
        source = open_source(model)
        # Scales as the engines of the search have them.
        job = plan(source, Options(scale_bits=4), text, tokens=tokens)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise ExploreError(f"cannot make {folder}: {e.strerror}") from None
        return cls(
            model=model, job=job, board=board, workload=workload, limits=limits, folder=folder
        )

    @property
    def note(self) -> str | None:
        """A line on the source, for the user."""
        return self.job.source.note

    def run(
        self, *, workers: Workers, measure: bool = False, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Do all of it, and write ``engine.json``; returns the record.

        Raises
        ------
        CompressError, ExploreError
            If something cannot be done.
        """
        choices = self._choices(workers, progress)
        search = Search(choices, self.board, self.workload, self.limits)
        found = search.run(progress)
        what = allocated(choices, search.fronts, found.chosen)
        counted = self._count(found, what, progress)
        total = reduce(add, counted)
        record = {
            "model": self.model,
            **record_of(found, choices, self.board, self.workload, self.limits),
            "chosen": point_record(found.chosen, choices, self.workload, total),
            "layers": layers_of(what, counted, found.chosen.engine, self.workload),
        }
        write_trace(self.folder / "trace.npz", found.trace)
        write_json(self.folder / "engine.json", dataclasses.asdict(found.chosen.engine))
        if measure:
            record["measured"] = self._measure(choices, found, what, total, workers, progress)
        return record

    def keep(self, record: Mapping[str, Any]) -> None:
        """Write ``explore.json``, last of all; raises :class:`ExploreError` if it cannot."""
        write_json(self.folder / "explore.json", record)

    def _choices(self, workers: Workers, progress: Progress | None) -> ModelChoices:
        """Return what layers may get, found or read from the folder."""
        job, file = self.job, self.folder / "candidates.npz"
        key = {
            "model": job.source.record["sha256"],
            "text": job.text.sha256,
            "tokens": sum(ids.numel() for ids in job.batches),
        }
        found = ModelChoices.load(file, key, job.options)
        if found is None:
            store = job.statistics(self.folder / "statistics")
            found = ModelChoices.find(job, workers=workers, statistics=store, progress=progress)
            found.save(file, key)
        return found

    def _count(self, found: Found, what: Allocated, progress: Progress | None) -> list[Counted]:
        """Return the cycles of each group of the chosen point by the cost law."""
        counted: list[Counted] = []
        for i, group in enumerate(what.groups):
            counted += count_cycles(found.chosen.engine, [group], what.sizes, self.workload)
            if progress:
                progress("counting", i + 1, len(what.groups))
        return counted

    def _measure(
        self,
        choices: ModelChoices,
        found: Found,
        what: Allocated,
        counted: Counted,
        workers: Workers,
        progress: Progress | None,
    ) -> Mapping[str, Any]:
        """Make the chosen point, and compare it with what was predicted."""
        measuring = Measuring(
            job=self.job,
            allocated=what,
            options=choices.options,
            engine=found.chosen.engine,
            board=self.board,
            folder=self.folder / "chosen",
        )
        store = self.job.statistics(self.folder / "statistics")
        text = measuring.compress(store, workers, progress)
        cycles = measuring.simulate(
            None if progress is None else lambda what, i, n: progress("simulating", i, n)
        )
        cells = measuring.count_cells(
            None if progress is None else lambda _: progress("synthesising", 0, 1)
        )
        return {
            "text": text,
            "cycles": cycles,
            "cells": cells,
            "table": measured_table(found.chosen, counted, text, cycles, cells),
        }
