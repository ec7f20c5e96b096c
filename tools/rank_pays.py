"""Whether a low-rank summand is worth its bits: errors of layers' outputs over streamed bits.

    python tools/rank_pays.py [--blocks 5 20]

On attention's and the feed-forward's layers of some of SmolLM2's blocks: calibrated on the default
text, measured on tokens of the two texts for evaluation, activations of 8 bits, T rounded as in the
engine. Prints Markdown tables of square errors relative to the outputs, geometric means over
layers. "dense" is the error of a mix of dense layers of the nearest sizes at the same bits.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace

import torch

from summand.compress import calibration_text, open_source, survey
from summand.compress.calibrate.calibration import InputStatistics, collect
from summand.compress.calibrate.text import evaluation_text, other_text, windows
from summand.compress.solve.balance import choose_transform, transformed, transformed_weight
from summand.compress.solve.summands import Summands, solve_summands
from summand.compress.twin.integer import quantise_tokens
from summand.compress.workers.parallel import in_parallel
from summand.model.streamed import streamed
from summand.summands.dense.solve import Gptq
from summand.summands.dense.solve.problem import DenseProblem
from summand.summands.lowrank.solve import Iterative, WhitenedSvd
from summand.summands.lowrank.solve.problem import LowRankProblem, LowRankSolver

LAYERS = ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj")
SCALE_BITS = 6
GROUPS = (128, 64, 32)
BITS = (2, 3, 4, 5)
RANKS = (8, 16, 32, 64)
RANK_BITS = (3, 4, 8)

#: Bits that a variant streams, and its error on either text.
Point = tuple[float, tuple[float, ...]]


class Case:
    """A layer: its weight and its inputs."""

    def __init__(self, weight: torch.Tensor, seen: InputStatistics, samples: list[torch.Tensor]):
        self.weight = weight
        self.seen = seen
        self.samples = samples

    def dense(self, bits: int, group: int) -> DenseProblem:
        """Return the problem of the dense summand."""
        return DenseProblem(
            weight=self.weight,
            bits=bits,
            energy=self.seen.energy,
            moments=self.seen.moments,
            limit=1 << 23,
            group=group,
            scale_bits=SCALE_BITS,
        )

    def low_rank(self, rank: int, bits: int) -> LowRankProblem:
        """Return the problem of the low-rank summand."""
        assert self.seen.moments is not None
        xq, s_x = quantise_tokens(self.seen.sample, 8)
        return LowRankProblem(
            target=self.weight,
            unit=torch.ones(len(self.weight)),
            rank=rank,
            bits=bits,
            moments=self.seen.moments,
            xq=xq,
            s_x=s_x,
            act_bits=8,
            limit=1 << 23,
        )

    def point(self, found: Summands, bits: int, group: int, rank_bits: int = 0) -> Point:
        """Measure a solution."""
        n, k = self.weight.shape
        rank = found.low_rank.rank if found.low_rank else 0
        cost = streamed(
            k,
            n,
            bits=bits,
            group=group,
            scale_bits=SCALE_BITS,
            rank=rank,
            a_bits=rank_bits,
            b_bits=rank_bits,
        )
        return cost.total / (n * k), tuple(self._error(found, x) for x in self.samples)

    def _error(self, found: Summands, x: torch.Tensor) -> float:
        xq, s_x = (t.double() for t in quantise_tokens(x, 8))
        assert found.dense is not None
        acc = xq @ found.dense.integers().double().T
        if found.low_rank is not None:
            low = found.low_rank
            ratio = torch.ldexp(low.mult.double(), -low.shift)
            t = (xq @ low.a.double() * ratio + 0.5).floor().clamp(-128, 127)
            acc += t @ low.b.double()
        want = x.double() @ self.weight.double().T
        return float((acc * s_x * found.unit - want).square().sum() / want.square().sum())


def cases(blocks: list[int]) -> Iterator[Case]:
    """Yield the layers."""
    source = open_source("smollm2")
    names = [f"model.layers.{i}.{layer}" for i in blocks for layer in LAYERS]

    def rows(text, tokens: int) -> list[dict[str, torch.Tensor]]:
        cut = windows(source.tokenizer, text, tokens=tokens, window=512)
        return [{"input_ids": ids} for ids in cut]

    found = survey(source.module, rows(calibration_text(), 16)[0])
    groups = [group for group in found.groups if set(group) & set(names)]
    first = [group[0] for group in groups]
    statistics = collect(source.module, rows(calibration_text(), 8192), groups, moments=first)
    others = [
        collect(source.module, rows(text, 4096), groups, moments=())
        for text in (evaluation_text(), other_text())
    ]
    for group in groups:
        weights = {name: source.module.get_submodule(name).weight.detach() for name in group}
        seen = statistics[group[0]]
        transform = choose_transform(
            list(weights.values()), seen.energy, balance=True, rotate=True, seed=0
        )
        samples = [transformed(other[group[0]], transform).sample for other in others]
        for name in set(group) & set(names):
            weight = transformed_weight(weights[name], transform)
            yield Case(weight, transformed(seen, transform), samples)


def measure(case: Case) -> dict[str, Point]:
    """Measure all variants of a layer; names of dense ones begin with their bits and group."""
    points: dict[str, Point] = {}
    for bits in BITS:
        for group in GROUPS:
            dense = Gptq().solve(case.dense(bits, group))
            alone = Summands(dense, None, dense.scale)
            points[f"{bits} g{group}"] = case.point(alone, bits, group)
            if group != 32 or bits == 5:
                continue
            left = case.weight - dense.matrix()
            for rank_bits in RANK_BITS:
                problem = case.low_rank(max(RANKS), rank_bits)
                problem = replace(problem, target=left, unit=dense.scale)
                low = WhitenedSvd().solve(problem)
                for rank in RANKS:
                    both = Summands(dense, low.first(rank), dense.scale)
                    name = f"{bits} g{group} + {rank} of {rank_bits}"
                    points[name] = case.point(both, bits, group, rank_bits)
    ways: dict[str, tuple[LowRankSolver, str]] = {
        "iterative": (Iterative(), "after"),
        "not weighted": (Iterative(whitened=False), "after"),
        "before": (WhitenedSvd(), "before"),
        "alternating": (WhitenedSvd(), "alternating"),
        "iterative, alternating": (Iterative(), "alternating"),
    }
    for name, (solver, order) in ways.items():
        both = solve_summands(
            case.dense(3, 32),
            case.low_rank(32, 3),
            dense_solver=Gptq(),
            low_rank_solver=solver,
            order=order,
        )
        points[f"3 g32 + 32 of 3, {name}"] = case.point(both, 3, 32, 3)
    return points


def mixed(frontier: list[tuple[float, float]], bits: float) -> float | None:
    """Return the error at ``bits`` of a mix of layers at two points of a frontier."""
    errors = [
        e0 + (bits - b0) / (b1 - b0) * (e1 - e0)
        for b0, e0 in frontier
        for b1, e1 in frontier
        if b0 <= bits <= b1 and b0 < b1
    ]
    return min(errors, default=None)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Whether a low-rank summand is worth its bits.")
    parser.add_argument("--blocks", type=int, nargs="+", default=[5, 20])
    results = list(in_parallel(measure, list(cases(parser.parse_args().blocks))))
    means: dict[str, Point] = {}
    for name in results[0]:
        bits = sum(r[name][0] for r in results) / len(results)
        errors = torch.tensor([r[name][1] for r in results]).log().mean(dim=0).exp()
        means[name] = bits, tuple(errors.tolist())
    print("| variant | bits | same kind | dense | other kind | dense |\n|---|---|---|---|---|---|")  # noqa: T201
    for name, (bits, errors) in sorted(means.items(), key=lambda item: item[1][0]):
        cells = []
        for i, error in enumerate(errors):
            frontier = [(b, e[i]) for n, (b, e) in means.items() if "+" not in n]
            dense = mixed(frontier, bits) if "+" in name else None
            cells.append(f"{1000 * error:.2f} | {'' if dense is None else f'{1000 * dense:.2f}'}")
        print(f"| {name} | {bits:.3f} | {' | '.join(cells)} |")  # noqa: T201


if __name__ == "__main__":
    main()
