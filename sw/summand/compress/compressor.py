"""The whole of ``summand compress``: a source in, a folder out."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from summand.compress.errors import CompressError
from summand.compress.importers import Keeper
from summand.compress.pipeline import Choice, Options, compress_layers
from summand.compress.sources import Source, head_name, write_side_files
from summand.compress.survey import Survey, survey
from summand.compress.text import Text, windows
from summand.model import Manifest, ModelWriter
from summand.model.host import write_host

__all__ = ["Job", "plan"]


@dataclass(frozen=True, eq=False)
class Job:
    """A compression that is ready to start.

    Parameters
    ----------
    source : Source
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
    keeper : Keeper, optional
        What is taken over from a quantised source, and what cannot be.
    """

    source: Source
    options: Options
    text: Text
    batches: list[torch.Tensor]
    survey: Survey
    choices: Mapping[str, Choice]
    keeper: Keeper | None = None

    def run(
        self, destination: Path, *, progress: Callable[[str, int, int], None] | None = None
    ) -> Manifest:
        """Compress, and write the Summand model."""
        module, found = self.source.module, self.survey
        with ModelWriter(destination) as writer:
            layers = compress_layers(
                module,
                [{"input_ids": ids} for ids in self.batches],
                found,
                self.choices,
                keeper=self.keeper,
                progress=progress,
            )
            kept: dict[str, Any] = {}
            for layer, error in layers:
                writer.add(layer, error=error)
                if self.keeper is not None and layer.name in self.keeper.kinds:
                    fidelity = self.keeper.fidelity(module, layer)
                    kept[layer.name] = dataclasses.asdict(fidelity)
            aliases = write_host(module, found.layers, writer.folder)
            write_side_files(self.source, writer.folder)
            return writer.finish(
                groups=found.groups,
                host=found.host,
                source=self.source.record,
                options=self._record(kept),
                aliases=aliases,
            )

    def _record(self, kept: Mapping[str, Any]) -> dict[str, Any]:
        calibration = {
            "text": self.text.origin,
            "sha256": self.text.sha256,
            "tokens": sum(ids.numel() for ids in self.batches),
        }
        record = {**dataclasses.asdict(self.options), "calibration": calibration}
        if self.keeper is not None:
            record["kept"] = {
                "format": self.keeper.checkpoint.format,
                "layers": dict(kept),
                "not_kept": dict(self.keeper.reasons),
            }
        return record


def plan(source: Source, options: Options, text: Text, *, tokens: int = 8192) -> Job:
    """Look at a model before any work is done.

    ``tokens`` is how much of the text to calibrate on, at most.

    Raises
    ------
    CompressError
        If the model cannot be run on text, has nothing to compress, or the text is too short.
    """
    batches = windows(source.tokenizer, text, tokens=tokens, window=source.window)
    try:
        found = survey(source.module, {"input_ids": batches[0][:, :16]})
    except TypeError as e:
        raise CompressError(f"the model cannot be called with token ids: {e}") from None
    choices = options.choices(found.layers, head=head_name(source.module))
    keeper = None
    if options.keep_quantised:
        keeper = Keeper.of(
            source.quantised,
            source.module,
            found.layers,
            act_bits=options.act_bits,
            scale_bits=options.scale_bits,
            acc_bits=options.acc_bits,
        )
    return Job(source, options, text, batches, found, choices, keeper)
