"""Make a point and measure it: perplexity, cycles of the generated Verilog, cells."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from summand.bench.suite import Options as BenchOptions
from summand.bench.suite import Suite
from summand.boards.board import Board
from summand.boards.configurations import Named
from summand.compress import evaluation_text, load_integer
from summand.compress.calibrate.statistics import StatisticsStore
from summand.compress.calibrate.text import Text, rows_of
from summand.compress.job.budget import BitBudget
from summand.compress.job.compressor import Job
from summand.compress.workers.parallel import Workers
from summand.explore.allocated import Allocated
from summand.explore.errors import ExploreError
from summand.families.cells import CELL_KINDS
from summand.families.flow import PlaceOptions
from summand.isa import EngineConfig
from summand.model import SummandModel
from summand.recipe.options import Options
from summand.report.texts import read
from summand.synth.measure import measure, measure_placed

__all__ = ["Measuring"]

#: Tokens of the text that perplexity is measured on.
_TOKENS = 4096

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Measuring:
    """Measures one point in a folder of its own, where interrupted steps go on.

    Parameters
    ----------
    job : Job
        Of the source that was explored, its layers whole.
    allocated : Allocated
        What every layer gets.
    options : Options
        What does not vary.
    engine : EngineConfig
        The point's.
    board : Board
        Whose FPGA cells are counted for.
    folder : Path
        ``model``, and the tools' files.
    """

    job: Job
    allocated: Allocated
    options: Options
    engine: EngineConfig
    board: Board
    folder: Path

    def compress(
        self,
        store: StatisticsStore,
        workers: Workers | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Compress the model as allocated, and evaluate it; returns bits and perplexity."""
        allocation = self.allocated.allocation
        target = BitBudget(bits=allocation.bits_per_weight, engine=self.engine)
        job = self.job.chosen(self.options, target, allocation, self.allocated.cuts, store)
        place = self.folder / "model"
        job.run(place, workers=workers, statistics=store, progress=progress)
        return self._evaluate(job, evaluation_text(), progress)

    def _evaluate(self, job: Job, text: Text, progress: Progress | None) -> dict[str, Any]:
        source = job.source
        rows = rows_of(source.module, source.tokenizer, text, tokens=_TOKENS, window=source.window)
        figures, _ = read(
            load_integer(SummandModel(self.folder / "model")),
            text,
            rows,
            reference=source.module,
            progress=None if progress is None else lambda i, n: progress("evaluating", i, n),
        )
        return {"source": "measured", **dataclasses.asdict(figures)}

    def simulate(self, progress: Progress | None = None) -> dict[str, Any]:
        """Run every layer on the generated Verilog; returns cycles, and those of the cost law.

        Raises
        ------
        ExploreError
            If the engine could not be simulated.
        """
        suite = Suite(
            SummandModel(self.folder / "model"),
            BenchOptions(tokens=0),
            progress or (lambda what, i, n: None),
        )
        outcome = suite.run(Named(self.engine.digest, self.engine))
        if outcome.error:
            raise ExploreError(f"the engine could not be simulated: {outcome.error}")
        return {
            "source": "measured, RTL",
            "phases": [
                {
                    "name": phase.name,
                    "tokens": phase.tokens,
                    "cycles": phase.total.counters.cycles,
                    "beats": phase.total.beats,
                    "law_equal": phase.equal,
                    "law_cycles": phase.modelled_total.counters.cycles,
                }
                for phase in outcome.phases
            ],
        }

    def count_cells(self, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
        """Synthesise the engine; returns its cells, packed where the family can be placed."""
        family, chip = self.board.family, self.board.chip
        if family.flow:
            packed = measure_placed(
                self.engine,
                self.folder / "synthesis",
                PlaceOptions(chip=chip, route=False),
                technology=family.technology,
                progress=progress,
            )
            return {"source": "measured, packed", **packed.placements[0].cells.used}
        counted = measure(
            self.engine,
            self.folder / "synthesis",
            family=family,
            technology=family.technology,
            progress=progress,
        )
        counts = counted.netlist.counts
        return {
            "source": "measured, counted by Yosys",
            **{kind.name: getattr(counts, kind.name) for kind in CELL_KINDS},
        }
