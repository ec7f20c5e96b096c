"""Short distillation: the uncompressed model teaches the scales of the compressed one."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from summand.compress.errors import CompressError
from summand.compress.network.blocks import Blocks
from summand.compress.network.predictions import (
    divergence,
    divergence_gradient,
    log_probabilities,
    token_logits,
)
from summand.compress.network.survey import call, linear_of, replaced
from summand.compress.twin.error import output_error
from summand.compress.twin.fake import TrainedLinear
from summand.model import Layer

__all__ = ["Distillation", "check_distillable", "distil", "layer_errors"]

#: Of Adam, for logarithms of scales; falls to 0 on a half cosine.
_RATE = 2e-3

#: Tokens of a step, at most.
_TOKENS = 256

#: One row in so many is held out.
_HELD_OUT = 8

#: How often the student is compared with the teacher on the rows held out.
_CHECKS = 2


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """The result of a distillation.

    Parameters
    ----------
    steps : int
        Done, some tokens of text each.
    kept : int
        Steps behind the scales that are kept: those nearest to the teacher on the rows held out;
        0 if none were nearer than those at the start.
    tokens : int
        Positions compared on the rows held out.
    kl_before, kl_after : float
        Mean over these of ``KL(uncompressed || compressed)``, in nats, of the scales at the start
        and of those that are kept.
    """

    steps: int
    kept: int
    tokens: int
    kl_before: float
    kl_after: float


def check_distillable(
    module: nn.Module, rows: Sequence[torch.Tensor], layers: Sequence[str]
) -> None:
    """Refuse a model without token outputs or layers to train, and text too short to hold out."""
    with torch.no_grad():
        token_logits(module, rows[0][:, :16])
    if not layers:
        raise CompressError(
            "no layer but the head is compressed, and the head is not distilled; leave it out"
        )
    if len(rows) < 2:
        raise CompressError(
            "distillation takes a row of calibration text to train on and another to hold out; "
            "give more text, or leave it out"
        )


def distil(
    module: nn.Module,
    rows: Sequence[torch.Tensor],
    layers: Mapping[str, TrainedLinear],
    *,
    steps: int,
    blocks: Blocks | None = None,
    seed: int = 0,
    rate: float = _RATE,
    progress: Callable[[int, int], None] | None = None,
) -> Distillation:
    """Train layers so that the compressed model predicts what the uncompressed one predicts.

    The loss is the KL divergence of next-token distributions from the uncompressed model's (Hinton
    et al., arXiv 1503.02531), over the positions of 256 tokens a step; the optimiser is Adam. Every
    eighth row is not trained on. Of the start and of two checkpoints what is nearest to the
    teacher there is kept: on these rows the model is never further from it afterwards than before.

    Parameters
    ----------
    module : nn.Module
        The teacher, and with ``layers`` in their places the student. Left as it is.
    rows : sequence of int64 tensors, shape ``[1, tokens]``
        Two at least.
    layers : mapping
        The compressed layers, by name; what of them wants gradients is trained, and left with what
        is kept.
    steps : int
        At least 1.
    blocks : Blocks, optional
        The module's stages: activations inside of blocks are then worked out again when they are
        needed, which bounds memory by those of one block and the hidden states between them.
    seed : int
        Of the order of rows.
    rate : float
        What a scale may change in a step, relatively, at first.
    progress : callable, optional
        Called with the steps done and their number.

    Raises
    ------
    CompressError
        If the model has no token outputs.
    """
    held = list(rows[_HELD_OUT - 1 :: _HELD_OUT]) or [rows[-1]]
    seen = [
        piece
        for row in rows
        if not any(row is h for h in held)
        for piece in row.split(_TOKENS, dim=1)
    ]
    parameters = [p for layer in layers.values() for p in layer.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda i: (1 + math.cos(math.pi * i / steps)) / 2
    )
    generator = torch.Generator().manual_seed(seed)
    every = math.ceil(steps / _CHECKS)
    order: list[int] = []
    with _frozen(module):
        before = best = _mean_divergence(module, held, layers)
        kept, values = 0, [p.detach().clone() for p in parameters]
        for step in range(1, steps + 1):
            order = order or torch.randperm(len(seen), generator=generator).tolist()
            row = seen[order.pop()]
            with torch.no_grad():
                teacher = token_logits(module, row)
            with replaced(module, layers), _recomputed(module, blocks), torch.enable_grad():
                student = token_logits(module, row)
                optimiser.zero_grad()
                student.backward(divergence_gradient(student.detach(), teacher))
            del teacher, student
            optimiser.step()
            schedule.step()
            if progress:
                progress(step, steps)
            if step % every == 0 or step == steps:
                found = _mean_divergence(module, held, layers)
                if found < best:
                    best, kept = found, step
                    values = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for p, value in zip(parameters, values, strict=True):
                p.copy_(value)
    return Distillation(
        steps=steps,
        kept=kept,
        tokens=sum(row.numel() for row in held),
        kl_before=before,
        kl_after=best,
    )


def layer_errors(
    module: nn.Module, row: torch.Tensor, layers: Mapping[str, Layer]
) -> dict[str, float]:
    """Return each layer's relative output error on inputs of the uncompressed model."""
    errors: dict[str, float] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
            sample = args[0].detach().reshape(-1, args[0].shape[-1])[:256].float()
            errors[name] = output_error(linear_of(module, name), layers[name], sample)

        return hook

    handles = [linear_of(module, name).register_forward_pre_hook(note(name)) for name in layers]
    try:
        call(module, {"input_ids": row})
    finally:
        for handle in handles:
            handle.remove()
    return errors


@torch.no_grad()
def _mean_divergence(
    module: nn.Module, rows: Sequence[torch.Tensor], layers: Mapping[str, TrainedLinear]
) -> float:
    """Return the mean KL divergence of the student on rows, in nats a position."""
    total = 0.0
    for row in rows:
        teacher = token_logits(module, row)
        with replaced(module, layers):
            student = token_logits(module, row)
        for p, q in zip(log_probabilities(teacher), log_probabilities(student), strict=True):
            total += float(divergence(p, q).sum())
    return total / sum(row.numel() for row in rows)


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Have no parameter of a module wait for a gradient, and have it keep nothing between calls."""
    wanted = {p: p.requires_grad for p in module.parameters()}
    config: Any = getattr(module, "config", None)
    cache = getattr(config, "use_cache", None)
    try:
        for p in wanted:
            p.requires_grad_(False)
        if cache is not None:
            config.use_cache = False
        yield
    finally:
        for p, value in wanted.items():
            p.requires_grad_(value)
        if cache is not None:
            config.use_cache = cache


@contextlib.contextmanager
def _recomputed(module: nn.Module, blocks: Blocks | None) -> Iterator[None]:
    """Keep only what goes into and comes out of each block, for gradients."""
    row: Any = () if blocks is None else module.get_submodule(blocks.path)
    try:
        for block in row:
            block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)
        yield
    finally:
        for block in row:
            block.__dict__.pop("forward", None)
