"""One exploration in one folder: calibrate, search, count, and measure some of what was found."""

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
from summand.explore.features import Feature, features_named
from summand.explore.files import write_json
from summand.explore.measure import Measuring
from summand.explore.point import Point
from summand.explore.result import Known, layers_of, measured_table, record_of, write_trace
from summand.explore.search import Search
from summand.explore.selection import spread
from summand.explore.workload import Limits, Workload
from summand.report.texts import text_figures

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
    features : tuple of Feature
        What engines may have, and so what layers may get.
    """

    model: str
    job: Job
    board: Board
    workload: Workload
    limits: Limits
    folder: Path
    features: tuple[Feature, ...]

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
        features: str,
    ) -> "Exploration":
        """Open a source, and make the folder; ``features`` are letters.

        Raises
        ------
        CompressError
            If the source or the text cannot be used.
        ExploreError
            If a feature has no such letter, or the folder cannot be made.
        """
        allowed = features_named(features)
        text = read_text(calibration) if calibration else calibration_text()
        source = open_source(model)
        # Scales as the engines of the search have them.
        job = plan(source, Options(scale_bits=4), text, tokens=tokens)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise ExploreError(f"cannot make {folder}: {e.strerror}") from None
        return cls(
            model=model,
            job=job,
            board=board,
            workload=workload,
            limits=limits,
            folder=folder,
            features=allowed,
        )

    @property
    def note(self) -> str | None:
        """A line on the source, for the user."""
        return self.job.source.note

    def run(
        self,
        *,
        workers: Workers,
        measure: bool = False,
        route: bool = False,
        measure_front: int = 0,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Do all of it, and write ``engine.json``; returns the record.

        Parameters
        ----------
        measure : bool
            Make the chosen point, evaluate it, simulate it, and count its engine's cells.
        route : bool
            Place and route the engine too, where its cells are counted.
        measure_front : int
            How many points of the front to make and evaluate, the chosen one among them.

        Raises
        ------
        CompressError, ModelError, ExploreError
            If something cannot be done.
        """
        choices = self._choices(workers, progress)
        search = Search(choices, self.board, self.workload, self.limits)
        found = search.run(progress)
        write_trace(self.folder / "trace.npz", found.trace)
        write_json(self.folder / "engine.json", dataclasses.asdict(found.chosen.engine))
        points = spread(found.front, found.chosen, max(1, measure_front))
        known: list[Known] = []
        extra: dict[str, Any] = {}
        for i, point in enumerate(points):
            what = allocated(choices, search.fronts, point)
            counted = self._count(point, what, progress)
            measuring = self._measuring(choices, point, what)
            figures = None
            if measure or measure_front:
                store = self.job.statistics(self.folder / "statistics")
                figures = measuring.evaluate(store, workers, progress)
                if progress:
                    progress("measuring", i + 1, len(points))
            known.append(Known(point=point, counted=reduce(add, counted), measured=figures))
            if point is found.chosen:
                extra["layers"] = layers_of(what, counted, point.engine, self.workload)
                if measure:
                    extra["measured"] = _checked(measuring, known[-1], progress, route=route)
        return {
            "model": self.model,
            "allowed": {feature.letter: feature.title for feature in self.features},
            **record_of(found, choices, self.board, self.workload, self.limits, known),
            **extra,
        }

    def keep(self, record: Mapping[str, Any]) -> None:
        """Write ``explore.json``, last of all; raises :class:`ExploreError` if it cannot."""
        write_json(self.folder / "explore.json", record)

    def _choices(self, workers: Workers, progress: Progress | None) -> ModelChoices:
        """Return what layers may get, found or read from the folder."""
        job, file = self.job, self.folder / "candidates.npz"
        key = {
            "model": job.source.record["sha256"],
            "text": job.text.sha256,
            "tokens": job.tokens,
        }
        found = ModelChoices.load(file, key, job.options, self.features)
        if found is None:
            store = job.statistics(self.folder / "statistics")
            found = ModelChoices.find(
                job, self.features, workers=workers, statistics=store, progress=progress
            )
            found.save(file, key)
        return found

    def _count(self, point: Point, what: Allocated, progress: Progress | None) -> list[Counted]:
        """Return the cycles of each group of a point by the cost law."""
        return count_cycles(
            point.engine,
            what.groups,
            what.heads,
            what.sizes,
            self.workload,
            None if progress is None else lambda i, n: progress("counting", i, n),
        )

    def _measuring(self, choices: ModelChoices, point: Point, what: Allocated) -> Measuring:
        return Measuring(
            job=self.job,
            allocated=what,
            options=choices.options,
            engine=point.engine,
            board=self.board,
            points=self.folder / "points",
        )


def _checked(
    measuring: Measuring, known: Known, progress: Progress | None, *, route: bool
) -> dict[str, Any]:
    """Simulate a point that was made, count its cells, and compare it with what was predicted."""
    cycles = measuring.simulate(
        None if progress is None else lambda _, i, n: progress("simulating", i, n)
    )
    cells = measuring.count_cells(
        route=route,
        progress=None if progress is None else lambda _: progress("synthesising", 0, 1),
    )
    assert known.measured is not None
    figures = text_figures(known.measured["figures"])
    table = measured_table(known, figures, cycles, cells, measuring.board.clock.engine_hz)
    return {"cycles": cycles, "cells": cells, "table": table}
