"""What rounding activations costs SmolLM2: the table of docs/tender.md.

    python tools/tender.py build/tender [--only "per token" --bits 8] [--tokens 2048]

Prints the perplexity on both evaluation texts, as a multiple of the unrounded model's, with the
inputs of all layers rounded to 8, 6, 5 and 4 bits in several ways. Weights are in floating point,
so that nothing but the activations is rounded; these are exactly the host's integers. Takes 2
minutes of one core for calibration, and half a minute to a minute a cell. Finished cells are kept
in FOLDER/cells.json, and not measured again.

Scales are of each token, but "static" ones, which are from calibration: of each row chunk, as in
the paper. "by 64" has groups that begin at multiples of 64 channels, as the compiler makes them;
"one step" has no group whose scale is more than twice that of the next, "chosen" is what summand
compress makes of each input: groups, with or without centres, or none.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from summand.compress import calibration_text, evaluation_text, open_source, other_text, survey
from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.calibrate.text import rows_of
from summand.compress.network.survey import call, example_of, linear_of, replaced
from summand.compress.solve.balance import choose_transform, transformed_weight
from summand.compress.solve.levels import ordered_levels
from summand.recipe.grouping import Grouping

#: Tokens of a row chunk, which have static scales of their own, as in the paper.
CHUNK = 256

#: Distance of sampled tokens, as in calibration.
STRIDE = 16

TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Way:
    """How inputs are rounded.

    Parameters
    ----------
    groups : int
        Of channels; 1 for one scale for all.
    balance, rotate : bool
        What is done to inputs before.
    centred : bool
        Whether the middle of each channel's range is taken away.
    static : bool
        Scales are from calibration: of each row chunk, and of the whole without groups.
    block : int
        Groups begin at multiples of it.
    step : int
        Most that the exponents of neighbouring groups' scales may differ.
    chosen : bool
        As ``summand compress`` chooses: with groups, with centres, or without either.
    """

    groups: int = 1
    balance: bool = False
    rotate: bool = False
    centred: bool = False
    static: bool = False
    block: int = 1
    step: int = 15
    chosen: bool = False


WAYS = {
    "per tensor, static": Way(static=True),
    "per token": Way(),
    "balanced": Way(balance=True),
    "balanced, rotated": Way(balance=True, rotate=True),
    **{f"Tender, {g} groups": Way(g, centred=True) for g in (2, 4, 8, 14)},
    **{f"Tender, {g} groups, static": Way(g, centred=True, static=True) for g in (8, 14)},
    **{f"{g} groups, not centred": Way(g) for g in (2, 4, 8, 14)},
    "8 groups by 64": Way(8, block=64),
    "8 groups by 64, one step": Way(8, block=64, step=1),
    "8 groups by 64, balanced": Way(8, balance=True, block=64),
    **{f"8 groups by {b}": Way(8, block=b) for b in (16, 32)},
    "8 groups by 64, chosen": Way(8, block=64, chosen=True),
    "8 groups by 64, chosen, balanced": Way(8, balance=True, block=64, chosen=True),
    "8 groups by 16, chosen, balanced": Way(8, balance=True, block=16, chosen=True),
}

BITS = (8, 6, 5, 4)


@dataclass(frozen=True, eq=False)
class Seen:
    """Of a group of layers' input: mean squares ``[K]``, bounds ``[chunks, K]``, some tokens."""

    energy: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    sample: torch.Tensor

    def statistics(self) -> InputStatistics:
        """Return what a transform is chosen by."""
        low, high = self.low.amin(dim=0), self.high.amax(dim=0)
        return InputStatistics(1, self.energy, None, self.sample, low, high)


