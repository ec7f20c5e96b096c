"""What it saves and costs that values of decomposed prompts do not go through the operand memory.

    python tools/factored_values.py [--case smollm2-512 --case llama2-7b-4096]

For shapes of attention, with the inputs of q, k and v decomposed: cycles of their expansion and
results' bytes over the link, by the cost law, with v expanded by the engine and put together by the
host. Then processor times of one thread of this machine: of putting v together, of attention over
the prompt with expanded values and with factored ones, ``(A U) P`` in the place of ``A V``, and of
attention of one token behind it; numbers that a cache of values holds in both forms. Random
numbers, because times do not depend on them. Takes 3 minutes.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from summand.bench import Law
from summand.boards.configurations import find_configuration
from summand.compress.decompose.sizes import PRODUCT_BITS, SKETCH_BITS, TOKEN_BITS, sketches
from summand.decompose.programs import Programs, outline
from summand.isa import EngineConfig
from summand.model.decomposed import joined
from summand.model.decomposition import EXACT, Decomposition, Requantisation, spans
from summand.schedule.steps import Fetch
from summand.schedule.terms import Direct, Sizes

#: Queries that attention is computed for together, where it is written out.
BLOCK = 128

#: Bits of weights.
WEIGHT = 4


@dataclass(frozen=True)
class Case:
    """A prompt at a layer of attention.

    Parameters
    ----------
    engine : str
        The engine's name, and the words of its operand memory.
    tokens, rank, span : int
        Of the prompt, of its decomposition, and decomposed together.
    features, heads, groups, size : int
        Input features; heads of queries, and of keys and values; features of a head.
    """

    engine: tuple[str, int]
    tokens: int
    rank: int
    span: int
    features: int
    heads: int
    groups: int
    size: int

    @property
    def spans(self) -> tuple[range, ...]:
        """The tokens that are decomposed together."""
        return spans(self.tokens, self.span)

    @property
    def outputs(self) -> tuple[int, int, int]:
        """Output features of q, k and v."""
        return self.heads * self.size, self.groups * self.size, self.groups * self.size


_SMOLLM2 = Case(("operand-4", 4096), 512, 128, 512, 576, 9, 3, 64)
_LLAMA2 = Case(("rows-8", 4096), 4096, 256, 4096, 4096, 32, 32, 128)

CASES = {
    "smollm2-512": _SMOLLM2,
    "smollm2-2048": replace(_SMOLLM2, tokens=2048),
    "llama2-7b-4096": _LLAMA2,
    "llama2-7b-4096-spans": replace(_LLAMA2, span=512),
    "llama3-8b-4096": replace(_LLAMA2, groups=8),
}


def decomposition(case: Case, *, hosted: bool) -> Decomposition:
    """Return one of the case's sizes, v put together by the host or by the engine."""
    count = sketches(case.rank, case.features)
    q, k, v = (Requantisation.of(np.ones(n)) for n in case.outputs)
    return Decomposition(
        layers=("q", "k", "v"),
        rank=case.rank,
        span=case.span,
        steps=1,
        directions=np.ones((case.features, count), np.int8),
        scale=np.ones(count, np.float32),
        sketch_bits=SKETCH_BITS,
        token_bits=TOKEN_BITS,
        bits=PRODUCT_BITS,
        requantisations=(q, k, None if hosted else v),
    )


def engine_cost(case: Case, *, hosted: bool) -> tuple[int, int, int]:
    """Return cycles of all of it and of the expansion, and the results' bytes."""
    name, words = case.engine
    config: EngineConfig = replace(find_configuration(name).config, operand_depth=words)
    layers = tuple(Sizes(case.features, n, (Direct(planes=WEIGHT),)) for n in case.outputs)
    law, whole, expansion, results = Law(config), 0, 0, 0
    programs = Programs(
        outline(("q", "k", "v"), layers, config), decomposition(case, hosted=hosted)
    )
    for program, rows in programs.calls(case.tokens):
        cycles = law.usage(program, rows).counters.cycles
        whole += cycles
        expansion += cycles if program.name.endswith("expansion") else 0
        for batch in program.schedule(rows):
            fetches = (step.plan for step in batch.steps if isinstance(step.plan, Fetch))
            results += sum(program.result_bytes(fetch, batch.rows) for fetch in fetches)
    return whole, expansion, results


def milliseconds(compute: Callable[[], object], times: int) -> float:
    """Return the least processor time of some calls, after one that is not counted."""
    compute()
    found = []
    for _ in range(times):
        start = time.process_time()
        compute()
        found.append(time.process_time() - start)
    return min(found) * 1e3


