"""Check that a model which transformers built has exactly the tensors of its checkpoint."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from summand.compress.errors import CompressError

__all__ = ["check_loaded", "is_passed_over", "state_ties"]

#: Buffers that a model computes itself; old checkpoints have them too, under other paths.
_COMPUTED = ("rotary_emb.inv_freq", "position_ids")


def is_passed_over(module: Any, name: str) -> bool:
    """Whether transformers passes over a tensor of this name on purpose in this model's files."""
    buffers = [buffer for buffer, _ in module.named_buffers()]
    for end in _COMPUTED:
        if name.endswith(end) and any(buffer.endswith(end) for buffer in buffers):
            return True
    patterns = getattr(module, "_keys_to_ignore_on_load_unexpected", None) or ()
    return any(re.search(pattern, name) for pattern in patterns)


def check_loaded(
    path: Path, module: nn.Module, info: Mapping[str, Any], integers: Collection[str] = ()
) -> None:
    """Refuse a model that lacks tensors of its own, or ignores tensors of the file.

    Parameters
    ----------
    path : Path
        What was loaded.
    module : nn.Module
        The model that transformers built.
    info : mapping
        What transformers says of the loading.
    integers : collection of str
        Tensors of the checkpoint that are whole numbers.

    Raises
    ------
    CompressError
        Naming the first tensor.
    """
    kind = type(module).__name__
    if missing := sorted(info["missing_keys"]):
        raise CompressError(
            f"{path} lacks {len(missing)} tensors that {kind} needs, the first of them "
            f"{missing[0]}; it is not whole, or its config.json is of another model"
        )
    if left := sorted(info["unexpected_keys"]):
        raise CompressError(
            f"{path} has {len(left)} tensors that {kind}, as config.json has it, does not use, the "
            f"first of them {left[0]}; mend config.json, or load and save the model again with "
            f"transformers if they are to be dropped"
        )
    fractions = {name for name, p in module.named_parameters() if p.is_floating_point()}
    if whole := sorted(fractions.intersection(integers)):
        raise CompressError(
            f"{path} has {len(whole)} weights that are whole numbers, the first of them "
            f"{whole[0]}, and its config.json does not say what they stand for; give the model "
            f"before it was quantised"
        )


def state_ties(module: nn.Module) -> None:
    """Have the configuration say whether the output head is the embedding.

    A checkpoint may have a head of its own that its configuration does not admit: transformers
    takes it, and leaves the configuration as it was.
    """
    model: Any = module
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or embedding is None or head.weight is embedding.weight:
        return
    for config in (model.config, model.config.get_text_config()):
        if getattr(config, "tie_word_embeddings", False):
            config.tie_word_embeddings = False
