"""What decomposing the inputs of one kind of layer in prompts costs SmolLM2, in floating point.

    python tools/decomposition_study.py build/study --tokens 512 [--way best --way sketch]
        [--cell qkv:128 --cell o:64]

A prompt's tokens X ``[M, K]`` become ``r`` pseudo-tokens by an orthonormal U ``[M, r]``: a layer's
outputs are ``U (U^T X) W``. The same rank is taken in all 30 blocks, and nothing else is changed.
Measured are the 128 tokens behind the prompt, which go on from its KV cache with nothing
decomposed: the perplexity as a multiple of the unchanged model's, and the KL divergence from that
in nats a token. Prints a Markdown table of ways and cells, each "perplexity, KL" of the text that
calibration knows the kind of, then of the other one.

Weights are in floating point, and so is everything but in the ways called "integers". There a way
says the bits of directions, of tokens as weights, and of the pseudo-tokens' products; tokens are
rotated and have 8 bits, and the arithmetic is the engine's. The products' units are from the prompt
itself, which is the only thing that differs from a compressed model's.

Takes 2 minutes of one core for calibration, kept in FOLDER/seen.pt, half a minute to start, then 7
s a cell of 512 tokens and half a minute one of 2048; down takes two to three times as long, and
integers half as long again. Finished cells are kept in FOLDER/cells.json, and not measured again.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import scipy.linalg
import torch
from torch import nn

from summand.compress import calibration_text, evaluation_text, open_source, other_text, survey
from summand.compress.allocate.sensitivity import fisher
from summand.compress.calibrate.text import rows_of
from summand.compress.decompose.behind import behind
from summand.compress.decompose.directions import (
    loud_channels,
    normal_step,
    sketch_directions,
)
from summand.compress.network.survey import call, example_of, linear_of, replaced
from summand.model.basis import basis_of, orthonormal
from summand.model.decomposed import exact, pseudo_tokens
from summand.model.decomposition import EXACT, Decomposition, Requantisation
from summand.model.transform import Transform
from summand.summands.integers import quantise

_Matrix = npt.NDArray[np.float64]

#: The first layer of each kind of input.
KINDS = {
    "qkv": "self_attn.q_proj",
    "o": "self_attn.o_proj",
    "gate/up": "mlp.gate_proj",
    "down": "mlp.down_proj",
}

#: Kinds and ranks that are measured without ``--cell``.
CELLS = ("qkv:128", "o:64", "gate/up:256", "down:256")

#: Tokens behind the prompt, which are measured.
TAIL = 128

#: Tokens of a calibration row, and rows that sensitivities are from.
WINDOW, SENSITIVE_ROWS = 520, 4

#: Vectors of a block of the Lanczos process.
BLOCK = 8

#: Of the mean variance: what keeps a metric that is singular from being one.
DAMPING = 1e-6

ACT_BITS = 8

#: Outputs that are values, the last of q, k and v.
VALUES = 192


class Group:
    """Layers that share an input.

    Parameters
    ----------
    weights : float64 array, shape ``[K, N]``
        Of all of them.
    moments : float64 array, shape ``[K, K]``
        Of their input in calibration.
    sensitivity : float64 array, shape ``[N]``
        Of their outputs.
    """

    def __init__(self, weights: _Matrix, moments: _Matrix, sensitivity: _Matrix):
        self.weights = weights
        self.moments = moments
        self._sensitivity = sensitivity
        self._roots: dict[str, _Matrix] = {}
        self._directions: dict[str, _Matrix] = {}

    def root(self, metric: str) -> _Matrix:
        """Return L ``[K, K]``: an error ``d`` of an input costs ``|d L|^2``.

        The metric is "plain", "outputs", or "sensitivity", which weights outputs by theirs.
        """
        if metric not in self._roots:
            if metric == "plain":
                square = np.eye(len(self.weights))
            else:
                square = (self.weights * self.output_costs(metric)) @ self.weights.T
                square += np.eye(len(square)) * float(np.diag(square).mean() * DAMPING)
            self._roots[metric] = scipy.linalg.cholesky(square, lower=True)
        return self._roots[metric]

    def output_costs(self, metric: str) -> _Matrix:
        """Return what a square error of each output costs, ``[N]``."""
        if metric == "sensitivity":
            return self._sensitivity
        return np.ones_like(self._sensitivity)

    def directions(self, metric: str) -> _Matrix:
        """Return the calibrated directions ``[K, K]``, orthonormal, the largest first.

        They are those of inputs behind the metric's root.
        """
        if metric not in self._directions:
            root = self.root(metric)
            _, vectors = np.linalg.eigh(root.T @ self.moments @ root)
            self._directions[metric] = vectors[:, ::-1]
        return self._directions[metric]


@dataclass(frozen=True, eq=False)
class Problem:
    """Tokens ``x`` ``[M, K]``, and the root of the metric in which ``rank`` are to suffice."""

    x: _Matrix
    group: Group
    metric: str
    rank: int

    @property
    def tokens(self) -> _Matrix:
        """The tokens behind the metric's root, float64 ``[M, K]``."""
        return self.x @ self.group.root(self.metric)

    def forth(self, vectors: _Matrix) -> _Matrix:
        """Return the tokens' products ``[M, q]`` with directions ``[K, q]`` behind the root."""
        return self.x @ (self.group.root(self.metric) @ vectors)

    def back(self, vectors: _Matrix) -> _Matrix:
        """Return the directions ``[K, q]`` that vectors among tokens ``[M, q]`` make."""
        return self.group.root(self.metric).T @ (self.x.T @ vectors)

    def outputs(self, basis: _Matrix) -> _Matrix:
        """Return the outputs ``[M, N]`` of tokens in an orthonormal basis ``[M, rank]``."""
        return basis @ ((basis.T @ self.x) @ self.group.weights)


