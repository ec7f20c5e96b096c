"""Check that Summand has read the same weights that transformers reads by itself."""

from dataclasses import dataclass
from typing import Any

import torch

from summand.compress.errors import CompressError
from summand.compress.network.survey import call
from summand.compress.sources.sources import ModelSource
from summand.compress.weights.weight_files import WeightFiles
from summand.model import ModelError
from summand.model.guard import guarded, quiet
from summand.model.hub import load_weights, read_config

__all__ = ["Witness", "check_reading"]

#: Distances of outputs, relative to their size, up to which both are the same: of weights that are
#: copied, and of weights that a library computes from integers in floating point of 16 bits.
_COPIED, _COMPUTED = 1e-4, 2e-2

_REMEDY = "what it asks for would let both be compared"


@dataclass(frozen=True, kw_only=True)
class Witness:
    """Whether transformers has read the same model by itself.

    Parameters
    ----------
    independent : bool
        Whether anybody but Summand has.
    how : str
        A sentence for the user.
    """

    independent: bool
    how: str


def check_reading(source: ModelSource) -> Witness:
    """Load a source again by transformers alone, and compare what both models compute.

    Both models are in memory at once.

    Raises
    ------
    CompressError
        If their outputs differ.
    """
    module: Any = source.module
    if source.path is None:
        return Witness(independent=False, how="come from no file that others could read")
    if source.path.is_file():
        return Witness(
            independent=True,
            how="read by transformers' own GGUF loader, and compared with the keys of the file",
        )
    try:
        other, _ = load_weights(
            type(module),
            source.path,
            read_config(source.path, remedy=_REMEDY),
            WeightFiles.of(source.path).stored,
            file=source.path / "config.json",
            remedy=_REMEDY,
        )
        with quiet(), guarded(source.path, _REMEDY):
            theirs = _outputs(other.eval())
    except (ModelError, ModuleNotFoundError) as why:
        return Witness(
            independent=False,
            how=f"read by Summand alone; transformers cannot load it here ({why})",
        )
    ours = _outputs(module)
    most = _COPIED if source.quantised is None else _COMPUTED
    off = float((ours - theirs).norm() / theirs.norm().clamp_min(1e-30))
    if not off <= most:
        raise CompressError(
            f"{source.path}: what Summand has read and what transformers reads compute outputs "
            f"that are {off:.2%} apart; figures would be of another model, so there are none"
        )
    return Witness(
        independent=True, how=f"as transformers reads them by itself: outputs {off:.1e} apart"
    )


def _outputs(module: torch.nn.Module) -> torch.Tensor:
    """Return a model's output for a few tokens: logits, or hidden states."""
    config: Any = module.config
    ids = torch.arange(1, 17)[None] * 61 % config.get_text_config().vocab_size
    out: Any = call(module, {"input_ids": ids})
    return out[0].double()
