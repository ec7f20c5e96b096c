"""Make a point and measure it: perplexity, cycles of the generated Verilog, cells."""

import dataclasses
import functools
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
from summand.compress.job.allocated import with_allocation
from summand.compress.job.budget import BitBudget
from summand.compress.job.compressor import Job
from summand.compress.network.survey import replaced
from summand.compress.workers.parallel import Workers
from summand.explore.allocated import Allocated
from summand.explore.errors import ExploreError
from summand.explore.files import keep, kept
from summand.families.cells import CELL_KINDS
from summand.families.flow import PlaceOptions
from summand.isa import EngineConfig
from summand.model import SummandModel, is_model
from summand.model.manifest import seal
from summand.recipe.options import Options
from summand.report.texts import read
from summand.synth.measure import CLOCK, measure, measure_placed

__all__ = ["Measuring"]

#: Tokens of the text that perplexity is measured on.
_TOKENS = 4096

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Measuring:
    """Measures one point in a folder of its own, where interrupted steps go on.

    What is finished of compression and evaluation is kept there, and not done again.

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
    points : Path
        Holds the folders of all points.
    """

    job: Job
    allocated: Allocated
    options: Options
    engine: EngineConfig
    board: Board
    points: Path

    @functools.cached_property
    def key(self) -> str:
        """A checksum of all that the compressed model depends on."""
        choices = self.allocated.allocation.choices
        return seal(
            {
                "job": self.job.checksum,
                "choices": {name: dataclasses.asdict(choice) for name, choice in choices.items()},
                "parts": {name: cut.checksum for name, cut in self.allocated.cuts.items()},
                "engine": self.engine.digest,
            }
        )

    @property
    def folder(self) -> Path:
        """Holds ``model``, and the tools' files."""
        return self.points / f"{self.allocated.allocation.bits_per_weight:.2f}-{self.key[:8]}"

    def evaluate(
        self,
        store: StatisticsStore,
        workers: Workers | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Compress the model as allocated, and evaluate it, unless that is done.

        Returns
        -------
        dict
            The folder, and :class:`~summand.report.TextFigures` on the text for evaluation.

        Raises
        ------
        CompressError, ModelError, ExploreError
            If something cannot be done.
        """
        text = evaluation_text()
        path, place = self.folder / "evaluated.json", self.folder / "model"
        key = seal({"model": self.key, "text": text.sha256, "tokens": _TOKENS})
        figures = kept(path, key) if is_model(place) else None
        if figures is None:
            self._compress(place, store, workers, progress)
            figures = self._read(text, place, progress)
            keep(path, key, figures)
        return {"source": "measured", "folder": str(self.folder), "figures": figures}

    def _compress(
        self,
        place: Path,
        store: StatisticsStore,
        workers: Workers | None,
        progress: Progress | None,
    ) -> None:
        """Write the compressed model, if it is not there."""
        done = self.folder / "compressed.json"
        if is_model(place) and kept(done, self.key) is not None:
            return
        module, cuts = self.job.source.module, self.allocated.cuts
        allocation = self.allocated.allocation
        target = BitBudget(bits=allocation.bits_per_weight, engine=self.engine)
        # Parts take the place of layers for a while only: the next point has others.
        with replaced(module, {name: module.get_submodule(name) for name in cuts}):
            job = with_allocation(self.job, self.options, target, allocation, cuts, store)
            job.run(place, workers=workers, statistics=store, progress=progress)
        keep(done, self.key, {"bits_per_weight": allocation.bits_per_weight})

    def _read(self, text: Text, place: Path, progress: Progress | None) -> dict[str, Any]:
        """Return the compressed model's figures on a text."""
        source = self.job.source
        rows = rows_of(source.module, source.tokenizer, text, tokens=_TOKENS, window=source.window)
        figures, _ = read(
            load_integer(SummandModel(place)),
            text,
            rows,
            reference=source.module,
            progress=None if progress is None else lambda i, n: progress("evaluating", i, n),
        )
        return dataclasses.asdict(figures)

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

    def count_cells(
        self, *, route: bool = False, progress: Callable[[str], None] | None = None
    ) -> dict[str, Any]:
        """Synthesise the engine; returns its cells, packed where the family can be placed.

        With ``route``, of such a family alone, it is placed and routed, and has ``fmax_mhz`` too.
        """
        family, chip = self.board.family, self.board.chip
        if family.flow:
            made = measure_placed(
                self.engine,
                self.folder / "synthesis",
                PlaceOptions(chip=chip, route=route),
                technology=family.technology,
                progress=progress,
            )
            (placed,) = made.placements
            if not route:
                return {"source": "measured, packed", **placed.cells.used}
            clock = {"fmax_mhz": placed.clocks[CLOCK].achieved_mhz}
            return {"source": "measured, placed and routed", **placed.cells.used, **clock}
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
