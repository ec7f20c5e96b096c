"""Published methods at a model's number of bits, with the same calibration and the same text."""

import copy
import dataclasses
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from summand.compress import (
    Choice,
    CompressError,
    ModelSource,
    Options,
    Text,
    compress_layers,
    survey,
)
from summand.compress.network.survey import example_of
from summand.compress.twin.integer import replace
from summand.model import Manifest
from summand.model.engine import engine_of
from summand.report.figures import BaselineFigures
from summand.report.texts import read
from summand.schedule.traffic import Traffic, group_traffic

__all__ = ["METHODS", "Baselines", "Method", "spread_bits"]

#: Features in a group where the model itself has none.
_GROUP = 64


@dataclass(frozen=True)
class Method:
    """A published way to compress layers, without this project's additions.

    Inputs are neither balanced nor rotated, and every layer gets about as many bits.
    """

    name: str
    solver: str
    grouped: bool
    rank: int = 0
    rank_bits: int = 8

    def options(self, group: int, act_bits: int) -> Options:
        """Return its options except the bits."""
        return Options(
            solver=self.solver,
            group=group if self.grouped else 0,
            rank=self.rank,
            rank_bits=self.rank_bits,
            act_bits=act_bits,
            balance=False,
            rotate=False,
        )


#: In the order of reports.
METHODS = (
    Method("RTN, one scale an output", "rtn", grouped=False),
    Method("RTN, groups", "rtn", grouped=True),
    Method("GPTQ, groups", "gptq", grouped=True),
    Method("GPTQ, groups, and rank 16 of 8 bits", "gptq", grouped=True, rank=16),
)


def spread_bits(weights: Sequence[int], beside: Sequence[int], budget: float) -> list[int]:
    """Return bits of each layer's weights so that their sum stays just below a budget.

    Widths are the two whole numbers around the mean, spread evenly: the fraction that a layer does
    not use, because its bits are whole, goes to the next.

    Parameters
    ----------
    weights : sequence of int
        Number of weights of each layer.
    beside : sequence of int
        Bits of each layer's scales and factors.
    budget : float
        Bits a weight, scales and factors included.
    """
    mean = min(max(budget - sum(beside) / sum(weights), 1.0), 8.0)
    spare, out = 0.0, []
    for count in weights:
        spare += mean * count
        bits = int(mean) + (spare >= (int(mean) + 1) * count)
        spare -= bits * count
        out.append(bits)
    return out


