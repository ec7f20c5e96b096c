"""Low-rank factors by singular value decomposition, weighted by what the inputs look like."""

import math
from dataclasses import dataclass

import torch

from summand.compress.errors import CompressError
from summand.compress.scaling import integer_range, search_scale
from summand.compress.solvers import LowRankProblem, LowRankSolution

__all__ = ["WhitenedSvd", "requantisation"]


def requantisation(ratio: float) -> tuple[int, int]:
    """Return ``(mult, shift)`` so that ``mult / 2**shift`` is nearest to a positive ratio."""
    _, exponent = math.frexp(ratio)  # ratio = m * 2**exponent, m in [0.5, 1)
    shift = min(max(16 - exponent, 1), 47)
    mult = round(math.ldexp(ratio, shift))
    if mult > 65535 and shift > 1:
        shift -= 1
        mult = round(math.ldexp(ratio, shift))
    return min(mult, 65535), shift


@dataclass(frozen=True)
class WhitenedSvd:
    """The best factors for the calibration text's outputs, quantised one rank after another.

    With ``H = mean(x^T x) = L L^T``, the error of an output is the norm of ``L^T (W - A B)``, so
    that the singular vectors of ``L^T W`` give the best factors. ``A`` is rounded first and ``B``
    fitted to it. Then the ranks are quantised in turn: a rank's requantisation is chosen to
    balance the rounding of its intermediate against that of its row of ``B`` (whose unit is the
    layer's accumulator, and no choice), and the ranks after it make up for what it lost.

    Parameters
    ----------
    damping : float
        Added to the diagonal of ``H``, as a share of its mean: makes it invertible.
    balance_steps : int
        Requantisations tried for each rank.
    feedback : bool
        Whether later ranks make up for earlier ones; pays below 6 bits.
    """

    damping: float = 0.01
    balance_steps: int = 40
    feedback: bool = True

    name = "whitened SVD"

    def solve(self, problem: LowRankProblem) -> LowRankSolution:
        """Factorise, then quantise."""
        h = self._damped(problem.moments)
        a = self._quantise_a(problem, _factor(h, problem.target.T.double(), problem.rank))
        gram = a.T @ h @ a
        gram.diagonal().add_(gram.diagonal().mean().clamp_min(1e-30) * 1e-6)
        b = torch.linalg.solve(gram, a.T @ h @ problem.target.T.double())
        p = problem.xq @ a.to(torch.float32)
        out = torch.empty(b.shape, dtype=torch.int8)
        mults, shifts = [], []
        for r in range(problem.rank):
            ratio = self._balance(problem, p[:, r], b[r].float())
            mult, shift = requantisation(ratio)
            realised = math.ldexp(mult, -shift)
            unit = problem.unit.double() * realised
            low, high = integer_range(problem.bits)
            q = (b[r] / unit).round_().clamp_(low, high) if mult else torch.zeros_like(b[r])
            out[r] = q.to(torch.int8)
            mults.append(mult)
            shifts.append(shift)
            if self.feedback and r + 1 < problem.rank:
                lost = b[r] - q * unit
                rest = torch.linalg.solve(gram[r + 1 :, r + 1 :], gram[r + 1 :, r])
                b[r + 1 :] += rest[:, None] * lost
        return LowRankSolution(a.to(torch.int8), out, torch.tensor(mults), torch.tensor(shifts))

    def _damped(self, moments: torch.Tensor) -> torch.Tensor:
        h = moments.double()
        h = (h + h.T) / 2
        mean = h.diagonal().mean().clamp_min(1e-30)
        h.diagonal().add_(self.damping * mean)
        return h

    def _quantise_a(self, problem: LowRankProblem, a: torch.Tensor) -> torch.Tensor:
        """Round the columns of ``a``, each to its own scale, which nobody needs to know."""
        low, high = integer_range(problem.bits)
        columns = a.T.float().contiguous()
        energy = problem.moments.diagonal().clamp_min(1e-30).float()
        scale = search_scale(columns, problem.bits, energy, steps=18, refinements=2)
        q = (columns / scale[:, None]).round_().clamp_(low, high)
        for _ in range(64):
            total = q.abs().sum(dim=1)
            if not (over := total > problem.limit).any():
                return q.T.double()
            scale[over] *= 1.02 * total[over] / max(problem.limit, 1)
            q[over] = (columns[over] / scale[over][:, None]).round_().clamp_(low, high)
        raise CompressError(
            f"no scale keeps the low-rank intermediate from overflowing: the magnitudes of "
            f"{len(a)} weights may add up to {problem.limit} only; raise acc_bits"
        )

    def _balance(self, problem: LowRankProblem, p: torch.Tensor, b: torch.Tensor) -> float:
        """Return the requantisation ratio of least error for intermediate ``p`` and row ``b``.

        A large ratio keeps the intermediate ``p * ratio`` precise until it saturates; a small one
        makes the integers ``b / (unit * ratio)`` large, hence precise, until they saturate.
        """
        low, high = integer_range(problem.bits)
        top = (1 << (problem.act_bits - 1)) - 1
        peak = float(p.abs().max())
        need = float((b / problem.unit).abs().max())
        if not peak or not need:
            return 0.0
        ends = torch.tensor([top / peak, need / max(high, 1)]).log()
        grid = torch.linspace(float(ends.min()) - 1, float(ends.max()) + 1, self.balance_steps)
        weight = problem.s_x[:, 0].square()
        best, least = 0.0, math.inf
        for ratio in grid.exp().tolist():
            t = (p * ratio).round_().clamp_(-top - 1, top) / ratio
            unit = problem.unit * ratio
            q = (b / unit).round_().clamp_(low, high) * unit
            lost_t = float((p - t).square() @ weight) * float(b.square().sum())
            lost_b = float(t.square() @ weight) * float((b - q).square().sum())
            if lost_t + lost_b < least:
                best, least = ratio, lost_t + lost_b
        return best


def _factor(h: torch.Tensor, target: torch.Tensor, rank: int) -> torch.Tensor:
    """Return the ``[K, R]`` factor of the best ``A B`` near a ``[K, N]`` target under ``h``."""
    lower = torch.linalg.cholesky(h)
    m = lower.T @ target
    # Eigenvectors of the smaller Gram matrix: much quicker than the decomposition itself.
    if m.shape[0] <= m.shape[1]:
        left = torch.linalg.eigh(m @ m.T)[1][:, -rank:].flip(1)
    else:
        right = torch.linalg.eigh(m.T @ m)[1][:, -rank:].flip(1)
        left = m @ right
        left = left / left.norm(dim=0).clamp_min(1e-30)
    return torch.linalg.solve_triangular(lower.T, left, upper=True)
