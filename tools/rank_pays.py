"""Whether a low-rank summand is worth its bits: errors of layers' outputs over streamed bits.

    python tools/rank_pays.py [--blocks 5 20]

On attention's and the feed-forward's layers of some of SmolLM2's blocks: calibrated on the default
text, measured on tokens of the two texts for evaluation, activations of 8 bits, T rounded as in the
engine. Prints Markdown tables of square errors relative to the outputs, geometric means over
layers. "dense" is the error of a mix of dense layers of the nearest sizes at the same bits.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from summand.compress import calibration_text, open_source, survey
from summand.compress.calibrate.calibration import InputStatistics, collect
from summand.compress.calibrate.text import evaluation_text, other_text, windows
from summand.compress.solve.balance import choose_transform, transformed, transformed_weight
from summand.compress.solve.summands import solve_summands
from summand.compress.twin.integer import quantise_tokens
from summand.compress.workers.parallel import in_parallel
from summand.schedule.terms import Sizes
from summand.schedule.traffic import layer_traffic
from summand.summands.base import Summand
from summand.summands.dense import DENSE, DenseChoice
from summand.summands.lowrank import LOW_RANK, LowRank, LowRankChoice
from summand.summands.lowrank.solve import Iterative, WhitenedSvd
from summand.summands.lowrank.solve.problem import LowRankSolver
from summand.summands.registry import entry_of
from summand.summands.solving import Inputs, Task

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
        xq, s_x = quantise_tokens(seen.sample, 8)
        self.inputs = Inputs(energy=seen.energy, moments=seen.moments, xq=xq, s_x=s_x, act_bits=8)
        self.samples = samples

    def task(self) -> Task:
        """Return the task of the first summand."""
        return Task(weight=self.weight, inputs=self.inputs, room=1 << 23, limit=1 << 23)

    def point(self, summands: Sequence[Summand], unit: torch.Tensor) -> Point:
        """Measure summands that are added without a shift."""
        n, k = self.weight.shape
        sizes = Sizes(k, n, tuple(entry_of(summand).term() for summand in summands))
        errors = tuple(self._error(summands, unit, x) for x in self.samples)
        return layer_traffic(sizes).total / (n * k), errors

    def _error(self, summands: Sequence[Summand], unit: torch.Tensor, x: torch.Tensor) -> float:
        xq, s_x = quantise_tokens(x, 8)
        tokens = xq.to(torch.int64).numpy()
        acc = torch.zeros(len(x), len(unit), dtype=torch.int64)
        for summand in summands:
            acc += torch.from_numpy(summand.accumulate(tokens, 8))
        want = x.double() @ self.weight.double().T
        return float((acc * s_x.double() * unit - want).square().sum() / want.square().sum())


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
    task = case.task()
    for bits in BITS:
        for group in GROUPS:
            choice = DenseChoice(bits=bits, group=group, scale_bits=SCALE_BITS)
            dense = DENSE.method(choice, None).solve(task)
            points[f"{bits} g{group}"] = case.point([dense.summand], dense.unit)
            if group != 32 or bits == 5:
                continue
            left = replace(task, weight=case.weight - dense.matrix(), unit=dense.unit)
            for rank_bits in RANK_BITS:
                low_choice = LowRankChoice(rank=max(RANKS), bits=rank_bits)
                low = LOW_RANK.method(low_choice, None).solve(left).summand
                for rank in RANKS:
                    name = f"{bits} g{group} + {rank} of {rank_bits}"
                    points[name] = case.point([dense.summand, first(low, rank)], dense.unit)
    ways: dict[str, tuple[LowRankSolver, str]] = {
        "iterative": (Iterative(), "after"),
        "not weighted": (Iterative(whitened=False), "after"),
        "before": (WhitenedSvd(), "before"),
        "alternating": (WhitenedSvd(), "alternating"),
        "iterative, alternating": (Iterative(), "alternating"),
    }
    choice = DenseChoice(bits=3, group=32, scale_bits=SCALE_BITS)
    for name, (solver, order) in ways.items():
        low_choice = LowRankChoice(rank=32, bits=3, order=order)
        chosen = (
            (choice, DENSE.method(choice, None)),
            (low_choice, LOW_RANK.method(low_choice, solver)),
        )
        both = solve_summands(case.weight, case.inputs, chosen, acc_bits=31)
        points[f"3 g32 + 32 of 3, {name}"] = case.point(both.summands, both.unit)
    return points


def first(summand: Summand, rank: int) -> LowRank:
    """Return the first ranks of a low-rank summand: ranks are nested."""
    assert isinstance(summand, LowRank)
    return replace(
        summand,
        a=summand.a[:, :rank],
        b=summand.b[:rank],
        mult=summand.mult[:rank],
        shift=summand.shift[:rank],
    )


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
