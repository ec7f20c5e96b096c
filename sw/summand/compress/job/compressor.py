"""The whole of ``summand compress``: a source in, a folder out."""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from summand.compress.allocate.allocation import Candidate
from summand.compress.allocate.candidates import Space
from summand.compress.allocate.parts import Cut, cut_groups, of_parts, split_layers
from summand.compress.allocate.sensitivity import fisher
from summand.compress.calibrate.statistics import (
    StatisticsFolder,
    StatisticsInMemory,
    StatisticsStore,
)
from summand.compress.calibrate.text import Text
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.decompose import (
    Found,
    Wanted,
    check_decomposable,
    find_decompositions,
)
from summand.compress.errors import CompressError, is_out_of_memory
from summand.compress.importers import Keeper
from summand.compress.job.budget import (
    Allocation,
    BitBudget,
    check_target,
    choose,
    join_parts,
    sampled,
    try_out,
)
from summand.compress.job.in_order import compress_layers_in_order
from summand.compress.job.independent import compress_layers
from summand.compress.network.blocks import find_blocks
from summand.compress.network.survey import Batch, Survey, linear_of, replaced, survey
from summand.compress.sources.sources import ModelSource, head_layers, write_side_files
from summand.compress.twin.distil import Distillation, distil, layer_errors
from summand.compress.twin.fake import TrainedLinear
from summand.compress.workers.parallel import Workers
from summand.isa.distribution import VERSION
from summand.model import Layer, Manifest, ModelWriter
from summand.model.host import write_host
from summand.model.manifest import seal
from summand.recipe.choice import Choice
from summand.recipe.options import Options
from summand.summands.registry import kinds