class Attention:
    """Attention over a prompt, and of a token behind it, float32.

    Values are the prompt's first tokens', and of each span coefficients ``[M, rank]`` and products
    ``[heads, rank, size]``.
    """

    def __init__(self, case: Case):
        random = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=random)

        self._case = case
        self._repeat = case.heads // case.groups
        self._queries = normal(case.heads, case.tokens, case.size)
        self._keys = normal(case.groups, case.tokens, case.size)
        self._first = normal(case.groups, EXACT, case.size)
        self._factors = [
            (normal(len(span), case.rank), normal(case.groups, case.rank, case.size))
            for span in case.spans
        ]
        self._values = torch.cat([self._first, *(u @ p for u, p in self._factors)], dim=1)

    @property
    def numbers(self) -> tuple[int, int]:
        """Numbers that values are in a cache, expanded and factored."""
        parts = [part for factors in self._factors for part in factors]
        return self._values.numel(), sum(part.numel() for part in [self._first, *parts])

    def expanded(self) -> torch.Tensor:
        """Attention over the prompt as torch computes it, ``[heads, M, size]``."""
        keys, values = (
            x.repeat_interleave(self._repeat, 0)[None] for x in (self._keys, self._values)
        )
        return scaled_dot_product_attention(self._queries[None], keys, values, is_causal=True)[0]

    def over_prompt(self, *, factored: bool) -> torch.Tensor:
        """Attention over the prompt, block by block, ``[heads, M, size]``."""
        out = torch.empty_like(self._queries)
        future = torch.ones(BLOCK, BLOCK, dtype=torch.bool).triu(1)
        for head in range(self._case.heads):
            for start in range(0, self._case.tokens, BLOCK):
                queries = self._queries[head, start : start + BLOCK]
                stop, count = start + len(queries), len(queries)
                scores = queries @ self._keys[head // self._repeat, :stop].T
                scores[:, start:].masked_fill_(future[:count, :count], float("-inf"))
                shares = (scores * self._case.size**-0.5).softmax(-1)[None]
                mine = slice(head // self._repeat, head // self._repeat + 1)
                out[head, start:stop] = self._sum(shares, mine, factored=factored)[0]
        return out

    def behind(self, *, factored: bool) -> torch.Tensor:
        """Attention of one token behind the prompt, ``[groups, repeat, size]``."""
        queries = self._queries[:, -1].reshape(self._case.groups, self._repeat, -1)
        shares = (queries @ self._keys.mT * self._case.size**-0.5).softmax(-1)
        return self._sum(shares, slice(None), factored=factored)

    def _sum(self, shares: torch.Tensor, groups: slice, *, factored: bool) -> torch.Tensor:
        """Return the sums of values by shares ``[groups, queries, tokens]``."""
        if not factored:
            return shares @ self._values[groups, : shares.shape[-1]]
        found, start = shares[..., :EXACT] @ self._first[groups, : shares.shape[-1]], EXACT
        for coefficients, products in self._factors:
            mine = shares[..., start : start + len(coefficients)]
            if not mine.shape[-1]:
                break
            # All heads share the coefficients: one product for all of them.
            mixed = mine.flatten(0, 1) @ coefficients[: mine.shape[-1]]
            found = found + mixed.unflatten(0, mine.shape[:2]) @ products[groups]
            start += len(coefficients)
        return found


def joining(case: Case) -> Callable[[], object]:
    """Return what puts v together from integers."""
    rng = np.random.default_rng(0)
    width = case.groups * case.size
    parts = [
        (
            rng.integers(-127, 128, (len(span), case.rank)).astype(np.int16),
            rng.integers(-(1 << 20), 1 << 20, (case.rank, width)).astype(np.int32),
        )
        for span in case.spans
    ]
    return lambda: [joined(tokens, products) for tokens, products in parts]


def report(case: Case) -> Iterator[str]:
    """Yield lines of figures."""
    for hosted in (False, True):
        whole, expansion, results = engine_cost(case, hosted=hosted)
        yield (
            f"v by the {'host' if hosted else 'engine'}: {whole:,} cycles, {expansion:,} of them "
            f"expansion; {results:,} bytes of results"
        )
    yield f"v put together in {milliseconds(joining(case), 3):.2f} ms"
    attention = Attention(case)
    whole, rest = (
        [partial(of, factored=factored) for factored in (False, True)]
        for of in (attention.over_prompt, attention.behind)
    )
    assert torch.allclose(whole[1](), attention.expanded(), rtol=1e-3, atol=1e-3)
    plain, factored = (milliseconds(each, 1) for each in whole)
    yield (
        f"over the prompt: torch {milliseconds(attention.expanded, 2):.1f} ms, by blocks "
        f"{plain:.1f}, factored {factored:.1f}"
    )
    plain, factored = (milliseconds(each, 20) for each in rest)
    yield f"of a token behind it: {plain:.3f} ms, factored {factored:.3f}"
    plain, factored = attention.numbers
    yield f"numbers in a cache of values: {plain:,}, factored {factored:,}"


def main() -> None:
    """Print the figures, case by case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", choices=CASES)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.case or CASES:
        case = CASES[name]
        sys.stdout.write(f"{name}: {len(case.spans)} spans, rank {case.rank}\n")
        for line in report(case):
            sys.stdout.write(f"  {line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
