"""Have SmolLM2-135M-Instruct write the prose that models are calibrated on.

    python tools/prose.py sw/summand/compress/calibrate/prose.json

Stories, letters, articles: English on many subjects, without informative content. Takes minutes.
The random text depends on the machine and on the version of torch, so the file itself is kept.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from summand.compress import open_source

KINDS = (
    "Write a short story about {}.",
    "Write an encyclopedia article about {}.",
    "Write a newspaper report about {}.",
    "Write a letter to a friend about {}.",
    "Write a conversation between two people about {}.",
    "Write an opinion column about {}.",
    "Explain {} to a student.",
    "Write a blog post about {}.",
)
SUBJECTS = (
    "a fisherman and his daughter",
    "the city of Lisbon",
    "the discovery of penicillin",
    "a football match in the rain",
    "the weather in winter",
    "baking bread at home",
    "the moons of Jupiter",
    "a train journey across a country",
    "growing tomatoes",
    "the history of printing",
    "an old clock maker",
    "how rivers shape valleys",
    "a family dinner",
    "the price of oil",
    "learning to play the violin",
    "whales",
    "a lost dog",
    "the French Revolution",
    "how vaccines work",
    "moving to a new town",
    "a court case about a neighbour's tree",
    "the building of a bridge",
    "an election in a small town",
    "volcanoes",
    "caring for an elderly parent",
    "a chess tournament",
    "the invention of the telephone",
    "walking in the mountains",
    "a hospital at night",
    "money and saving",
    "bees and flowers",
    "a museum of modern art",
)

#: Documents written at a time.
TOGETHER = 32


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--tokens", type=int, default=300, help="of a document, at most")
    given = parser.parse_args()
    source = open_source("smollm2")
    model: Any = source.module.to(torch.bfloat16)
    tokenizer = source.tokenizer
    tokenizer.padding_side = "left"
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": KINDS[i % len(KINDS)].format(subject)}],
            tokenize=False,
            add_generation_prompt=True,
        )
        for i, subject in enumerate(SUBJECTS)
    ]
    torch.manual_seed(1)
    documents: list[str] = []
    for first in range(0, len(prompts), TOGETHER):
        asked = tokenizer(prompts[first : first + TOGETHER], return_tensors="pt", padding=True)
        with torch.no_grad():
            ids = model.generate(
                **asked,
                do_sample=True,
                temperature=0.9,
                top_p=0.95,
                top_k=0,
                max_new_tokens=given.tokens,
            )
        written = ids[:, asked["input_ids"].shape[1] :]
        documents += tokenizer.batch_decode(written, skip_special_tokens=True)
    given.output.write_text(json.dumps(documents, indent=0, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
