"""The scale of least error for each output feature."""

import torch

from summand.summands.grid import Grid

__all__ = ["search_scale"]

#: Elements worked on at a time: what fits a core's cache.
_CHUNK = 1 << 18


def search_scale(
    weight: torch.Tensor, grid: Grid, energy: torch.Tensor, *, steps: int, refinements: int
) -> torch.Tensor:
    """Return the float32 ``[N]`` scales of least error for ``weight`` ``[N, K]``."""
    chunk = max(1, _CHUNK // weight.shape[1])
    parts = [
        _search(weight[i : i + chunk], grid, energy, steps, refinements)
        for i in range(0, len(weight), chunk)
    ]
    return torch.cat(parts)


def _search(
    weight: torch.Tensor, grid: Grid, energy: torch.Tensor, steps: int, refinements: int
) -> torch.Tensor:
    # Where weights are all zero, any scale is good for integers that can be 0, and else the least.
    least_scale = 1e-30 if grid.half_step else 1.0
    best = torch.full((len(weight),), least_scale)
    least = torch.full((len(weight),), torch.inf)
    top, bottom = weight.amax(dim=1).clamp_min_(0), weight.amin(dim=1).clamp_max_(0)

    def consider(scale: torch.Tensor) -> torch.Tensor:
        """Keep the scale where it is better; returns the integers it gives."""
        nonlocal best, least
        scale = torch.where(scale.abs() > 1e-30, scale, least_scale)
        q = grid.nearest_(weight / scale[:, None])
        error = torch.addcmul(weight, q, scale[:, None], value=-1).square_() @ energy
        better = error < least
        best, least = torch.where(better, scale, best), torch.where(better, error, least)
        return q

    wide = grid.bits >= 6
    for sign in (1,) if grid.even else (1, -1):
        over = -bottom if sign > 0 else top  # what the longer, negative end has to hold
        under = top if sign > 0 else -bottom
        full = torch.maximum(over / -grid.low, under / grid.high if grid.high else torch.zeros(()))
        for ratio in torch.linspace(1, 0.8 if wide else 0.3, steps // 3 if wide else steps):
            consider(full * (sign * ratio))
    for _ in range(refinements):
        q = consider(best)
        consider(((weight * q) @ energy) / (q.square() @ energy).clamp_min_(1e-30))
    return best