class Rounded(nn.Module):
    """A linear layer whose input is rounded."""

    weight: None = None

    def __init__(self, linear: nn.Linear, seen: Seen, way: Way, bits: int, weights: Sequence):
        super().__init__()
        self._way, self._limit, self._inner = way, 2 ** (bits - 1) - 1, linear
        grouping = None
        if way.chosen:
            grouping = Grouping(groups=way.groups, block=way.block, shift=7, act_bits=bits)
        self._transform = choose_transform(
            weights,
            seen.statistics(),
            balance=way.balance,
            rotate=way.rotate,
            seed=0,
            grouping=grouping,
        )
        self._weight = transformed_weight(linear.weight.detach(), self._transform)
        self._added = torch.zeros(len(seen.energy))
        if way.rotate or way.chosen:
            k = len(seen.energy)
            self._middle, self._lift, self._top = torch.zeros(1, k), torch.ones(1, k), None
            if self._transform is not None and self._transform.groups is not None:
                self._lift = torch.from_numpy(self._transform.groups.levels)[None].exp2().float()
                if self._transform.centre is not None:
                    self._added = torch.from_numpy(self._transform.centre).float()
            return
        low, high = seen.low, seen.high
        if not (way.static and way.groups > 1):
            low, high = low.amin(0, keepdim=True), high.amax(0, keepdim=True)
        if self._transform is not None:
            front = torch.from_numpy(self._transform.balance)
            low, high = low * front, high * front
        self._middle = (low + high) / 2 if way.centred else torch.zeros_like(low)
        peaks = torch.maximum(high - self._middle, self._middle - low)
        levels = [_levels(p.numpy(), way) for p in peaks]
        self._lift = torch.tensor(np.array(levels)).exp2().float()
        top = (peaks * self._lift).amax(dim=1, keepdim=True)
        self._top = top if way.static else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product with the rounded input."""
        flat = x.reshape(-1, x.shape[-1])
        if self._transform is not None:
            flat = torch.from_numpy(self._transform.apply(flat.numpy()))
        chunk = torch.zeros(len(flat), dtype=torch.int64)
        if len(self._middle) > 1:
            chunk = (torch.arange(len(flat)) // CHUNK).clamp_max(len(self._middle) - 1)
        middle, lift = self._middle[chunk], self._lift[chunk]
        flat = (flat - middle) * lift
        top = flat.abs().amax(dim=1, keepdim=True) if self._top is None else self._top[chunk]
        scale = (top / self._limit).clamp_min(TINY)
        flat = (flat / scale).round_().clamp_(-self._limit, self._limit) * scale / lift + middle
        flat += self._added
        return nn.functional.linear(flat, self._weight, self._inner.bias).reshape(*x.shape[:-1], -1)


def _levels(peaks: np.ndarray, way: Way) -> np.ndarray:
    order, ordered = ordered_levels(
        peaks.astype(np.float64), way.groups, block=way.block, step=way.step
    )
    levels = np.empty_like(ordered)
    levels[order] = ordered
    return levels


def collect(module: nn.Module, rows: Sequence[torch.Tensor], names: Sequence[str]) -> dict:
    """Return what the layers of these names are fed with."""
    sums: dict[str, torch.Tensor] = {}
    samples: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    bounds: dict[str, dict[int, tuple[torch.Tensor, torch.Tensor]]] = {name: {} for name in names}

    def hook(name: str):
        def note(_: nn.Module, args: tuple) -> None:
            x = args[0].detach().reshape(-1, args[0].shape[-1])
            samples[name].append(x[::STRIDE].clone())
            sums[name] = sums.get(name, 0) + x.square().sum(dim=0)
            for i, part in enumerate(x.split(CHUNK)):
                low, high = part.amin(dim=0), part.amax(dim=0)
                if i in bounds[name]:
                    other = bounds[name][i]
                    low, high = torch.minimum(low, other[0]), torch.maximum(high, other[1])
                bounds[name][i] = low, high

        return note

    handles = [linear_of(module, name).register_forward_pre_hook(hook(name)) for name in names]
    for row in rows:
        call(module, {"input_ids": row})
    for handle in handles:
        handle.remove()
    count = sum(row.numel() for row in rows)
    return {
        name: Seen(
            sums[name] / count,
            torch.stack([low for low, _ in bounds[name].values()]),
            torch.stack([high for _, high in bounds[name].values()]),
            torch.cat(samples[name]),
        )
        for name in names
    }


@torch.no_grad()
def perplexity(module: nn.Module, rows: Sequence[torch.Tensor]) -> float:
    """Return a causal model's perplexity."""
    total, count = 0.0, 0
    for row in rows:
        logits = call(module, {"input_ids": row}).logits[0, :-1]
        total += float(nn.functional.cross_entropy(logits, row[0, 1:], reduction="sum"))
        count += row.numel() - 1
    return math.exp(total / count)


class Study:
    """Measures ways; keeps what it has measured."""

    def __init__(self, folder: Path, tokens: int):
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "cells.json"
        self._kept = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._tokens = tokens
        self._source = open_source("smollm2")
        texts = (evaluation_text(), other_text())
        self._rows = [self._cut(text, tokens) for text in texts]
        self._found = survey(self._source.module, example_of(self._rows[0]))
        file = folder / "seen.pt"
        if not file.exists():
            rows = self._cut(calibration_text(), 8192)
            seen = collect(self._source.module, rows, [g[0] for g in self._found.groups])
            raw = {name: (s.energy, s.low, s.high, s.sample) for name, s in seen.items()}
            torch.save(raw, file)
        self._seen = {name: Seen(*s) for name, s in torch.load(file).items()}

    def _cut(self, text, tokens: int):
        source = self._source
        return rows_of(source.module, source.tokenizer, text, tokens=tokens, window=source.window)

    def measure(self, name: str, way: Way | None, bits: int) -> list[float]:
        """Return the perplexities on both texts; ``way`` None for the unrounded model."""
        key = f"{name}, {bits} bits, {self._tokens} tokens"
        if key not in self._kept:
            layers = {} if way is None else dict(self._layers(way, bits))
            with replaced(self._source.module, layers):
                found = [perplexity(self._source.module, rows) for rows in self._rows]
            self._kept[key] = found
            self._file.write_text(json.dumps(self._kept, indent=1))
        return self._kept[key]

    def _layers(self, way: Way, bits: int) -> Iterator[tuple[str, nn.Module]]:
        module = self._source.module
        for group in self._found.groups:
            weights = [linear_of(module, name).weight.detach() for name in group]
            for name in group:
                seen = self._seen[group[0]]
                yield name, Rounded(linear_of(module, name), seen, way, bits, weights)


def main() -> None:
    """Print the table, cell by cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", choices=WAYS, help="ways; all without")
    parser.add_argument("--bits", action="append", type=int, choices=BITS, help="all without")
    parser.add_argument("--tokens", type=int, default=2048)
    given = parser.parse_args()
    study = Study(given.folder, given.tokens)
    reference = study.measure("unrounded", None, 0)
    write = sys.stdout.write
    write(f"unrounded: {reference[0]:.4f} and {reference[1]:.4f}\n\n")
    bits = given.bits or BITS
    write(f"| | {' | '.join(f'{b} bits' for b in bits)} |\n|---|{'---|' * len(bits)}\n")
    for name in given.only or WAYS:
        write(f"| {name} ")
        for b in bits:
            found = study.measure(name, WAYS[name], b)
            ratios = [f / r for f, r in zip(found, reference, strict=True)]
            write(f"| {ratios[0]:.4f}, {ratios[1]:.4f} ")
            sys.stdout.flush()
        write("|\n")


if __name__ == "__main__":
    main()
