"""The whole of ``summand compress``: a source in, a folder out."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from summand.compress.allocate.parts import Cut
from summand.compress.calibrate.statistics import StatisticsFolder, StatisticsStore
from summand.compress.calibrate.text import Text
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.decompose import Found, Wanted, check_decomposable
from summand.compress.importers import Fidelity, Keeper
from summand.compress.job.budget import MetTarget
from summand.compress.job.finishing import decompose_inputs, distil_scales
from summand.compress.job.in_order import compress_layers_in_order
from summand.compress.job.independent import compress_layers
from summand.compress.network.blocks import find_blocks
from summand.compress.network.survey import Batch, Survey, example_of
from summand.compress.sources.sources import ModelSource, write_side_files
from summand.compress.twin.distil import Distillation
from summand.compress.workers.parallel import Workers
from summand.isa.distribution import VERSION
from summand.model import Layer, Manifest, ModelWriter
from summand.model.host import write_host
from summand.model.manifest import seal
from summand.recipe.choice import Choice
from summand.recipe.options import Options
from summand.summands.registry import kinds

__all__ = ["Job"]


@dataclass(frozen=True, eq=False)
class Job:
    """A compression that is ready to start.

    Parameters
    ----------
    source : ModelSource
        What to compress.
    options : Options
        How.
    text : Text
        What to calibrate on.
    batches : list of int64 tensors, ``[1, tokens]``
        The same, cut up.
    survey : Survey
        The support table: which layers will be compressed, what stays on the host and why.
    choices : mapping
        What each layer gets.
    cuts : mapping
        Layers of the model that are compressed in parts, each with these.
    keeper : Keeper, optional
        What is taken over from a quantised source, and what cannot be.
    met : MetTarget, optional
        The target that the choices were allocated for.
    """

    source: ModelSource
    options: Options
    text: Text
    batches: list[torch.Tensor]
    survey: Survey
    choices: Mapping[str, Choice]
    cuts: Mapping[str, Cut] = field(default_factory=dict)
    keeper: Keeper | None = None
    met: MetTarget | None = None

    @property
    def inputs(self) -> list[Batch]:
        """The batches as the module is called with them."""
        return [{"input_ids": ids} for ids in self.batches]

    @property
    def example(self) -> Batch:
        """The first tokens, to look at the module with."""
        return example_of(self.batches)

    @property
    def tokens(self) -> int:
        """Tokens of all batches."""
        return sum(ids.numel() for ids in self.batches)

    def walk(
        self, found: Survey, store: StatisticsStore | None, scratch: Path | None = None
    ) -> ModelWalk:
        """Return how to go through the model.

        Parameters
        ----------
        found : Survey
            Of the module as it is now.
        store : StatisticsStore, optional
            Where statistics are kept, and taken from if they are there.
        scratch : Path, optional
            A folder for what lets a walk that is interrupted go on.
        """
        return ModelWalk(
            blocks=find_blocks(self.source.module, found, self.example),
            weights=self.source.weights,
            store=store,
            scratch=scratch,
        )

    def statistics(self, folder: Path) -> StatisticsFolder:
        """Open a folder for what calibration collects on this model and text."""
        return StatisticsFolder(
            folder,
            {
                "model": self.source.record["sha256"],
                "text": self.text.sha256,
                "tokens": self.tokens,
                "window": self.source.window,
            },
        )

    def run(
        self,
        destination: Path,
        *,
        workers: Workers | None = None,
        statistics: StatisticsStore | None = None,
        restart: bool = False,
        decompose: Wanted | None = None,
        progress: Callable[[str, int, int], None] | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> Manifest:
        """Compress, and write the Summand model.

        An interrupted run resumes when the same job is run again.

        Parameters
        ----------
        destination : Path
            Where the model goes; replaced if there is one.
        workers : Workers, optional
            Who compresses the layers; threads by default.
        statistics : StatisticsStore, optional
            Where what calibration collects is kept, and taken from if it is there; by default what
            a target was allocated with.
        restart : bool
            Begin anew, whatever an interrupted run has left.
        decompose : Wanted, optional
            Find decompositions of layers' inputs too.
        progress : callable, optional
            Called with what is being done, how much of it is done, and how much there is.
        notice : callable, optional
            Called with what the user should know besides.

        Raises
        ------
        CompressError
            If a layer cannot be compressed as chosen.
        ModelError
            If the model cannot be written, or if what an interrupted run left is of another job.
        """
        module, found = self.source.module, self.survey
        if decompose is not None:
            check_decomposable(module, self.batches)
        with ModelWriter(destination, job=self.description, restart=restart) as writer:
            store = statistics or (self.met and self.met.collected)
            walk = self.walk(found, store, writer.scratch)
            kept: dict[str, Fidelity] = {}
            for layer, error in self._layers(writer, walk, workers, progress, notice):
                writer.add(layer, error=error)
                if self.keeper is not None and layer.name in self.keeper.kinds:
                    kept[layer.name] = self.keeper.fidelity(module, layer)
            distilled = decomposed = None
            if self.options.distil:
                distilled = distil_scales(
                    self.source,
                    self.batches,
                    found.layers,
                    writer,
                    steps=self.options.distil,
                    blocks=walk.blocks,
                    progress=progress,
                )
            if decompose is not None:
                decomposed = decompose_inputs(
                    self.source, self.batches, found, writer, decompose, progress=progress
                )
            weights = self.source.weights
            load = None if weights is None else weights.tensor
            aliases = write_host(module, found.layers, writer.folder, load=load)
            write_side_files(self.source, writer.folder)
            return writer.finish(
                groups=found.groups,
                split=tuple(self.cuts),
                decompositions=decomposed.decompositions if decomposed else (),
                host=found.host,
                source=self.source.record,
                options=self._record(kept, distilled, decomposed),
                aliases=aliases,
            )

    def _layers(
        self,
        writer: ModelWriter,
        walk: ModelWalk,
        workers: Workers | None,
        progress: Callable[[str, int, int], None] | None,
        notice: Callable[[str], None] | None,
    ) -> Iterator[tuple[Layer, float]]:
        """Compress the layers that the writer does not have; yields each with its error."""
        if self.options.sequential:
            return compress_layers_in_order(
                self.source.module,
                self.inputs,
                self.survey,
                self.choices,
                walk=walk,
                finished=lambda name: writer.layer(name) if name in writer.finished else None,
                progress=progress,
            )
        taken = self.keeper.kinds if self.keeper else {}
        return compress_layers(
            self.source.module,
            self.inputs,
            self.survey,
            self.choices,
            keeper=self.keeper,
            walk=walk,
            workers=workers,
            finished=writer.finished.keys() - taken.keys(),
            progress=progress,
            notice=notice,
        )

    @property
    def checksum(self) -> str:
        """A checksum of :attr:`description`."""
        return seal(self.description)

    @property
    def description(self) -> dict[str, Any]:
        """All that the layers depend on, as JSON has it."""
        source = {key: self.source.record[key] for key in ("kind", "sha256")}
        choices = {name: dataclasses.asdict(self.choices[name]) for name in self.survey.layers}
        return {
            "version": VERSION,
            "source": source,
            "options": self._record({}),
            "choice for": choices,
            "parts": {name: cut.checksum for name, cut in self.cuts.items()},
        }

    def _record(
        self,
        kept: Mapping[str, Fidelity],
        distilled: Distillation | None = None,
        decomposed: Found | None = None,
    ) -> dict[str, Any]:
        """Return what a manifest says of the job; before it ran, what tells it from others."""
        read = self.text.record(self.tokens)
        record = {**dataclasses.asdict(self.options), "calibration": read}
        if self.met is not None:
            # The layers' own entries say what each of them got.
            for kind in kinds():
                for name in kind.space.varied:
                    del record[name]
            record["target"] = self.met.record
        if self.keeper is not None:
            record["kept"] = self.keeper.record(kept)
        if distilled is not None:
            record["distillation"] = dataclasses.asdict(distilled)
        if decomposed is not None:
            record["decomposition"] = decomposed.record
        return record
