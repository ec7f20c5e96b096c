"""Finds decompositions: directions and ranks, by what a calibration text has shown."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from summand.compress.allocate.sensitivity import fisher
from summand.compress.decompose.behind import behind, lost_behind, rest_of
from summand.compress.decompose.choose import Candidate, choose
from summand.compress.decompose.search import Search
from summand.compress.decompose.sizes import GroupSizes
from summand.compress.errors import CompressError
from summand.compress.network.survey import Survey
from summand.isa.limits import Limits
from summand.model import Layer
from summand.model.causal import cache_name, why_not_causal
from summand.model.decomposition import EXACT, Decomposition

__all__ = ["Found", "Wanted", "check_decomposable", "find_decompositions"]

#: Prompts that are looked at.
_PROMPTS = 4

#: Times that a choice is made and measured at most, the share of the bound that is near enough, the
#: share that is aimed at, and the most that the bound of estimates changes by each time.
_ROUNDS, _NEAR, _AIM, _STEP = 4, 0.75, 0.9, 6.0

#: Steps of a decomposition.
_STEPS = Limits(1, 16)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What decompositions are looked for.

    Parameters
    ----------
    loss : float
        The most that they may lose behind prompts, in nats a token.
    steps : int
        Of each: one with directions of the text, further ones as block Lanczos iteration takes.

    Raises
    ------
    CompressError
        If a value is none.
    """

    loss: float
    steps: int = 1

    def __post_init__(self):
        if not 0 < self.loss < float("inf"):
            raise CompressError(
                f"decompose_loss must be above 0 and finite, in nats, not {self.loss:g}"
            )
        if self.steps not in _STEPS:
            raise CompressError(f"decompose_steps must be {_STEPS}, not {self.steps}")


@dataclass(frozen=True, eq=False)
class Found:
    """Decompositions, and what they come to.

    Parameters
    ----------
    decompositions : tuple of Decomposition
        In the order of the groups; groups that are not in them are computed as ever.
    saved : float
        Share of the stream bits of all groups that they save in a prompt of as many tokens as one
        of the text's.
    loss : float
        What tokens behind prompts of the text lose: the KL divergence of their predictions, in nats
        a token.
    wanted : Wanted
        What was looked for.
    """

    decompositions: tuple[Decomposition, ...]
    saved: float
    loss: float
    wanted: Wanted

    @property
    def record(self) -> dict[str, Any]:
        """What a manifest says of the search."""
        return {"bound": self.wanted.loss, "steps": self.wanted.steps} | {
            "loss": self.loss,
            "saved": self.saved,
        }


def check_decomposable(module: nn.Module, rows: Sequence[torch.Tensor]) -> None:
    """Refuse a model that writes no text, and a text that is too short.

    Raises
    ------
    CompressError
        Naming what is wrong.
    """
    if (why := why_not_causal(module)) is not None:
        raise CompressError(f"{why}; only prompts of models that write text are decomposed")
    if cache_name(module) is None:
        raise CompressError(
            f"a {type(module).__name__} has no KV cache, so it reads no prompt that others follow; "
            f"leave out decompose_loss"
        )
    if not any(len(ids[0]) > 2 * EXACT for ids in rows):
        raise CompressError(
            f"decomposition takes a row of more than {2 * EXACT} tokens of calibration text; give "
            f"more text, or leave out decompose_loss"
        )


def find_decompositions(
    module: nn.Module,
    rows: Sequence[torch.Tensor],
    survey: Survey,
    layer_of: Callable[[str], Layer],
    wanted: Wanted,
    *,
    heads: Collection[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Find the inputs that are worth a decomposition.

    The loss of each rank at each input is estimated, and ranks are chosen that save most at a bound
    of their sum. What that loses is measured behind the first three quarters of each prompt, and
    the bound is corrected a few times.

    Parameters
    ----------
    module : nn.Module
        The uncompressed model.
    rows : sequence of int64 tensors, shape ``[1, tokens]``
        Text; some of the longest rows are taken as prompts, the others for directions.
    survey : Survey
        Which layers share an input.
    layer_of : callable
        Returns a compressed layer.
    wanted : Wanted
        The most that may be lost, and in how many steps each is found.
    heads : collection of str
        Layers that are computed for a prompt's last token only.
    progress : callable, optional
        Called with how many passes over prompts are done, and how many there are at most.
    """
    longest = max(ids.shape[1] for ids in rows)
    whole = [ids for ids in rows if ids.shape[1] == longest]
    count = min(_PROMPTS, len(whole))
    taken = {i * len(whole) // count for i in range(count)}
    prompts = [whole[i] for i in sorted(taken)]
    # What directions are of would be read too well with them.
    text = [ids for i, ids in enumerate(whole) if i not in taken] or prompts
    tokens = longest - EXACT
    groups = {group[0]: group for group in survey.groups if not set(heads) & set(group)}
    sizes = {
        name: GroupSizes.of(list(map(layer_of, group)), wanted.steps)
        for name, group in groups.items()
    }
    ranks = {name: tuple(size.ranks(tokens)) for name, size in sizes.items()}
    groups = {name: group for name, group in groups.items() if ranks[name]}
    sensitivity = fisher(module, [{"input_ids": ids} for ids in prompts], survey)
    passes = 2 + 2 * _ROUNDS
    search = Search(module, text, prompts, layer_of, sensitivity, wanted.steps, passes, progress)
    directions = search.directions(groups, ranks)
    losses = search.losses(groups, ranks, directions)
    candidates = {
        name: [
            Candidate(rank, sizes[name].saved(rank, tokens), losses[name][rank])
            for rank in ranks[name]
        ]
        for name in groups
    }
    plain = [(ids, behind(module, ids, rest_of(ids))) for ids in prompts]
    every = sum(size.bits for size in sizes.values())
    best, bound = Found((), 0.0, 0.0, wanted), wanted.loss
    for _ in range(_ROUNDS):
        chosen = choose(candidates, bound)
        if not chosen:
            break
        made = search.decompositions({name: groups[name] for name in chosen}, chosen, directions)
        lost = search.measured(
            plain, lambda row, made=made: lost_behind(module, made, layer_of, *row)
        )
        saved = sum(c.saved for c in chosen.values()) / every
        if lost <= wanted.loss and saved > best.saved:
            best = Found(made, saved, lost, wanted)
        if _NEAR * wanted.loss <= lost <= wanted.loss:
            break
        bound *= min(max(_AIM * wanted.loss / max(lost, 1e-12), 1 / _STEP), _STEP)
    return best
