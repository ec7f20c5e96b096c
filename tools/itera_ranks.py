"""Ranks by sensitivity, the same rank in each layer, and rounding: whole models, at equal loss.

    python tools/itera_ranks.py MODEL [--only .14.]

ITERA-LLM (arXiv 2505.08981) gives each layer a rank by how much its rank changes the loss, under a
budget. This does so for `smollm2`, `minilm`, or `spectra`: matrices of falling spectra, as the
layers of one model. What a layer loses is half the sum of its outputs' mean square errors, each
times its sensitivity (of a spectrum, the square error relative to the matrix), found every eight
ranks of one iterative decomposition; layers' losses add up.

For each width, all layers are rounded to nearest, one scale an output; what that loses is the goal.
Then comes what takes fewest cycles within it: factors with the same rank in each layer; with ranks
by sensitivity; and rounding again, with bits by sensitivity. Cycles are of one token, by the cost
law, layer after layer. Models are then run with these weights, activations not rounded, and
compared with the uncompressed one. With `--only`, the layers with such names alone are compressed,
and the others stay as they are.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from itera import problem, spectrum
from itera_latency import cycles, nearest

from summand.boards.configurations import find_configuration
from summand.compress import (
    CompressError,
    Options,
    calibration_text,
    evaluation_text,
    open_source,
    plan,
)
from summand.compress.allocate.allocation import Candidate, allocate_loss
from summand.compress.allocate.sensitivity import fisher
from summand.compress.calibrate.calibration import collect
from summand.compress.calibrate.text import rows_of
from summand.compress.network.survey import Survey, linear_of
from summand.compress.sources.sources import ModelSource, head_layers
from summand.report.texts import read
from summand.schedule.terms import Direct, Factored, Sizes
from summand.summands.lowrank.solve import Iterative

GOALS = (6, 4)
FACTORS = (4, 6)
WIDTHS = tuple(range(2, 9))
#: Distance of the ranks that are looked at.
STEP = 8
#: Tokens of calibration, and of evaluation.
CALIBRATION, EVALUATION = 2048, 2048
SPECTRA = {f"{base}^i": base for base in (0.9, 0.95, 0.98)}
CONFIG = replace(find_configuration("smollm2").config, shift=4)


@dataclass(frozen=True, eq=False)
class Layer:
    """A matrix ``[N, K]``, its inputs' moments ``[K, K]``, its outputs' sensitivities ``[N]``."""

    weight: torch.Tensor
    moments: torch.Tensor
    sensitivity: torch.Tensor

    def loss(self, weight: torch.Tensor) -> float:
        """Return what it loses with other weights."""
        lost = self.weight - weight
        return float(((lost @ self.moments) * lost).sum(dim=1).double() @ self.sensitivity) / 2


@dataclass(frozen=True, eq=False)
class Way:
    """What a layer may get, and the weights that it then has."""

    sizes: Sizes
    weight: Callable[[], torch.Tensor]

    @property
    def setting(self) -> int:
        """The rank, or the bits where there is none."""
        term = self.sizes.terms[0]
        return term.rank if isinstance(term, Factored) else term.planes


#: What each layer may get, with its cycles in the place of bits.
Ways = Mapping[str, Sequence[Candidate[Way]]]
Chosen = Mapping[str, Candidate[Way]]

counted = functools.cache(functools.partial(cycles, config=CONFIG))


def spectra() -> dict[str, Layer]:
    """Return matrices whose loss is their relative square error."""
    found = {}
    for i, (name, base) in enumerate(SPECTRA.items()):
        matrix = spectrum(base ** torch.arange(256, dtype=torch.float64), i)
        n, k = matrix.shape
        share = torch.full((n,), 2 / float(matrix.square().sum()), dtype=torch.float64)
        found[name] = Layer(matrix, torch.eye(k), share)
    return found


def layers(source: ModelSource, only: Sequence[str]) -> dict[str, Layer]:
    """Return the layers with one of these in their names, but for heads."""
    job = plan(source, Options(), calibration_text(), tokens=CALIBRATION)
    heads = head_layers(source.module)
    groups = tuple(
        group
        for group in job.survey.groups
        if group[0] not in heads and any(part in group[0] for part in only)
    )
    batches = [{"input_ids": ids} for ids in job.batches]
    seen = collect(source.module, batches, groups, moments=True)
    costs = fisher(source.module, batches, Survey(groups, ()))
    found = {}
    for group in groups:
        moments = seen[group[0]].moments
        assert moments is not None
        for name in group:
            weight = linear_of(source.module, name).weight.detach().float()
            found[name] = Layer(weight, moments, costs[name].double())
    return found


def dense(of: Mapping[str, Layer], bits: Sequence[int]) -> Ways:
    """Return layers that are rounded to nearest."""

    def each(layer: Layer) -> Iterator[Candidate[Way]]:
        n, k = layer.weight.shape
        for b in bits:
            way = Way(Sizes(k, n, (Direct(planes=b),)), functools.partial(nearest, layer.weight, b))
            yield Candidate(way, counted(way.sizes), layer.loss(way.weight()))

    return {name: list(each(layer)) for name, layer in of.items()}


def factored(of: Mapping[str, Layer], bits: int) -> Ways:
    """Return layers as factors of so many bits, by rank."""

    def each(layer: Layer) -> Iterator[Candidate[Way]]:
        n, k = layer.weight.shape
        alone = problem(layer.weight, bits, min(n, k))
        solution = Iterative(whitened=False).solve(alone)
        for rank in range(STEP, min(n, k) + 1, STEP):
            sizes = Sizes(k, n, (Factored(rank=rank, first=bits, second=bits),))
            weight = functools.partial(solution.first(rank).matrix, alone.unit)
            yield Candidate(Way(sizes, weight), counted(sizes), layer.loss(weight()))

    found = {}
    for name, layer in of.items():
        found[name] = list(each(layer))
        sys.stderr.write(f"{name}, {bits} bits\n")
    return found


def equal(ways: Ways, goal: float) -> Chosen | None:
    """Return the same rank for each layer, or its highest, of fewest cycles within a loss."""
    for place in range(max(map(len, ways.values()))):
        chosen = {name: each[min(place, len(each) - 1)] for name, each in ways.items()}
        if sum(c.loss for c in chosen.values()) <= goal:
            return chosen
    return None


def by_sensitivity(ways: Ways, goal: float) -> Chosen | None:
    """Return a rank for each layer, of fewest cycles within a loss."""
    try:
        return allocate_loss(ways, goal)
    except CompressError:
        return None


def total(chosen: Chosen) -> int:
    """Return the cycles of all layers."""
    return sum(c.bits for c in chosen.values())


def quickest(found: Mapping[int, Chosen | None]) -> tuple[int, Chosen] | None:
    """Return bits and choices of fewest cycles."""
    there = [(total(chosen), bits, chosen) for bits, chosen in found.items() if chosen]
    return min(there, key=lambda each: each[:2])[1:] if there else None


def measured(model: str, source: ModelSource, chosen: Chosen) -> str:
    """Return how far a model with chosen weights is from what it was, and its perplexity."""
    text, plain = evaluation_text(), open_source(model)
    rows = rows_of(source.module, source.tokenizer, text, tokens=EVALUATION, window=source.window)
    for name, candidate in chosen.items():
        linear_of(plain.module, name).weight.data = candidate.choice.weight()
    figures, _ = read(plain.module, text, rows, reference=source.module)
    return f"{figures.distance:.5f}" + (f", {figures.ratio:.4f}" if figures.ratio else "")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="smollm2, minilm or spectra")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of layers' names")
    given = parser.parse_args()
    source = None if given.model == "spectra" else open_source(given.model)
    of = spectra() if source is None else layers(source, given.only)
    low = {bits: factored(of, bits) for bits in FACTORS}
    everything = dense(of, WIDTHS)
    write = sys.stdout.write
    write("| way | setting | loss, estimated | cycles | of rounding's | measured |\n")
    write("|---" * 6 + "|\n")
    for bits in GOALS:
        flat = {name: each[WIDTHS.index(bits)] for name, each in everything.items()}
        goal = sum(c.loss for c in flat.values())
        ways = {
            "rounded": (bits, flat),
            "one rank": quickest({b: equal(ways, goal) for b, ways in low.items()}),
            "ranks by sensitivity": quickest(
                {b: by_sensitivity(ways, goal) for b, ways in low.items()}
            ),
            "bits by sensitivity": quickest({0: by_sensitivity(everything, goal)}),
        }
        for name, found in ways.items():
            if found is None:
                write(f"| {name}, as {bits} bits | none | | | | |\n")
                continue
            width, chosen = found
            settings = sorted(c.choice.setting for c in chosen.values())
            setting = f"{settings[0]} to {settings[-1]}"
            loss = sum(c.loss for c in chosen.values())
            row = [
                f"{name}, as {bits} bits",
                setting + (f" x {width}" if "rank" in name else ""),
                f"{loss:.5g}",
                f"{total(chosen):,}",
                f"{total(chosen) / total(flat):.2f}",
                measured(given.model, source, chosen) if source else "",
            ]
            write(f"| {' | '.join(row)} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
