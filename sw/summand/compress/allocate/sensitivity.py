"""Estimate how much an error in each layer's output costs at the end of the model.

Both estimates are in the same unit: for each output feature, twice the KL divergence in nats a
token for each unit of mean square error. So a layer's cost is half the sum of its outputs' mean
square errors, each times its sensitivity.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.errors import CompressError
from summand.compress.network.predictions import divergence
from summand.compress.network.survey import Batch, Survey, call, invoke, linear_of
from summand.summands.dense.solve.problem import DenseProblem, DenseSolver
from summand.summands.grid import Grid
from summand.summands.solving import output_errors

__all__ = ["differences", "fisher"]


def fisher(
    module: nn.Module,
    batches: Sequence[Batch],
    found: Survey,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, torch.Tensor]:
    """Return the diagonal of the Fisher information of every layer's outputs, by its name.

    The mean square of the gradient that reaches an output when the model is asked to explain tokens
    that it has drawn itself. To second order the KL divergence that errors ``d`` of an output cause
    is half of their squares times this; errors of different outputs and tokens are taken to be
    independent. For a module without ``logits``, half the square error of what it returns takes the
    divergence's place: of all tensors of a mapping, as encoders return hidden states and a pooled
    one, else of the first.

    Memory is bounded by one batch: no gradient of a parameter is kept.

    Returns
    -------
    mapping of str to float32 tensor, shape ``[N]``
    """
    sums: dict[str, torch.Tensor] = {}
    tokens: dict[str, int] = {}
    generator = torch.Generator().manual_seed(seed)

    def watch(name: str) -> Callable[[nn.Module, Any, torch.Tensor], torch.Tensor]:
        def add(gradient: torch.Tensor) -> None:
            flat = gradient.detach().reshape(-1, gradient.shape[-1]).float().cpu()
            squares = flat.square().sum(dim=0)
            sums[name] = sums[name] + squares if name in sums else squares
            tokens[name] = tokens.get(name, 0) + len(flat)

        def note(_: nn.Module, __: Any, output: torch.Tensor) -> torch.Tensor:
            if not output.requires_grad:
                output.requires_grad_()
            output.register_hook(add)
            return output

        return note

    wanted = {p: p.requires_grad for p in module.parameters()}
    handles = [module.get_submodule(n).register_forward_hook(watch(n)) for n in found.layers]
    try:
        for p in wanted:
            p.requires_grad_(False)
        with torch.enable_grad():
            for i, batch in enumerate(batches):
                _surprise(invoke(module, batch), generator).backward()
                if progress:
                    progress(i + 1, len(batches))
    finally:
        for handle in handles:
            handle.remove()
        for p, value in wanted.items():
            p.requires_grad_(value)
    for name in found.layers:
        if name not in sums:
            raise CompressError(f"layer {name!r} has no influence on the model's output")
        if not torch.isfinite(sums[name]).all():
            raise CompressError(f"layer {name!r}: its gradients are not finite")
    return {name: sums[name] / tokens[name] for name in found.layers}


def _surprise(output: Any, generator: torch.Generator) -> torch.Tensor:
    """Return a number whose gradient's covariance is the Fisher information."""
    logits = getattr(output, "logits", None)
    if logits is None:
        total = torch.zeros(())
        for plain in _plain(output):
            signs = torch.randint(0, 2, plain.shape, generator=generator).to(plain) * 2 - 1
            total = total + (plain * signs).sum()
        return total
    logp = logits.float().log_softmax(dim=-1).flatten(0, -2)
    drawn = torch.multinomial(logp.detach().exp(), 1, generator=generator)
    return -logp.gather(1, drawn).sum()


def differences(
    module: nn.Module,
    batches: Sequence[Batch],
    found: Survey,
    statistics: Mapping[str, InputStatistics],
    *,
    solver: DenseSolver,
    bits: int = 3,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, torch.Tensor]:
    """Return what quantising each layer alone does to the model's predictions, by its name.

    ITERA-LLM's sensitivity (arXiv 2505.08981): finite differences of the end metric, here the KL
    divergence. One layer after another is rounded to ``bits`` and the model run; all outputs of a
    layer get the same value. Takes a run of the model for each layer.

    Parameters
    ----------
    statistics : mapping
        Of each group's input, by the name of its first layer, as calibration gives them.
    solver : DenseSolver
        What rounds.

    Returns
    -------
    mapping of str to float32 tensor, shape ``[N]``
    """
    before = [_Outcome.of(module, batch) for batch in batches]
    out = {}
    for group in found.groups:
        for name in group:
            linear = linear_of(module, name)
            weight = linear.weight.detach()
            seen = statistics[group[0]]
            rounded = solver.solve(
                DenseProblem(
                    weight=weight.to("cpu", torch.float32),
                    grid=Grid(bits),
                    energy=seen.energy,
                    moments=seen.moments,
                    limit=1 << 40,
                )
            ).matrix()
            lost = weight.cpu().float() - rounded
            error = output_errors(lost, seen.energy, seen.moments).sum().clamp_min(1e-30)
            original = linear.weight
            try:
                # A parameter of its own: an embedding may share the layer's.
                linear.weight = nn.Parameter(rounded.to(weight), requires_grad=False)
                apart = sum(
                    was.divergence(_Outcome.of(module, batch))
                    for was, batch in zip(before, batches, strict=True)
                ) / len(batches)
            finally:
                linear.weight = original
            out[name] = torch.full((len(weight),), 2 * float(apart) / float(error))
            if progress:
                progress(len(out), len(found.layers))
    return out


@dataclass(frozen=True, eq=False)
class _Outcome:
    """A module's output for a batch: log-probabilities ``[tokens, vocabulary]``, or numbers."""

    values: tuple[torch.Tensor, ...]
    predicts: bool

    @classmethod
    def of(cls, module: nn.Module, batch: Batch) -> "_Outcome":
        output = call(module, batch)
        logits = getattr(output, "logits", None)
        if logits is None:
            return cls(tuple(each.float().flatten(0, -2) for each in _plain(output)), False)
        return cls((logits.float().log_softmax(dim=-1).flatten(0, -2),), True)

    def divergence(self, other: "_Outcome") -> float:
        """Return ``KL(self || other)`` in nats a token, or half the square error of numbers."""
        apart = divergence if self.predicts else _half_square
        pairs = zip(self.values, other.values, strict=True)
        return sum(float(apart(mine, theirs).mean()) for mine, theirs in pairs)


def _half_square(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).square().sum(dim=-1).double() / 2


def _plain(output: Any) -> list[torch.Tensor]:
    """Return the tensors that a module without logits gives."""
    if isinstance(output, torch.Tensor):
        return [output]
    if isinstance(output, Mapping):
        tensors = (value for value in output.values() if isinstance(value, torch.Tensor))
        return [tensor for tensor in tensors if tensor.is_floating_point()]
    return [output[0]]