__all__ = ["Job", "Tried"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tried:
    """What the layers of a model may get, some of them in parts.

    Parameters
    ----------
    groups : tuple of tuples of str
        Layers, or parts of layers, that share an input.
    sizes : mapping
        Input and output features of each.
    heads : frozenset of str
        Those of the output head.
    candidates : mapping
        Of each, in the order of the spaces' choices, with the loss that is estimated.
    cuts : mapping
        Layers that are in parts, each with these.
    """

    groups: tuple[tuple[str, ...], ...]
    sizes: Mapping[str, tuple[int, int]]
    heads: frozenset[str]
    candidates: Mapping[str, Sequence[Candidate[Choice]]]
    cuts: Mapping[str, Cut]


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
    target : BitBudget, optional
        What the choices were allocated for.
    allocation : Allocation, optional
        The choices, and their estimated cost.
    collected : StatisticsStore, optional
        What calibration for the target collected.
    """

    source: ModelSource
    options: Options
    text: Text
    batches: list[torch.Tensor]
    survey: Survey
    choices: Mapping[str, Choice]
    cuts: Mapping[str, Cut] = field(default_factory=dict)
    keeper: Keeper | None = None
    target: BitBudget | None = None
    allocation: Allocation | None = None
    collected: StatisticsStore | None = None

    def allocated(
        self,
        target: BitBudget,
        fixed: Collection[str] = (),
        *,
        workers: Workers | None = None,
        statistics: StatisticsStore | None = None,
        count: Callable[[nn.Module, Survey, Mapping[str, Choice]], int] | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> "Job":
        """Return the job with choices for a target; options named in ``fixed`` stay as they are.

        Layers whose outputs matter differently are cut into parts, and the source's module with
        them, so that this is done once for a job. The model is calibrated; :meth:`run` does not do
        so again.

        Parameters
        ----------
        target : BitBudget
            What the compression is to come to.
        fixed : collection of str
            Names of options.
        workers : Workers, optional
            Who tries out what layers may get; threads by default.
        statistics : StatisticsStore, optional
            Where what calibration collects is kept, and taken from if it is there; memory by
            default.
        count : callable, optional
            Returns all bits that choices stream for a module's survey, for a target of bits.
        progress : callable, optional
            Called with what is being done, how much of it is done, and how much there is.

        Raises
        ------
        CompressError
            If the target cannot be met, or layers are taken over as they are.
        """
        if self.keeper is not None:
            raise CompressError(
                "layers that are taken over as they are cannot be allocated for a target; leave "
                "out the target or keep_quantised"
            )
        space = Space.of(self.options, fixed, target.engine)
        store = statistics or StatisticsInMemory()
        module, heads = self.source.module, head_layers(self.source.module)
        batches = [{"input_ids": ids} for ids in self.batches]
        every = None if count is None else partial(count, module, self.survey)
        check_target(module, self.survey, space, target, heads, every)
        costs = self._fisher(progress) if target.sensitivity == "fisher" else None
        with self._in_parts((space,), costs) as (cuts, found):
            allocation = choose(
                module,
                batches,
                found,
                space,
                target,
                heads=head_layers(module),
                walk=self._walk(found, store),
                workers=workers,
                costs=None if costs is None else of_parts(costs, cuts),
                count=None if count is None else partial(count, module, found),
                progress=progress,
            )
        return self.chosen(space.options, target, allocation, cuts, store)

    def chosen(
        self,
        options: Options,
        target: BitBudget,
        allocation: Allocation,
        cuts: Mapping[str, Cut],
        store: StatisticsStore,
    ) -> "Job":
        """Return the job with an allocation's choices; parts are put in the place of layers.

        Parameters
        ----------
        options : Options
            What does not vary.
        target : BitBudget
            What the allocation is for.
        allocation : Allocation
            Of layers and their parts.
        cuts : mapping
            The layers that it has parts of.
        store : StatisticsStore
            What calibration collected.
        """
        allocation, joined = join_parts(allocation, cuts)
        split_layers(self.source.module, joined)
        return dataclasses.replace(
            self,
            options=options,
            survey=survey(self.source.module, self._example),
            choices=allocation.choices,
            cuts=joined,
            target=target,
            allocation=allocation,
            collected=store,
        )

    def tried(
        self,
        spaces: Sequence[Space],
        *,
        workers: Workers | None = None,
        statistics: StatisticsStore | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Tried:
        """Return what layers may get of several spaces, and what it would lose; changes nothing.

        The model is calibrated, and layers cut into parts, as :meth:`allocated` does.

        Parameters
        ----------
        spaces : sequence of Space
            Of options that differ in no transform.
        workers, statistics, progress
            As in :meth:`allocated`.

        Raises
        ------
        CompressError
            If summands cannot be tried out on these inputs.
        """
        module = self.source.module
        costs = self._fisher(progress)
        with self._in_parts(spaces, costs) as (cuts, found):
            heads = frozenset(head_layers(module))
            candidates = try_out(
                module,
                [{"input_ids": ids} for ids in self.batches],
                found,
                spaces,
                heads=heads,
                walk=self._walk(found, statistics or StatisticsInMemory()),
                workers=workers,
                costs=of_parts(costs, cuts),
                progress=progress,
            )
            linears = {name: linear_of(module, name) for name in found.layers}
            return Tried(
                groups=tuple(map(tuple, found.groups)),
                sizes={n: (each.in_features, each.out_features) for n, each in linears.items()},
                heads=heads & linears.keys(),
                candidates=candidates,
                cuts=cuts,
            )

    def _fisher(
        self, progress: Callable[[str, int, int], None] | None
    ) -> Mapping[str, torch.Tensor]:
        """Return how much each output of each layer matters."""
        batches = [{"input_ids": ids} for ids in self.batches]
        return fisher(
            self.source.module,
            sampled(batches, self._tokens),
            self.survey,
            progress=None if progress is None else lambda i, n: progress("sensitivity", i, n),
        )

    @contextlib.contextmanager
    def _in_parts(
        self, spaces: Sequence[Space], costs: Mapping[str, torch.Tensor] | None
    ) -> Iterator[tuple[dict[str, Cut], Survey]]:
        """Put parts in the place of layers for a while; gives the cuts, and the survey with them.

        Layers are cut where outputs cost differently, if all spaces admit their parts.
        """
        module = self.source.module
        heads = head_layers(module)
        weights = {name: linear_of(module, name).weight.detach() for name in self.survey.layers}
        cuts = {
            name: cut
            for name, cut in cut_groups(self.survey.groups, weights, costs or {}, heads).items()
            # A rank that is fixed may be more than a part has outputs.
            if all(
                space.admits(weights[name].shape[1], min(cut.sizes), head=name in heads)
                for space in spaces
            )
        }
        with replaced(module, {name: module.get_submodule(name) for name in cuts}):
            split_layers(module, cuts)
            yield cuts, survey(module, self._example)

    def statistics(self, folder: Path) -> StatisticsFolder:
        """Open a folder for what calibration collects on this model and text."""
        return StatisticsFolder(
            folder,
            {
                "model": self.source.record["sha256"],
                "text": self.text.sha256,
                "tokens": self._tokens,
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
        with ModelWriter(destination, job=self._description(), restart=restart) as writer:
            walk = self._walk(found, statistics or self.collected, writer.scratch)
            kept: dict[str, Any] = {}
            for layer, error in self._layers(writer, walk, workers, progress, notice):
                writer.add(layer, error=error)
                if self.keeper is not None and layer.name in self.keeper.kinds:
                    fidelity = self.keeper.fidelity(module, layer)
                    kept[layer.name] = dataclasses.asdict(fidelity)
            distilled = self._distil(writer, walk, progress) if self.options.distil else None
            decomposed = None
            if decompose is not None:
                decomposed = self._decompose(writer, decompose, progress)
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
        batches = [{"input_ids": ids} for ids in self.batches]
        if self.options.sequential:
            return compress_layers_in_order(
                self.source.module,
                batches,
                self.survey,
                self.choices,
                walk=walk,
                finished=lambda name: writer.layer(name) if name in writer.finished else None,
                progress=progress,
            )
        taken = self.keeper.kinds if self.keeper else {}
        return compress_layers(
            self.source.module,
            batches,
            self.survey,
            self.choices,
            keeper=self.keeper,
            walk=walk,
            workers=workers,
            finished=writer.finished.keys() - taken.keys(),
            progress=progress,
            notice=notice,
        )

    def _distil(
        self,
        writer: ModelWriter,
        walk: ModelWalk,
        progress: Callable[[str, int, int], None] | None,
    ) -> Distillation:
        """Distil the finished layers; raises :class:`CompressError` if memory runs out."""
        try:
            return self._train(writer, walk, progress)
        except (MemoryError, RuntimeError) as e:
            if not is_out_of_memory(e):
                raise
            raise CompressError(
                "out of memory while distilling, which takes the model twice: the finished "
                "layers are kept, run the same with more memory, or another without distil"
            ) from None

    def _train(
        self,
        writer: ModelWriter,
        walk: ModelWalk,
        progress: Callable[[str, int, int], None] | None,
    ) -> Distillation:
        """Train the scales of the finished layers; keep them if the model improves."""
        module, names = self.source.module, self.survey.layers
        heads = head_layers(module)
        weights = self.source.weights
        with contextlib.nullcontext() if weights is None else weights.loaded(("",)):
            trained = {
                name: TrainedLinear(writer.layer(name), bias=name not in heads) for name in names
            }
            for name in heads & trained.keys():
                # One number a token: it would learn which ones the text happens to have.
                trained[name].requires_grad_(False)
            found = distil(
                module,
                self.batches,
                trained,
                steps=self.options.distil,
                blocks=walk.blocks,
                progress=None if progress is None else lambda i, n: progress("distilling", i, n),
            )
            if found.kept:
                layers = {
                    name: trained.pop(name).trained(writer.layer(name))
                    for name in names
                    if name not in heads
                }
                errors = layer_errors(module, self.batches[0], layers)
                for name, layer in layers.items():
                    writer.revise(layer, error=errors[name])
        return found

    def _decompose(
        self,
        writer: ModelWriter,
        wanted: Wanted,
        progress: Callable[[str, int, int], None] | None,
    ) -> Found:
        """Find what inputs of the finished layers may be decomposed to."""
        module, weights = self.source.module, self.source.weights
        tell = None if progress is None else lambda i, n: progress("decomposing", i, n)
        with contextlib.nullcontext() if weights is None else weights.loaded(("",)):
            return find_decompositions(
                module,
                self.batches,
                self.survey,
                writer.layer,
                wanted,
                heads=head_layers(module),
                progress=tell,
            )

    @property
    def checksum(self) -> str:
        """A checksum of all that the layers depend on."""
        return seal(self._description())

    @property
    def _example(self) -> Batch:
        return {"input_ids": self.batches[0][:, :16]}

    def _walk(
        self, found: Survey, store: StatisticsStore | None, scratch: Path | None = None
    ) -> ModelWalk:
        return ModelWalk(
            blocks=find_blocks(self.source.module, found, self._example),
            weights=self.source.weights,
            store=store,
            scratch=scratch,
        )

    @property
    def _tokens(self) -> int:
        return sum(ids.numel() for ids in self.batches)

    def _description(self) -> dict[str, Any]:
        """Return all that the layers depend on."""
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
        kept: Mapping[str, Any],
        distilled: Distillation | None = None,
        decomposed: Found | None = None,
    ) -> dict[str, Any]:
        calibration = {
            "text": self.text.origin,
            "sha256": self.text.sha256,
            "tokens": self._tokens,
        }
        record = {**dataclasses.asdict(self.options), "calibration": calibration}
        if self.target is not None and self.allocation is not None:
            # The layers' own entries say what each of them got.
            for kind in kinds():
                for name in kind.space.varied:
                    del record[name]
            record["target"] = {
                "bits": self.target.bits,
                "kl": self.target.kl,
                "sensitivity": self.target.sensitivity,
                "engine": self.target.engine and self.target.engine.digest,
                "bits_per_weight": self.allocation.bits_per_weight,
                "estimated_kl": self.allocation.kl,
            }
        if self.keeper is not None:
            record["kept"] = {
                "format": self.keeper.checkpoint.format,
                "layers": dict(kept),
                "not_kept": dict(self.keeper.reasons),
            }
        if distilled is not None:
            record["distillation"] = dataclasses.asdict(distilled)
        if decomposed is not None:
            record["decomposition"] = decomposed.record
        return record
