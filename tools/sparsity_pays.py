"""Whether N:M patterns and outliers are worth their bits: errors of layers' outputs over bits.

    summand compress smollm2 -o build/m --statistics build/statistics
    python tools/sparsity_pays.py build/statistics [--blocks 5 20] [--no-rotate]

On attention's and the feed-forward's layers of some of SmolLM2's blocks, the first outputs of each.
Prints a Markdown table of square errors relative to the outputs on the calibration text, in
thousandths, geometric means over layers. "dense" is the error of a mix of dense layers of the
nearest sizes at the same bits.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from summand.compress import calibration_text, open_source, plan
from summand.compress.network.survey import linear_of
from summand.compress.solve.balance import choose_transform, transformed, transformed_weight
from summand.compress.solve.summands import solve_summands
from summand.compress.twin.integer import quantise_tokens
from summand.recipe.choice import Choice
from summand.recipe.options import Options
from summand.schedule.traffic import layer_traffic
from summand.summands.registry import kind_of
from summand.summands.solving import Inputs, output_errors

LAYERS = ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj")
OUTPUTS = 256

DENSE = {f"{bits} bits": Options(bits=bits) for bits in (2, 3, 4, 5, 6)}
PATTERNS = {
    f"{bits} bits, {pattern}{score and f' by {score}'}": Options(
        bits=bits, sparsity=pattern, sparsity_score=score or "sparsegpt"
    )
    for bits, pattern, score in (
        (3, "2:4", ""),
        (4, "2:4", ""),
        (4, "2:4", "wanda"),
        (4, "2:4", "magnitude"),
        (8, "2:4", ""),
        (4, "8:16", ""),
        (4, "6:8", ""),
        (4, "14:16", ""),
    )
}
OUTLIERS = {
    f"{bits} bits, outliers {pattern} of {wide}": Options(
        bits=bits, outliers=pattern, outlier_bits=wide
    )
    for bits, pattern, wide in (
        (2, "1:16", 8),
        (2, "1:16", 3),
        (3, "1:16", 8),
        (3, "1:16", 4),
        (3, "1:16", 3),
        (3, "1:8", 3),
        (4, "1:16", 4),
    )
}
BOTH = {
    f"{bits} bits, {pattern}, outliers {few} of 8": Options(
        bits=bits, sparsity=pattern, outliers=few
    )
    for bits, pattern, few in ((4, "6:8", "1:8"), (4, "2:4", "1:4"))
}

#: Bits that a variant streams, and its error.
Point = tuple[float, float]


def layers(
    folder: Path, blocks: list[int], *, rotate: bool
) -> Iterator[tuple[torch.Tensor, Inputs]]:
    """Yield the layers' weights and inputs behind their transform."""
    source = open_source("smollm2")
    job = plan(source, Options(), calibration_text())
    store = job.statistics(folder)
    names = [f"model.layers.{i}.{layer}" for i in blocks for layer in LAYERS]
    for group in job.survey.groups:
        weights = {name: linear_of(source.module, name).weight.detach() for name in group}
        for name in set(group) & set(names):
            seen = store.get(group[0])
            transform = choose_transform(
                list(weights.values()), seen.energy, balance=True, rotate=rotate, seed=0
            )
            seen = transformed(seen, transform)
            xq, s_x = quantise_tokens(seen.sample, 8)
            yield (
                transformed_weight(weights[name][:OUTPUTS], transform),
                Inputs(energy=seen.energy, moments=seen.moments, xq=xq, s_x=s_x, act_bits=8),
            )


def measure(weight: torch.Tensor, inputs: Inputs, options: Options) -> Point:
    """Return what a variant of a layer streams and loses."""
    choice = Choice.of(options, head=False)
    chosen = [(summand, kind_of(summand).method(summand, None)) for summand in choice.summands]
    found = solve_summands(weight, inputs, chosen, acc_bits=31)
    lost = output_errors(weight - found.matrix(), inputs.energy, inputs.moments).sum()
    n, k = weight.shape
    outputs = output_errors(weight, inputs.energy, inputs.moments).sum()
    return layer_traffic(choice.sizes(k, n)).total / weight.numel(), float(lost / outputs)


def mixed(bits: float, dense: list[Point]) -> float:
    """Return the least error at ``bits`` of a mix of layers at two of the dense points."""
    return min(
        (
            e0 + (bits - b0) / (b1 - b0) * (e1 - e0)
            for b0, e0 in dense
            for b1, e1 in dense
            if b0 < b1 and b0 <= bits <= b1
        ),
        default=float("nan"),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Whether sparsity is worth its bits.")
    parser.add_argument("statistics", type=Path)
    parser.add_argument("--blocks", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--no-rotate", action="store_true")
    given = parser.parse_args()
    variants = DENSE | PATTERNS | OUTLIERS | BOTH
    points: dict[str, list[Point]] = {name: [] for name in variants}
    for weight, inputs in layers(given.statistics, given.blocks, rotate=not given.no_rotate):
        for name, options in variants.items():
            points[name].append(measure(weight, inputs, options))
    means: dict[str, Point] = {}
    for name, found in points.items():
        bits, errors = torch.tensor(found, dtype=torch.float64).T
        means[name] = float(bits.mean()), float(errors.log().mean().exp())
    frontier = [means[name] for name in DENSE]
    sys.stdout.write("| variant | bits | error | dense |\n|---|---|---|---|\n")
    for name, (bits, error) in sorted(means.items(), key=lambda item: item[1][0]):
        dense = "" if name in DENSE else f"{1000 * mixed(bits, frontier):.2f}"
        sys.stdout.write(f"| {name} | {bits:.3f} | {1000 * error:.2f} | {dense} |\n")


if __name__ == "__main__":
    main()