class Method(Protocol):
    """How tokens are decomposed."""

    def outputs(self, of: Problem) -> _Matrix:
        """Return the layers' outputs, ``[M, N]``."""
        ...


@dataclass(frozen=True)
class Best:
    """The best basis: the first singular vectors."""

    def outputs(self, of: Problem) -> _Matrix:
        """Return the layers' outputs."""
        a = of.tokens
        wide = len(a) <= a.shape[1]
        gram = a @ a.T if wide else a.T @ a
        size = len(gram)
        _, found = scipy.linalg.eigh(gram, subset_by_index=[max(size - of.rank, 0), size - 1])
        return of.outputs(found if wide else orthonormal(a @ found))


@dataclass(frozen=True)
class Sketch:
    """A basis of products with fixed directions.

    Parameters
    ----------
    share : float
        Directions for each pseudo-token.
    random : bool
        They are of random signs instead of calibrated.
    iterations : int
        Times that the products are multiplied with the tokens back and forth.
    """

    share: float = 1
    random: bool = False
    iterations: int = 0

    def outputs(self, of: Problem) -> _Matrix:
        """Return the layers' outputs."""
        count = min(of.x.shape[1], round(of.rank * self.share))
        if self.random:
            signs = np.random.default_rng(1).integers(0, 2, (of.x.shape[1], count))
            sketches = of.x @ (signs * 2.0 - 1)
        else:
            sketches = of.forth(of.group.directions(of.metric)[:, :count])
        for _ in range(self.iterations):
            sketches = of.forth(of.back(orthonormal(sketches)))
        return of.outputs(basis_of(sketches, of.rank))


@dataclass(frozen=True)
class Lanczos:
    """The block Lanczos process; as many products with the tokens as a sketch of share 1 takes.

    Parameters
    ----------
    random : bool
        The first block is random instead of calibrated.
    whole : bool
        Vectors are made orthogonal to all before instead of to the last block.
    bits : int
        That all vectors that multiply tokens are rounded to; 0 for floating point.
    """

    random: bool = False
    whole: bool = True
    bits: int = 0

    def outputs(self, of: Problem) -> _Matrix:
        """Return the layers' outputs."""
        root = of.group.root(of.metric)
        if self.random:
            first = np.random.default_rng(1).standard_normal((len(root), BLOCK))
            right = orthonormal(first)
        else:
            right = of.group.directions(of.metric)[:, :BLOCK]
        left = np.zeros((len(of.x), 0))
        while left.shape[1] < of.rank:
            u = of.x @ self._rounded(root @ right[:, -BLOCK:])
            u = self._rounded(orthonormal(u, self._before(left)))
            if not u.shape[1]:
                break  # the tokens have no more directions
            left = np.concatenate([left, u], axis=1)
            right = np.concatenate([right, orthonormal(of.back(u), self._before(right))], axis=1)
        return of.outputs(left[:, : of.rank])

    def _before(self, vectors: _Matrix) -> _Matrix:
        return vectors if self.whole else vectors[:, -BLOCK:]

    def _rounded(self, vectors: _Matrix) -> _Matrix:
        if not self.bits:
            return vectors
        unit = np.abs(vectors).max(axis=0) / ((1 << (self.bits - 1)) - 1)
        return np.rint(vectors / unit) * unit


