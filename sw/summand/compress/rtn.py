"""Round to nearest, with a scale for each output feature that is searched for."""

from dataclasses import dataclass

import torch

from summand.compress.errors import CompressError
from summand.compress.solvers import DenseProblem, DenseSolution

__all__ = ["RoundToNearest", "integer_range", "search_scale"]

#: Elements worked on at a time: what fits a core's cache.
_CHUNK = 1 << 18


def integer_range(bits: int) -> tuple[int, int]:
    """Return the least and the largest two's complement integer of ``bits``."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


@dataclass(frozen=True)
class RoundToNearest:
    """Rounds each weight by itself; the scale minimises the energy-weighted square error.

    The scale may be negative: two's complement has one more step below zero than above, and the
    sign decides which end of the weights gets it.

    Parameters
    ----------
    steps : int
        Clip ratios tried for either sign; wide integers, which gain little from clipping, try a
        third of them.
    refinements : int
        Rounds of fitting the scale to the integers and rounding again.
    """

    steps: int = 18
    refinements: int = 2

    name = "round to nearest"
    needs_moments = False

    def solve(self, problem: DenseProblem) -> DenseSolution:
        """Search scales, round, and stretch the scales that would let an accumulator overflow."""
        weight = problem.weight
        low, high = integer_range(problem.bits)
        scale = search_scale(
            weight, problem.bits, problem.energy, steps=self.steps, refinements=self.refinements
        )
        quantised = torch.empty_like(weight, dtype=torch.int8)
        chunk = max(1, _CHUNK // weight.shape[1])
        for i in range(0, len(weight), chunk):
            part = weight[i : i + chunk]
            quantised[i : i + chunk] = _round(part, scale[i : i + chunk], low, high)
        for _ in range(64):
            total = quantised.to(torch.int16).abs_().sum(dim=1, dtype=torch.int64)
            over = (total > problem.limit).nonzero()[:, 0]
            if not len(over):
                return DenseSolution(quantised, scale)
            scale[over] *= 1.02 * total[over] / max(problem.limit, 1)
            quantised[over] = _round(weight[over], scale[over], low, high)
        raise CompressError(
            f"no scale keeps the accumulators from overflowing: the magnitudes of "
            f"{weight.shape[1]} weights may add up to {problem.limit} only; raise acc_bits, or "
            f"lower act_bits"
        )


def _round(weight: torch.Tensor, scale: torch.Tensor, low: int, high: int) -> torch.Tensor:
    return (weight / scale[:, None]).round_().clamp_(low, high).to(torch.int8)


def search_scale(
    weight: torch.Tensor, bits: int, energy: torch.Tensor, *, steps: int, refinements: int
) -> torch.Tensor:
    """Return the float32 ``[N]`` scales of least error for ``weight`` ``[N, K]``."""
    chunk = max(1, _CHUNK // weight.shape[1])
    parts = [
        _search(weight[i : i + chunk], bits, energy, steps, refinements)
        for i in range(0, len(weight), chunk)
    ]
    return torch.cat(parts)


def _search(
    weight: torch.Tensor, bits: int, energy: torch.Tensor, steps: int, refinements: int
) -> torch.Tensor:
    low, high = integer_range(bits)
    best = torch.ones(len(weight))
    least = torch.full((len(weight),), torch.inf)
    top, bottom = weight.amax(dim=1).clamp_min_(0), weight.amin(dim=1).clamp_max_(0)

    def consider(scale: torch.Tensor) -> torch.Tensor:
        """Keep the scale where it is better; returns the integers it gives."""
        nonlocal best, least
        scale = torch.where(scale.abs() > 1e-30, scale, torch.ones(()))
        q = (weight / scale[:, None]).round_().clamp_(low, high)
        error = torch.addcmul(weight, q, scale[:, None], value=-1).square_() @ energy
        better = error < least
        best, least = torch.where(better, scale, best), torch.where(better, error, least)
        return q

    wide = bits >= 6
    for sign in (1, -1):
        over = -bottom if sign > 0 else top  # what the longer, negative end has to hold
        under = top if sign > 0 else -bottom
        full = torch.maximum(over / -low, under / high if high else torch.zeros(()))
        for ratio in torch.linspace(1, 0.8 if wide else 0.3, steps // 3 if wide else steps):
            consider(full * (sign * ratio))
    for _ in range(refinements):
        q = consider(best)
        consider(((weight * q) @ energy) / (q.square() @ energy).clamp_min_(1e-30))
    return best
