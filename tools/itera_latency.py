"""Low rank alone against rounding alone, at equal error: cycles on one engine.

    python tools/itera_latency.py [--plain]

ITERA-LLM (arXiv 2505.08981) replaces weights that are rounded to 8, 6 or 4 bits, with one scale an
output, by low-rank factors of few bits, and counts latency at equal accuracy. This does so matrix
by matrix, without a rotation and behind one, which makes rounding better and leaves singular values
as they are. For each width, the error of rounding to nearest; then, of factors of 3 to 8 bits, what
takes fewest cycles of those with at most that error, one-shot and iterative. Ranks are filled up to
what the engine's slices digest. Cycles by the cost law, which equals the engine's counters, of one
token (``smollm2`` with a shift). The intermediate is taken as exact, which favours low rank.
"""

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import replace

import torch
from itera import errors, spectrum

from summand.bench import Law
from summand.boards.configurations import find_configuration
from summand.compress import CompressError, open_source
from summand.decompose.programs import outline
from summand.isa import EngineConfig
from summand.schedule.terms import Direct, Factored, Sizes
from summand.summands.lowrank.solve import Iterative, PlainSvd

WIDTHS = (8, 6, 4)
FACTORS = (3, 4, 6, 8)
SOLVERS = {"one-shot": PlainSvd(), "iterative": Iterative(whitened=False)}
#: Real layers: the model's name, and the layer's.
LAYERS = (
    ("smollm2", "model.layers.14.self_attn.o_proj"),
    ("smollm2", "model.layers.14.self_attn.k_proj"),
    ("minilm", "encoder.layer.3.attention.self.query"),
    ("minilm", "encoder.layer.3.intermediate.dense"),
)


def matrices() -> dict[str, torch.Tensor]:
    """Return the matrices, by name."""
    i = torch.arange(256, dtype=torch.float64)
    found = {f"{base}^i": spectrum(base**i, n) for n, base in enumerate((0.9, 0.95, 0.98))}
    found["(i + 1)^-1"] = spectrum((i + 1.0) ** -1, 4)
    found["(i + 1)^-0.5"] = spectrum((i + 1.0) ** -0.5, 2)
    for model, layer in LAYERS:
        try:
            weight = open_source(model).module.get_submodule(layer).weight
        except CompressError:
            continue
        short = layer.rpartition(".")[2] if "dense" not in layer else "intermediate"
        found[f"{model}, {short}"] = weight.detach().float()
    return found


def rotated(matrix: torch.Tensor) -> torch.Tensor:
    """Return a matrix behind a random rotation of its inputs."""
    g = torch.Generator().manual_seed(9)
    k = matrix.shape[1]
    return matrix @ torch.linalg.qr(torch.randn(k, k, generator=g, dtype=torch.float64))[0].float()


def nearest(matrix: torch.Tensor, bits: int) -> torch.Tensor:
    """Return a matrix rounded to nearest, with the best of some scales an output."""
    most = matrix.abs().amax(dim=1, keepdim=True)
    high = 2 ** (bits - 1) - 1
    least = torch.full((len(matrix),), math.inf)
    best = torch.zeros_like(matrix)
    for clip in torch.linspace(0.5, 1, 26):
        scale = most * clip / high
        tried = (matrix / scale).round().clamp(-high - 1, high) * scale
        error = (matrix - tried).square().sum(1)
        best = torch.where((error < least)[:, None], tried, best)
        least = torch.minimum(least, error)
    return best


def rounded(matrix: torch.Tensor, bits: int) -> float:
    """Return the relative error of rounding to nearest."""
    return float((matrix - nearest(matrix, bits)).norm() / matrix.norm())


def cycles(sizes: Sizes, config: EngineConfig) -> int:
    """Return what a layer takes for one token."""
    return Law(config).usage(outline(("layer",), (sizes,), config), 1).counters.cycles


def best(
    curves: Mapping[int, list[float]], shape: torch.Size, goal: float, config: EngineConfig
) -> tuple[int, int, int] | None:
    """Return cycles, rank and bits of the quickest factors with at most an error."""
    n, k = shape
    found = []
    for bits, errors_of in curves.items():
        rank = next((r + 1 for r, e in enumerate(errors_of) if e <= goal), None)
        if rank is not None:
            sizes = Sizes(k, n, (Factored(rank=rank, first=bits, second=bits),))
            found.append((cycles(sizes, config), rank, bits))
    return min(found, default=None)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain", action="store_true", help="without the rows behind a rotation")
    given = parser.parse_args()
    config = replace(find_configuration("smollm2").config, shift=4)
    write = sys.stdout.write
    names = " | ".join(f"{name}: cycles, rank x bits | of rounding's" for name in SOLVERS)
    write(f"| matrix | rounded to | error | cycles | {names} |\n")
    write("|---" * (4 + 2 * len(SOLVERS)) + "|\n")
    for name, matrix in matrices().items():
        # The best rank of the matrix does not depend on a rotation, so it is found once.
        n, k = matrix.shape
        ranks = n * k // (n + k)  # more stream more than the matrix at equal bits
        curves = {
            label: {bits: errors(matrix, bits, solver, min(n, k, 2 * ranks)) for bits in FACTORS}
            for label, solver in SOLVERS.items()
        }
        for turned in (False,) if given.plain else (False, True):
            for bits in WIDTHS:
                goal = rounded(rotated(matrix) if turned else matrix, bits)
                dense = cycles(Sizes(k, n, (Direct(planes=bits),)), config)
                label = name + (", rotated" if turned else "")
                row = [label, str(bits), f"{goal:.4f}", f"{dense:,}"]
                for solver in SOLVERS:
                    if quick := best(curves[solver], matrix.shape, goal, config):
                        row += [f"{quick[0]:,}, {quick[1]} x {quick[2]}", f"{quick[0] / dense:.2f}"]
                    else:
                        row += ["none", ""]
                write(f"| {' | '.join(row)} |\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
