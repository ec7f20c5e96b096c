"""What decompositions of prompts lose and save: the curve of docs/decomposition.md.

    summand compress smollm2 -o build/smollm2 --bits 4
    python tools/decomposed_prompts.py build/smollm2 [--loss 0.03 --prompt 512] [--steps 2]

For each bound of loss, decompositions are found as ``summand compress --decompose-loss`` finds
them. For prompts of each length: perplexity and KL divergence of the 128 tokens behind prompts that
were read with decompositions, beside the same prompts read as ever, on two texts; all layers are
computed in their exact integers. Cycles of reading a prompt, by the cost law: of all layers but the
head, and of the decomposed ones by part, as shares of what they take as ever. Takes two minutes for
each bound, and half a minute to four for each of its prompts and texts.
"""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import torch

from summand.bench.prompt import prompt_cost
from summand.boards.configurations import find_configuration
from summand.compress import (
    calibration_text,
    evaluation_text,
    load_integer,
    other_text,
    reopen,
    survey,
)
from summand.compress.calibrate.text import rows_of
from summand.compress.decompose import Wanted, find_decompositions
from summand.compress.decompose.behind import behind, decomposing
from summand.compress.network.survey import example_of
from summand.model import SummandModel
from summand.model.engine import engine_of

#: Tokens behind a prompt that are predicted.
BEHIND = 128

#: Tokens of a text that prompts are cut from.
TOKENS = 4 * 640


def loss(logp: torch.Tensor, ids: torch.Tensor) -> float:
    """Return the mean negative log-likelihood of the tokens behind a prompt."""
    return -float(logp.gather(1, ids[0, -BEHIND:, None]).mean())


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--loss", action="append", type=float, help="bounds; nats a token")
    parser.add_argument("--steps", type=int, default=1, help="of block Lanczos iteration")
    parser.add_argument("--prompt", action="append", type=int, help="tokens of a prompt")
    parser.add_argument("--config", default="operand-4", help="name or file of an engine")
    given = parser.parse_args()
    torch.set_num_threads(1)
    source = SummandModel(given.folder)
    original: Any = reopen(source.manifest.source)

    def rows(text: Any, tokens: int, window: int) -> list[torch.Tensor]:
        cut = rows_of(original.module, original.tokenizer, text, tokens=tokens, window=window)
        return [ids for ids in cut if ids.shape[1] == window]

    config = engine_of(source.manifest, find_configuration(given.config).config)
    module = load_integer(source)
    calibration = rows(calibration_text(), 8192, original.window)
    layers = survey(original.module, example_of(calibration))
    held = {name: source.layer(name) for name in source.names}
    plain: dict[tuple[int, int, int], torch.Tensor] = {}
    write = sys.stdout.write
    for bound in given.loss or [0.01, 0.03, 0.1, 0.3]:
        made = find_decompositions(
            original.module,
            calibration,
            layers,
            held.__getitem__,
            Wanted(loss=bound, steps=given.steps),
            heads={"lm_head"},
        )
        found = made.decompositions
        write(f"{bound} nats: {len(found)} inputs, {made.loss:.4f} on calibration text\n")
        for tokens in given.prompt or [512, 1024, 2048, 4096]:
            cells = []
            for number, text in enumerate((evaluation_text(), other_text())):
                window = tokens + BEHIND
                kls, losses = [], []
                for i, ids in enumerate(rows(text, max(TOKENS, window), window)):
                    key = number, tokens, i
                    if key not in plain:
                        plain[key] = behind(module, ids, BEHIND)
                    before = plain[key]
                    reading = decomposing(module, found, held.__getitem__)
                    after = behind(module, ids, BEHIND, reading)
                    kls.append(float((before.exp() * (before - after)).sum(dim=-1).mean()))
                    losses.append(loss(after, ids) - loss(before, ids))
                ratio = math.exp(sum(losses) / len(losses))
                cells.append(f"{ratio:.4f} | {sum(kls) / len(kls):.4f}")
            cost = prompt_cost(source, found, config, tokens)
            shares = ", ".join(f"{name} {share:.3f}" for name, share in cost.shares.items())
            write(
                f"| {bound} | {tokens} | {' | '.join(cells)} | {cost.plain.counters.cycles:,} | "
                f"{cost.share:.4f} | {sum(cost.shares.values()):.3f} ({shares}) |\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