@dataclass(frozen=True)
class Chosen:
    """Real tokens instead of pseudo-tokens, by a pivoted QR decomposition; interpolates others."""

    def outputs(self, of: Problem) -> _Matrix:
        """Return the layers' outputs."""
        a = of.tokens
        picked = scipy.linalg.qr(a.T, mode="r", pivoting=True)[-1][: of.rank]
        mix = np.linalg.lstsq(a[picked].T, a.T, rcond=None)[0].T
        return mix @ (of.x[picked] @ of.group.weights)


@dataclass(frozen=True)
class Integers:
    """A sketch as engine and host compute it.

    Parameters
    ----------
    sketch_bits, token_bits, bits : int
        Of directions, of tokens as weights, and of the pseudo-tokens' products.
    share : float
        Directions for each pseudo-token.
    rotated : bool
        Whether tokens are.
    hosted : int
        Last outputs, values among q, k and v, whose products are not rounded.
    """

    sketch_bits: int
    token_bits: int
    bits: int
    share: float = 1.25
    rotated: bool = True
    hosted: int = 0

    def outputs(self, of: Problem) -> _Matrix:
        """Return the layers' outputs."""
        features, width = of.group.weights.shape
        turn = Transform(features, rotation=0 if self.rotated else None)
        live = of.x.any(axis=0)  # directions of channels that are exact would be in vain
        weights = turn.weights(of.group.weights.T * live).T
        seen = turn.moments(of.group.moments * np.outer(live, live))
        costs = of.group.output_costs(of.metric)
        count = min(features, round(of.rank * self.share))
        directions, scale = sketch_directions(weights, seen, costs, count, self.sketch_bits)
        how = Decomposition(
            layers=("all",),
            rank=of.rank,
            span=len(of.x),
            steps=1,
            directions=directions,
            scale=scale,
            sketch_bits=self.sketch_bits,
            token_bits=self.token_bits,
            bits=self.bits,
            requantisations=(Requantisation.of(np.ones(width)),),
        )
        xq, s_x = quantise(turn.apply(of.x.astype(np.float32)), ACT_BITS)
        pseudo = pseudo_tokens(xq, s_x, how, ACT_BITS, exact)
        products = pseudo.rows.astype(np.float64) @ weights
        unit = np.sqrt(np.square(products).mean(axis=0)) * normal_step(self.bits)
        most = 1 << (self.bits - 1)
        rounded = np.clip(np.rint(products / unit), -most, most - 1)
        if self.hosted:
            rounded[:, -self.hosted :] = (products / unit)[:, -self.hosted :]
        return (pseudo.tokens * pseudo.scale) @ (rounded * unit)


@dataclass(frozen=True)
class Way:
    """What is decomposed, and how.

    Parameters
    ----------
    by : Method
        How.
    metric : str
        In which a few directions are to suffice: "plain", "outputs" or "sensitivity".
    first : int
        First tokens that are exact.
    loud : int, optional
        Channels that are exact: the loudest of the prompt; None for those that calibration found
        to be loud, as the compressor chooses them.
    normalised, centred : bool
        Tokens are divided by their root mean square; their mean is taken away, and exact.
    span : int, optional
        Tokens at most that are decomposed together.
    """

    by: Method = Best()
    metric: str = "outputs"
    first: int = EXACT
    loud: int | None = 0
    normalised: bool = False
    centred: bool = False
    span: int | None = None

    def outputs(self, x: _Matrix, group: Group, rank: int) -> _Matrix:
        """Return the outputs ``[M, N]`` of a prompt's tokens ``[M, K]``."""
        rest = x[self.first :]
        count = 1 if self.span is None else math.ceil(len(rest) / self.span)
        parts = [self._span(each, group, rank) for each in np.array_split(rest, count)]
        return np.concatenate([x[: self.first] @ group.weights, *parts])

    def _span(self, x: _Matrix, group: Group, rank: int) -> _Matrix:
        size = np.ones((len(x), 1))
        if self.normalised:
            size = np.sqrt(np.square(x).mean(axis=1, keepdims=True))
        x = x / size
        kept = np.zeros_like(x)
        if self.centred:
            kept += x.mean(axis=0)
        if self.loud is None:
            channels = list(loud_channels(np.diag(group.moments)))
        else:
            channels = np.square(x).mean(axis=0).argsort()[len(x[0]) - self.loud :]
        kept[:, channels] = x[:, channels]
        found = self.by.outputs(Problem(x - kept, group, self.metric, rank))
        if self.centred or self.loud != 0:
            found = found + kept @ group.weights
        return found * size


