"""What is done once all layers are finished: scales are distilled, inputs decomposed."""

from collections.abc import Callable, Collection, Sequence

import torch

from summand.compress.decompose import Found, Wanted, find_decompositions
from summand.compress.errors import CompressError, is_out_of_memory
from summand.compress.network.blocks import Blocks
from summand.compress.network.survey import Survey
from summand.compress.sources.sources import ModelSource, head_layers
from summand.compress.twin.distil import Distillation, distil, layer_errors
from summand.compress.twin.fake import TrainedLinear
from summand.model import ModelWriter

__all__ = ["decompose_inputs", "distil_scales"]


def distil_scales(
    source: ModelSource,
    batches: Sequence[torch.Tensor],
    names: Collection[str],
    writer: ModelWriter,
    *,
    steps: int,
    blocks: Blocks | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Distillation:
    """Train the scales of finished layers; those of the writer are revised if the model improves.

    Parameters
    ----------
    source : ModelSource
        The uncompressed model.
    batches : sequence of int64 tensors, shape ``[1, tokens]``
        Text to learn from.
    names : collection of str
        The layers.
    writer : ModelWriter
        Has all of them.
    steps : int
        As many are done.
    blocks : Blocks, optional
        Stages of the model.
    progress : callable, optional
        Called with ``"distilling"``, how much of it is done, and how much there is.

    Raises
    ------
    CompressError
        If memory runs out.
    """
    try:
        return _train(source, batches, names, writer, steps, blocks, progress)
    except (MemoryError, RuntimeError) as e:
        if not is_out_of_memory(e):
            raise
        raise CompressError(
            "out of memory while distilling, which takes the model twice: the finished "
            "layers are kept, run the same with more memory, or another without distil"
        ) from None


def _train(
    source: ModelSource,
    batches: Sequence[torch.Tensor],
    names: Collection[str],
    writer: ModelWriter,
    steps: int,
    blocks: Blocks | None,
    progress: Callable[[str, int, int], None] | None,
) -> Distillation:
    """Train the scales; keep them if the model improves."""
    module = source.module
    heads = head_layers(module)
    with source.loaded():
        trained = {
            name: TrainedLinear(writer.layer(name), bias=name not in heads) for name in names
        }
        for name in heads & trained.keys():
            # One number a token: it would learn which ones the text happens to have.
            trained[name].requires_grad_(False)
        found = distil(
            module,
            batches,
            trained,
            steps=steps,
            blocks=blocks,
            progress=None if progress is None else lambda i, n: progress("distilling", i, n),
        )
        if found.kept:
            layers = {
                name: trained.pop(name).trained(writer.layer(name))
                for name in names
                if name not in heads
            }
            errors = layer_errors(module, batches[0], layers)
            for name, layer in layers.items():
                writer.revise(layer, error=errors[name])
    return found


def decompose_inputs(
    source: ModelSource,
    batches: Sequence[torch.Tensor],
    survey: Survey,
    writer: ModelWriter,
    wanted: Wanted,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> Found:
    """Find what inputs of finished layers may be decomposed to.

    Parameters
    ----------
    source : ModelSource
        The uncompressed model.
    batches : sequence of int64 tensors, shape ``[1, tokens]``
        Text to look at.
    survey : Survey
        Which layers share an input.
    writer : ModelWriter
        Has all of them.
    wanted : Wanted
        The most that may be lost, and in how many steps each is found.
    progress : callable, optional
        Called with ``"decomposing"``, how much of it is done, and how much there is.
    """
    with source.loaded():
        return find_decompositions(
            source.module,
            batches,
            survey,
            writer.layer,
            wanted,
            heads=head_layers(source.module),
            progress=None if progress is None else lambda i, n: progress("decomposing", i, n),
        )
