"""What a second array for the second factor could save at most: the table of docs/low-rank.md.

    python tools/cascade.py [--config rows-8]

ITERA-LLM (arXiv 2505.08981) chains two arrays: a second, narrower one multiplies the intermediate
by the second factor while the first one works on the next tile. Here one array does both, one after
the other. Whatever takes the weights, they come over one stream, a beat a cycle: so a layer's beats
are the least that a second array could reach, and what the engine takes besides is the most that it
could save. By the cost law, which equals the engine's counters; seconds a row.
"""

import argparse
import sys
from dataclasses import replace

from summand.bench import Law
from summand.boards.configurations import find_configuration
from summand.decompose.programs import outline
from summand.isa import EngineConfig
from summand.schedule.terms import Direct, Factored, Sizes

#: Input features and outputs.
LAYERS = {
    "576 to 576": (576, 576),
    "576 to 1,536": (576, 1536),
    "1,536 to 576": (1536, 576),
    "4,096 to 4,096": (4096, 4096),
    "4,096 to 11,008": (4096, 11008),
}
#: Ranks that stream less than the dense matrix of as many bits, and some beside one.
RANKS = (64, 128, 256, 1024)
BITS = 4


def row(name: str, sizes: Sizes, config: EngineConfig, tokens: int) -> str:
    """Return a row of the table."""
    usage = Law(config).usage(outline(("layer",), (sizes,), config), tokens)
    cycles, beats = usage.counters.cycles, usage.beats
    return f"| {name} | {tokens} | {cycles:,} | {beats:,} | {1 - beats / cycles:.1%} |\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="rows-8", help="name or file of an engine")
    given = parser.parse_args()
    config = replace(find_configuration(given.config).config, shift=4, act_depth=256)
    write = sys.stdout.write
    write("| layer, summands | tokens | cycles | beats | saved at most |\n|---|---|---|---|---|\n")
    for name, (k, n) in LAYERS.items():
        dense = Sizes(k, n, (Direct(planes=BITS),))
        kinds = {f"{name}, dense": dense}
        for rank in RANKS:
            if rank * (k + n) < k * n:
                low = Factored(rank=rank, first=BITS, second=BITS)
                kinds[f"{name}, rank {rank}"] = Sizes(k, n, (low,))
        for kind, sizes in kinds.items():
            for tokens in (1, config.rows, 8 * config.rows):
                write(row(kind, sizes, config, tokens))
                sys.stdout.flush()


if __name__ == "__main__":
    main()