WAYS: Mapping[str, Way] = {
    "best": Way(),
    "best, plain": Way(metric="plain"),
    "best, by sensitivity": Way(metric="sensitivity"),
    **{f"best, {n} first tokens exact": Way(first=n) for n in (0, 1)},
    "best, plain, 0 first tokens exact": Way(metric="plain", first=0),
    "best, plain, 0 first tokens, 16 channels exact": Way(metric="plain", first=0, loud=16),
    **{f"best, {n} channels exact": Way(loud=n) for n in (8, 16, 32)},
    "best, plain, 16 channels exact": Way(metric="plain", loud=16),
    "best, normalised": Way(normalised=True),
    "best, centred": Way(centred=True),
    "best, spans of 512": Way(span=512),
    "sketch": Way(Sketch()),
    "sketch, plain": Way(Sketch(), metric="plain"),
    "sketch, by sensitivity": Way(Sketch(), metric="sensitivity"),
    **{f"sketch, {share:g} directions": Way(Sketch(share)) for share in (1.25, 1.5)},
    "sketch, 1 iteration": Way(Sketch(iterations=1)),
    "sketch, 1.25 directions, spans of 512": Way(Sketch(1.25), span=512),
    **{f"random signs, {n} iterations": Way(Sketch(random=True, iterations=n)) for n in (0, 1, 2)},
    "Lanczos": Way(Lanczos()),
    "Lanczos, random start": Way(Lanczos(random=True)),
    "Lanczos, not orthogonalised": Way(Lanczos(whole=False)),
    "Lanczos, random start, not orthogonalised": Way(Lanczos(random=True, whole=False)),
    **{f"Lanczos, {bits} bits": Way(Lanczos(bits=bits)) for bits in (8, 10)},
    "real tokens": Way(Chosen()),
    **{
        f"integers of {', '.join(map(str, bits))} bits": Way(Integers(*bits))
        for bits in (
            (8, 8, 8),
            *((s, 4, 5) for s in (2, 3, 4, 8)),
            *((3, t, 5) for t in (3, 8)),
            *((3, 4, p) for p in (4, 6, 8)),
        )
    },
    "integers of 3, 4, 5 bits, spans of 512": Way(Integers(3, 4, 5), span=512),
    "integers of 2, 4, 5 bits, values not rounded": Way(Integers(2, 4, 5, hosted=VALUES)),
    **{
        f"integers of 2, 4, 5 bits, not rotated, {n} channels exact": Way(
            Integers(2, 4, 5, rotated=False), loud=n
        )
        for n in (0, 8, 16, 32)
    },
    "integers of 2, 4, 5 bits, not rotated, loud channels exact": Way(
        Integers(2, 4, 5, rotated=False), loud=None
    ),
    **{
        f"integers of 2, 8, 5 bits, not rotated, {n} channels exact": Way(
            Integers(2, 8, 5, rotated=False), loud=n
        )
        for n in (0, 16)
    },
}


class Prompted:
    """The outputs of a group of layers for prompts, computed once for all of them."""

    def __init__(self, group: Group, way: Way, rank: int):
        self._group, self._way, self._rank = group, way, rank
        self._x: torch.Tensor | None = None
        self._outputs = torch.empty(0)

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs ``[1, M, N]`` of all layers for tokens ``[1, M, K]``."""
        if self._x is not x:
            found = self._way.outputs(x[0].double().numpy(), self._group, self._rank)
            self._x, self._outputs = x, torch.from_numpy(found).float()[None]
        return self._outputs


class Part(nn.Module):
    """A layer of a group."""

    weight: None = None

    def __init__(self, prompted: Prompted, columns: slice):
        super().__init__()
        self._prompted, self._columns = prompted, columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's outputs."""
        return self._prompted.outputs(x)[..., self._columns]


class Loss(NamedTuple):
    """A multiple of the perplexity, and a KL divergence in nats a token."""

    ratio: float
    divergence: float


