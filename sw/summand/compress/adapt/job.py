"""An adapter for a Summand model: checked first, then calibrated and rounded layer by layer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from summand.compress.adapt.module import add_in_float
from summand.compress.adapt.peft_folder import PeftFolder
from summand.compress.adapt.places import Place, find_places
from summand.compress.adapt.solve import Fitted, fit_factors
from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.calibrate.text import Text, calibration_text, rows_of
from summand.compress.calibrate.walk import ModelWalk
from summand.compress.errors import CompressError
from summand.compress.network.blocks import find_blocks
from summand.compress.network.survey import Batch, Survey, example_of
from summand.compress.sources.sources import window_of
from summand.compress.twin.integer import replace as put_integers
from summand.compress.workers.parallel import in_parallel
from summand.model import SummandModel
from summand.model.adapters import AdapterManifest, AdapterWriter
from summand.model.host import load_host, load_tokenizer
from summand.recipe.adapting import AdaptOptions

__all__ = ["AdaptJob"]

#: Tokens to calibrate on where the model does not say on how many it was.
_TOKENS = 8192


@dataclass(frozen=True, eq=False)
class AdaptJob:
    """An adapter that is to be added to a model.

    Parameters
    ----------
    base : SummandModel
        The model; only read.
    adapter : PeftFolder
        The adapter.
    options : AdaptOptions
        How it becomes integers.
    places : tuple of Place
        The layers that it adds to.
    """

    base: SummandModel
    adapter: PeftFolder
    options: AdaptOptions
    places: tuple[Place, ...]

    @classmethod
    def plan(cls, base: SummandModel, adapter: PeftFolder, options: AdaptOptions) -> "AdaptJob":
        """Look at both before any work is done.

        Raises
        ------
        CompressError
            If the adapter is for another model.
        """
        places = find_places(adapter, base)
        shifts = frozenset[int]().union(*(e.sizes.shifts for e in base.manifest.layers))
        if shifts:  # an engine has one
            options = replace(options, acc_shift=max(shifts))
        return cls(base, adapter, options, places)

    def text(self, given: Text | None) -> Text:
        """Return the text to calibrate on: the given one, or that of the base.

        Raises
        ------
        CompressError
            If none is given and the base was calibrated on a text that is not here.
        """
        if given is not None:
            return given
        text = calibration_text()
        known = self.base.manifest.options.get("calibration") or {"sha256": text.sha256}
        if text.sha256 != known["sha256"]:
            raise CompressError(
                f"{self.base.path} was calibrated on another text ({known.get('text')}) than the "
                f"one that comes with this Python; give that text, or another, with --calibration"
            )
        return text

    def run(
        self,
        output: Path,
        text: Text,
        *,
        tokens: int | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> AdapterManifest:
        """Calibrate, round and write the adapter.

        Parameters
        ----------
        output : Path
            Where it goes, whole or not at all.
        text : Text
            To calibrate on.
        tokens : int, optional
            How much of it, at most; as many as the base was calibrated on.
        progress : callable, optional
            Called with ``"calibrating"`` or ``"rounding"``, how much is done, and how much there
            is to do.

        Raises
        ------
        CompressError
            If a layer cannot be adapted; nothing is written then.
        """
        known = self.base.manifest.options.get("calibration") or {"tokens": _TOKENS}
        writer = AdapterWriter(output, self.base)
        module = self._module()
        tokenizer = load_tokenizer(self.base)
        rows = rows_of(
            module, tokenizer, text, tokens=tokens or known["tokens"], window=window_of(module)
        )
        found = self._fit(module, rows, progress)
        for done, (place, fitted) in enumerate(found, 1):
            writer.add(self.base.layer(place.layer), fitted.summand, error=fitted.error)
            if progress:
                progress("rounding", done, len(self.places))
        calibration = text.record(sum(row.numel() for row in rows))
        return writer.finish(
            source={
                "kind": "peft",
                "path": str(self.adapter.path.resolve()),
                "sha256": self.adapter.sha256,
            },
            options={**asdict(self.options), "calibration": calibration},
        )

    def _module(self) -> nn.Module:
        """Return the model in integers, with the adapter in floating point beside them."""
        factors = {place.layer: place.factors(self.adapter) for place in self.places}
        module = load_host(self.base)
        for layer in self.base.layers():
            put_integers(module, layer)
        add_in_float(module, factors)
        return module

    def _fit(
        self,
        module: nn.Module,
        rows: Sequence[torch.Tensor],
        progress: Callable[[str, int, int], None] | None,
    ) -> Iterator[tuple[Place, Fitted]]:
        """Yield each place with its summand, in the order in which the model calls them."""
        places = {place.layer: place for place in self.places}
        groups = [
            tuple(name for name in group if name in places)
            for group in self.base.groups
            if any(name in places for name in group)
        ]
        batches: list[Batch] = [{"input_ids": row} for row in rows]
        example = example_of(rows)
        blocks = find_blocks(module, Survey(self.base.groups, ()), example)
        parts = ModelWalk(blocks=blocks).parts(
            module,
            batches,
            groups,
            moments=[group[0] for group in groups],
            progress=None if progress is None else lambda *now: progress("calibrating", *now),
        )
        for part in parts:
            tasks = [
                (places[name], part.statistics[group[0]]) for group in part.groups for name in group
            ]
            yield from zip(
                (place for place, _ in tasks), in_parallel(self._fitted, tasks), strict=True
            )

    def _fitted(self, task: tuple[Place, InputStatistics]) -> Fitted:
        place, statistics = task
        layer = self.base.layer(place.layer)
        return fit_factors(layer, place.factors(self.adapter), statistics, self.options)
