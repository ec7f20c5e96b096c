"""A look at a model before any work is done: what is compressed, and what each layer gets."""

from torch import nn

from summand.compress.calibrate.text import Text, rows_of
from summand.compress.errors import CompressError
from summand.compress.importers import Keeper
from summand.compress.job.compressor import Job
from summand.compress.network.survey import survey
from summand.compress.sources.sources import ModelSource, head_layers, head_name
from summand.compress.twin.distil import check_distillable
from summand.model.split import split
from summand.recipe.choice import choices_of
from summand.recipe.options import Options

__all__ = ["plan"]

#: Outputs from which on a head is split, parts at most, and outputs that a part is a multiple of.
_LARGE_HEAD, _HEAD_PARTS, _WHOLE = 4096, 16, 64


def plan(
    source: ModelSource,
    options: Options,
    text: Text,
    *,
    tokens: int = 8192,
    split_head: bool = False,
) -> Job:
    """Look at a model before any work is done.

    Parameters
    ----------
    tokens : int
        How much of the text to calibrate on, at most.
    split_head : bool
        Split a large output head in parts, so that each can be allocated bits of its own.

    Raises
    ------
    CompressError
        If the model cannot be run on text, has nothing to compress, or the text is too short.
    """
    batches = rows_of(source.module, source.tokenizer, text, tokens=tokens, window=source.window)
    parts = _split_head(source.module) if split_head else ()
    try:
        found = survey(source.module, {"input_ids": batches[0][:, :16]})
    except TypeError as e:
        raise CompressError(f"the model cannot be called with token ids: {e}") from None
    heads = head_layers(source.module)
    if options.distil:
        check_distillable(source.module, batches, [n for n in found.layers if n not in heads])
    choices = choices_of(options, found.layers, heads=heads)
    keeper = None
    if options.keep_quantised:
        keeper = Keeper.of(
            source.quantised,
            source.module,
            found.layers,
            act_bits=options.act_bits,
            scale_bits=options.scale_bits,
            acc_bits=options.acc_bits,
            grouping=options.grouping,
        )
    return Job(source, options, text, batches, found, choices, parts, keeper)


def _split_head(module: nn.Module) -> tuple[str, ...]:
    """Split an output head in parts; returns its name if there is one, and it is large."""
    name = head_name(module)
    head = None if name is None else module.get_submodule(name)
    if name is None or not isinstance(head, nn.Linear) or head.out_features < _LARGE_HEAD:
        return ()
    if type(head).forward is not nn.Linear.forward:  # it stays on the host as it is
        return ()
    size = -(-head.out_features // _HEAD_PARTS)
    size += -size % _WHOLE
    whole, rest = divmod(head.out_features, size)
    split(module, name, [size] * whole + [rest] * (rest > 0))
    return (name,)
