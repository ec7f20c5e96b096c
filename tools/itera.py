"""Iterative against one-shot decomposition of matrices, at several widths of the factors.

    python tools/itera.py [--plot docs/itera.svg]

Compares on the matrix alone, as ITERA-LLM (arXiv 2505.08981) does: the intermediate is not rounded,
and inputs have no weight. Prints Markdown tables; the plot needs matplotlib (`pip install
'.[plots]'`).
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch

from summand.compress import CompressError, open_source
from summand.summands.lowrank.solve import Iterative, PlainSvd
from summand.summands.lowrank.solve.problem import LowRankProblem, LowRankSolver

ROWS, COLUMNS, RANKS = 256, 384, 128
BITS = (3, 4, 6, 8)
SOLVERS: Mapping[str, LowRankSolver] = {
    "one-shot": PlainSvd(),
    "one-shot, B made up": PlainSvd(feedback=True),
    "iterative": Iterative(whitened=False),
}


def spectrum(values: torch.Tensor, seed: int) -> torch.Tensor:
    """Return a matrix with random singular vectors and these singular values."""
    g = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(ROWS, ROWS, generator=g, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(COLUMNS, ROWS, generator=g, dtype=torch.float64))[0]
    return ((left * values) @ right.T).float()


def matrices() -> dict[str, torch.Tensor]:
    """Return the matrices that are decomposed, by name."""
    i = torch.arange(ROWS, dtype=torch.float64)
    found = {
        "fast: 0.95^i": spectrum(0.95**i, 1),
        "slow: (i + 1)^-0.5": spectrum((i + 1) ** -0.5, 2),
    }
    try:
        module = open_source("smollm2").module
    except CompressError:
        return found
    found["SmolLM2, layer 14, o"] = module.get_submodule(
        "model.layers.14.self_attn.o_proj"
    ).weight.detach()
    return found


def problem(matrix: torch.Tensor, bits: int, ranks: int) -> LowRankProblem:
    """Return the problem of a matrix on its own: inputs without weight, T practically exact."""
    n, k = matrix.shape
    g = torch.Generator().manual_seed(0)
    return LowRankProblem(
        target=matrix,
        unit=torch.full((n,), float(matrix.abs().max()) / 1000),
        rank=ranks,
        bits=bits,
        moments=torch.eye(k),
        xq=(torch.randn(64, k, generator=g) * 2**15).round(),
        s_x=torch.ones(64, 1),
        act_bits=30,
        limit=1 << 60,
    )


def errors(
    matrix: torch.Tensor, bits: int, solver: LowRankSolver, ranks: int = RANKS
) -> list[float]:
    """Return the relative error after each rank."""
    alone = problem(matrix, bits, ranks)
    solution = solver.solve(alone)
    ratio = torch.ldexp(solution.mult.double(), -solution.shift)
    left = matrix.double().T.clone()
    out = []
    for r in range(ranks):
        left -= torch.outer(solution.a[:, r] * ratio[r], solution.b[r] * alone.unit.double())
        out.append(float(left.norm() / matrix.norm()))
    return out


def exact(matrix: torch.Tensor) -> list[float]:
    """Return the relative error after each rank of the decomposition, without rounding."""
    values = torch.linalg.svdvals(matrix.double()).square()
    left = values.sum() - values.cumsum(0)
    return (left.clamp_min(0) / values.sum()).sqrt()[:RANKS].tolist()


def table(curves: Mapping[int, Mapping[str, list[float]]], best: list[float]) -> str:
    """Return relative errors at 64 ranks, and the ranks with which iterating equals one-shot."""
    names = list(SOLVERS)
    lines = [
        f"| bits | not rounded | {' | '.join(names)} | ranks to equal one-shot's 64 |",
        "|---" * (len(names) + 3) + "|",
    ]
    for bits, found in curves.items():
        goal = found["one-shot"][63]
        needed = next(r + 1 for r, e in enumerate(found["iterative"]) if e <= goal)
        cells = " | ".join(f"{found[name][63]:.4f}" for name in names)
        lines.append(f"| {bits} | {best[63]:.4f} | {cells} | {needed} |")
    return "\n".join(lines)


def plot(
    results: Mapping[str, tuple[Mapping[int, Mapping[str, list[float]]], list[float]]], path: Path
) -> None:
    """Draw errors over ranks, a panel for each matrix and width."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "summand", "font.size": 8})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        len(results), len(BITS), figsize=(11, 2.6 * len(results)), squeeze=False, sharey="row"
    )
    ranks = range(1, RANKS + 1)
    for row, (name, (curves, best)) in zip(axes, results.items(), strict=True):
        for axis, bits in zip(row, BITS, strict=True):
            axis.plot(ranks, best, color="0.6", linestyle=":", label="not rounded")
            for label, style in zip(SOLVERS, ("--", "-.", "-"), strict=True):
                axis.plot(ranks, curves[bits][label], linestyle=style, label=label)
            axis.set_yscale("log")
            axis.set_title(f"{name}, {bits} bits", fontsize=8)
        row[0].set_ylabel("relative error")
    for axis in axes[-1]:
        axis.set_xlabel("rank")
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Print the tables, and draw the plot if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", type=Path, metavar="SVG", help="where the plot goes")
    args = parser.parse_args()
    results = {}
    for name, matrix in matrices().items():
        curves = {
            bits: {label: errors(matrix, bits, solver) for label, solver in SOLVERS.items()}
            for bits in BITS
        }
        results[name] = curves, exact(matrix)
        print(f"{name}, {matrix.shape[0]} x {matrix.shape[1]}\n\n{table(*results[name])}\n")  # noqa: T201
    if args.plot:
        plot(results, args.plot)


if __name__ == "__main__":
    main()