class Study:
    """Measures ways; keeps what it has measured."""

    def __init__(self, folder: Path, tokens: int):
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "cells.json"
        self._kept = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._tokens = tokens
        source = open_source("smollm2")
        self._module = source.module
        self._rows = []
        for text in (evaluation_text(), other_text()):
            count = tokens + TAIL
            row = rows_of(source.module, source.tokenizer, text, tokens=count, window=count)[0]
            if row.shape[1] != count:
                raise SystemExit(f"{text.origin} has only {row.shape[1]} tokens, not {count}")
            self._rows.append(row)
        found = survey(source.module, example_of(self._rows))
        self._members = {group[0]: group for group in found.groups if "lm_head" not in group}
        file = folder / "seen.pt"
        if not file.exists():
            text = calibration_text()
            rows = rows_of(source.module, source.tokenizer, text, tokens=16 * WINDOW, window=WINDOW)
            batches = [{"input_ids": row} for row in rows[:: len(rows) // SENSITIVE_ROWS]]
            sensitivities = dict(fisher(source.module, batches, found))
            torch.save((moments(source.module, rows, list(self._members)), sensitivities), file)
        self._seen, self._sensitivities = torch.load(file, mmap=True)
        self._groups: dict[str, Group] = {}
        self._reference: list[torch.Tensor] = []

    def measure(self, name: str, kind: str, rank: int) -> list[Loss]:
        """Return what a way loses on both texts."""
        key = f"{name}; {kind}, rank {rank}, {self._tokens} tokens"
        if key not in self._kept:
            if not self._reference:
                self._reference = [behind(self._module, row, TAIL) for row in self._rows]
            self._kept[key] = [
                self._loss(row, was, name, kind, rank)
                for row, was in zip(self._rows, self._reference, strict=True)
            ]
            self._file.write_text(json.dumps(self._kept, indent=1))
        return [Loss(*each) for each in self._kept[key]]

    def _loss(self, row: torch.Tensor, was: torch.Tensor, name: str, kind: str, rank: int) -> Loss:
        layers = {
            each: part
            for first in self._members
            if first.endswith(KINDS[kind])
            for each, part in self._parts(first, WAYS[name], rank).items()
        }
        now = behind(self._module, row, TAIL, replaced(self._module, layers))
        tail = row[0, self._tokens :, None]
        ratio = math.exp(float((was - now).gather(1, tail).mean()))
        return Loss(ratio, float((was.exp() * (was - now)).sum(dim=1).mean()))

    def _parts(self, first: str, way: Way, rank: int) -> dict[str, nn.Module]:
        members = self._members[first]
        weights = [linear_of(self._module, each).weight.detach() for each in members]
        if first not in self._groups:
            self._groups[first] = Group(
                torch.cat(weights).T.double().numpy(),
                self._seen[first].double().numpy(),
                torch.cat([self._sensitivities[each] for each in members]).double().numpy(),
            )
        prompted = Prompted(self._groups[first], way, rank)
        ends = np.cumsum([len(weight) for weight in weights])
        return {
            each: Part(prompted, slice(end - len(weight), end))
            for each, weight, end in zip(members, weights, ends, strict=True)
        }


def moments(
    module: nn.Module, rows: Sequence[torch.Tensor], names: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Return the second moments of what the layers are fed with, less the first tokens."""
    sums: dict[str, torch.Tensor] = {}

    def hook(name: str):
        def note(_: nn.Module, args: tuple) -> None:
            x = args[0].detach()[0, EXACT:]
            sums[name] = sums.get(name, 0) + x.T @ x

        return note

    handles = [linear_of(module, name).register_forward_pre_hook(hook(name)) for name in names]
    for row in rows:
        call(module, {"input_ids": row})
    for handle in handles:
        handle.remove()
    return sums


def cell(text: str) -> tuple[str, int]:
    """Return the kind and the rank that ``--cell`` names."""
    kind, _, rank = text.partition(":")
    if kind not in KINDS or not rank.isdigit() or not int(rank):
        raise argparse.ArgumentTypeError(f"a cell must be KIND:RANK, KIND of {', '.join(KINDS)}")
    return kind, int(rank)


def main() -> None:
    """Print the table, cell by cell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--tokens", type=int, default=512, help="of a prompt (%(default)s)")
    parser.add_argument("--way", action="append", choices=WAYS, metavar="WAY", help="all without")
    parser.add_argument("--cell", action="append", type=cell, metavar="KIND:RANK")
    given = parser.parse_args()
    study = Study(given.folder, given.tokens)
    cells = given.cell or [cell(each) for each in CELLS]
    write = sys.stdout.write
    heads = [f"{kind}, {rank}" for kind, rank in cells]
    write(f"| {given.tokens} tokens | {' | '.join(heads)} |\n|---|{'---|' * len(cells)}\n")
    for name in given.way or WAYS:
        write(f"| {name} ")
        for kind, rank in cells:
            found = study.measure(name, kind, rank)
            write("| " + "; ".join(f"{each.ratio:.3f}, {each.divergence:.4f}" for each in found))
            sys.stdout.flush()
        write(" |\n")


if __name__ == "__main__":
    main()