class Baselines:
    """Computes baselines, and keeps finished ones in a file.

    Parameters
    ----------
    source : ModelSource
        The uncompressed model.
    manifest : Manifest
        Of the compressed model that they are compared with.
    heads : collection of str
        Layers of the output head, which get the bits they have in the model.
    batches : sequence of tensors
        Calibration text.
    texts : sequence of Text and rows
        Texts to evaluate on.
    cache : Path
        The file; made at the first result, replaced whole at each.
    """

    def __init__(
        self,
        source: ModelSource,
        manifest: Manifest,
        *,
        heads: Collection[str],
        batches: Sequence[torch.Tensor],
        texts: Sequence[tuple[Text, Sequence[torch.Tensor]]],
        cache: Path,
    ):
        self._source, self._manifest, self._heads = source, manifest, heads
        self._batches, self._texts, self._cache = batches, texts, cache

    def __iter__(self) -> Iterator[BaselineFigures]:
        return self.results(lambda _: None)

    def results(self, tell: Callable[[str], None]) -> Iterator[BaselineFigures]:
        """Yield one after another; ``tell`` is called with a line on the present step."""
        known = self._read()
        for method in METHODS:
            choices = self._choices(method)
            key = self._key(choices)
            if key not in known:
                tell(f"Baseline: {method.name}")
                known[key] = dataclasses.asdict(self._work(method, choices))
                self._write(known)
            yield BaselineFigures.from_dict(known[key])

    def _choices(self, method: Method) -> dict[str, Choice]:
        """Return every layer's choice, at the model's number of bits."""
        entries = self._manifest.layers
        group = max((t.group for e in entries for _, t in e.sizes.direct), default=0) or _GROUP
        options = method.options(group, entries[0].act_bits)
        plain = [e for e in entries if e.name not in self._heads]
        rank = {e.name: min(method.rank, e.in_features, e.out_features) for e in plain}
        beside = [
            -(-e.in_features // group) * e.out_features * options.scale_bits * method.grouped
            + rank[e.name] * (e.in_features + e.out_features) * method.rank_bits
            for e in plain
        ]
        choices = {}
        if plain:
            weights = [e.weights for e in plain]
            bits = spread_bits(weights, beside, sum(e.bits for e in plain) / sum(weights))
            for e, b in zip(plain, bits, strict=True):
                mine = dataclasses.replace(options, bits=b, rank=rank[e.name])
                choices[e.name] = Choice.of(mine, head=False)
        for e in entries:
            if e.name in self._heads:
                mine = options
                for _, term in e.sizes.direct[:1]:
                    mine = dataclasses.replace(mine, head_bits=term.planes, group=term.group)
                    if term.group:
                        mine = dataclasses.replace(mine, scale_bits=term.scale_bits)
                choices[e.name] = Choice.of(mine, head=True)
        return choices

    def _key(self, choices: Mapping[str, Choice]) -> str:
        """Return a checksum of everything that a result depends on."""
        parts = {
            "source": dict(self._source.record),
            "choices": {name: dataclasses.asdict(c) for name, c in choices.items()},
            "calibration": [hash_rows(self._batches)],
            "texts": [hash_rows(rows) for _, rows in self._texts],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _work(self, method: Method, choices: Mapping[str, Choice]) -> BaselineFigures:
        start = time.perf_counter()
        module = self._source.module
        batches = [{"input_ids": ids} for ids in self._batches]
        found = survey(module, example_of(self._batches))
        if missing := set(found.layers) ^ choices.keys():
            raise CompressError(
                f"the model was compressed from other layers than its source has now "
                f"({sorted(missing)[0]}); compress it again"
            )
        compressed = copy.deepcopy(module)
        layers, sizes = [], {}
        for layer, _ in compress_layers(module, batches, found, choices):
            layers.append(layer.bits)
            sizes[layer.name] = layer.sizes
            replace(compressed, layer)
        weights = sum(e.weights for e in self._manifest.layers)
        engine = engine_of(self._manifest)
        grouped = any(term.group for s in sizes.values() for _, term in s.direct)
        if grouped and not engine.scale_bits:
            engine = dataclasses.replace(engine, scale_bits=Options().scale_bits)
        traffic = sum(
            (group_traffic([sizes[n] for n in group], engine) for group in found.groups), Traffic()
        )
        texts = tuple(
            read(compressed, text, rows, reference=module)[0] for text, rows in self._texts
        )
        return BaselineFigures(
            name=method.name,
            bits_per_weight=sum(layers) / weights,
            streamed_bits_per_weight=traffic.weights / weights,
            texts=texts,
            seconds=round(time.perf_counter() - start, 1),
        )

    def _read(self) -> dict[str, Any]:
        try:
            raw = json.loads(self._cache.read_text())
        except (OSError, ValueError):
            return {}
        return raw if isinstance(raw, dict) else {}

    def _write(self, known: Mapping[str, Any]) -> None:
        try:
            with tempfile.NamedTemporaryFile(
                "w", dir=self._cache.parent, prefix=f".{self._cache.name}-", delete=False
            ) as file:
                json.dump(known, file, indent=1)
            os.replace(file.name, self._cache)  # noqa: PTH105
        except OSError as e:
            raise CompressError(f"cannot write {self._cache}: {e.strerror}") from None


def hash_rows(rows: Sequence[torch.Tensor]) -> str:
    """Return a checksum of token ids."""
    total = hashlib.sha256()
    for row in rows:
        total.update(row.numpy().tobytes())
    return total.hexdigest()
