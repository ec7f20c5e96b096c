"""A look at a model before any work is done: what is compressed, and what each layer gets."""

from summand.compress.calibrate.text import Text, rows_of
from summand.compress.errors import CompressError
from summand.compress.importers import Keeper
from summand.compress.job.compressor import Job
from summand.compress.network.survey import example_of, survey
from summand.compress.sources.sources import ModelSource, head_layers
from summand.compress.twin.distil import check_distillable
from summand.recipe.choice import choices_of
from summand.recipe.options import Options

__all__ = ["plan"]


def plan(
    source: ModelSource,
    options: Options,
    text: Text,
    *,
    tokens: int = 8192,
) -> Job:
    """Look at a model before any work is done.

    Parameters
    ----------
    tokens : int
        How much of the text to calibrate on, at most.

    Raises
    ------
    CompressError
        If the model cannot be run on text, has nothing to compress, or the text is too short.
    """
    batches = rows_of(source.module, source.tokenizer, text, tokens=tokens, window=source.window)
    try:
        found = survey(source.module, example_of(batches))
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
    return Job(source, options, text, batches, found, choices, keeper=keeper)
