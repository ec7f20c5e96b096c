"""What decompositions of prompts save at the shapes of a large model, by the cost law.

    python tools/decomposed_shapes.py [--rank 256 --rank 960] [--tokens 4096] [--config rows-8]

Cycles of all linear layers of a block of Llama-2-7B, weights of 4 bits, for a prompt of 4,096
tokens that is decomposed as a whole at q, k, v and at gate, up; o and down are computed as ever.
Everything that the engine does is counted; what the host does between programs is not. Last, what
rows that share each plane word save a product with tokens. Takes a minute, and half a minute a
rank.
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace

import numpy as np

from summand.bench import Law
from summand.boards.configurations import find_configuration
from summand.compress.decompose.sizes import PRODUCT_BITS, SKETCH_BITS, TOKEN_BITS, sketches
from summand.decompose.programs import Programs, outline
from summand.model.decomposition import Decomposition, Requantisation
from summand.runtime import Program
from summand.schedule.terms import Direct, Sizes

#: Input features and outputs of each group of layers; those that are decomposed come first.
GROUPS = {
    "q, k, v": (4096, (4096, 4096, 4096)),
    "gate, up": (4096, (11008, 11008)),
    "o": (4096, (4096,)),
    "down": (11008, (4096,)),
}
DECOMPOSED = ("q, k, v", "gate, up")

#: A group's layers that the host puts together.
HOSTED = {"q, k, v": (2,)}

#: Bits of weights.
WEIGHT = 4


def decomposition(name: str, rank: int, tokens: int) -> Decomposition:
    """Return one of a group's sizes, with other directions than 0."""
    k, outputs = GROUPS[name]
    hosted = HOSTED.get(name, ())
    count = sketches(rank, k)
    return Decomposition(
        layers=tuple(map(str, range(len(outputs)))),
        rank=rank,
        span=tokens,
        steps=1,
        directions=np.ones((k, count), np.int8),
        scale=np.ones(count, np.float32),
        sketch_bits=SKETCH_BITS,
        token_bits=TOKEN_BITS,
        bits=PRODUCT_BITS,
        requantisations=tuple(
            None if i in hosted else Requantisation.of(np.ones(n)) for i, n in enumerate(outputs)
        ),
    )


def main() -> None:
    """Print a table, rank by rank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rank", action="append", type=int)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--config", default="rows-8", help="name or file of an engine")
    given = parser.parse_args()
    config = replace(find_configuration(given.config).config, operand_depth=4096)
    law, write = Law(config), sys.stdout.write

    def cycles(program: Program, tokens: int) -> int:
        return law.usage(program, tokens).counters.cycles

    programs = {
        name: outline(
            tuple(map(str, range(len(outputs)))),
            tuple(Sizes(k, n, (Direct(planes=WEIGHT),)) for n in outputs),
            config,
        )
        for name, (k, outputs) in GROUPS.items()
    }
    plain = {name: cycles(program, given.tokens) for name, program in programs.items()}
    total = sum(plain.values())
    for name, count in plain.items():
        write(f"{name}: {count:,} cycles, {count / total:.4f} of all\n")
    for rank in given.rank or [256, 512, 960]:
        left = total
        for name in DECOMPOSED:
            of = decomposition(name, rank, given.tokens)
            parts: Counter[str] = Counter()
            for each, rows in Programs(programs[name], of).calls(given.tokens):
                part = "exact" if each is programs[name] else each.name.rpartition(" ")[2]
                parts[part] += cycles(each, rows)
            left += parts.total() - plain[name]
            shares = ", ".join(f"{part} {n / plain[name]:.4f}" for part, n in parts.items())
            write(f"rank {rank}, {name}: {parts.total() / plain[name]:.4f} ({shares})\n")
        write(f"rank {rank}: {left:,} of {total:,} cycles, {1 - left / total:.4f} fewer\n")
        sys.stdout.flush()
    tokens = Sizes(given.tokens, 4096, (Direct(planes=TOKEN_BITS),))
    product = outline(("product",), (tokens,), config)
    together, alone = cycles(product, config.rows), config.rows * cycles(product, 1)
    write(f"a product of {config.rows} vectors: {together:,} cycles, one by one {alone:,}: ")
    write(f"{alone / together:.2f} times\n")


if __name__ == "__main__":
    main()
