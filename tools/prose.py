"""Have SmolLM2-135M-Instruct write the prose that models are calibrated on.

    python tools/prose.py documents sw/summand/compress/calibrate/prose.json
    python tools/prose.py fragments sw/summand/compress/calibrate/fragments.json

Documents are stories, letters, articles: English on many subjects, without informative content.
Fragments begin with a word that was drawn at random and go on for a sentence or three, as in
LLM-QAT (arXiv 2305.17888): what the model itself can say, on everything. Both take minutes. The
random text depends on the machine and on the version of torch, so the files themselves are kept.
"""

import argparse
import json
import re
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

#: Texts written at a time.
TOGETHER = 32

#: Fragments, and characters of one at least.
FRAGMENTS, SHORTEST = 640, 40


def document_prompts(tokenizer: Any) -> list[str]:
    """Return what is asked for each subject."""
    return [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": KINDS[i % len(KINDS)].format(subject)}],
            tokenize=False,
            add_generation_prompt=True,
        )
        for i, subject in enumerate(SUBJECTS)
    ]


def fragment_prompts(tokenizer: Any) -> list[str]:
    """Return words that begin with a capital letter."""
    words = [token for token in tokenizer.get_vocab() if re.fullmatch(r"[A-Z][a-z]*", token)]
    drawn = torch.randint(len(words), (FRAGMENTS,)).tolist()
    return [sorted(words)[i] for i in drawn]


def written(model: Any, tokenizer: Any, prompts: list[str], tokens: int) -> list[str]:
    """Return what the model writes after each prompt."""
    asked = tokenizer(prompts, return_tensors="pt", padding=True)
    with torch.no_grad():
        ids = model.generate(
            **asked,
            do_sample=True,
            temperature=0.9,
            top_p=0.95,
            top_k=0,
            max_new_tokens=tokens,
        )
    return tokenizer.batch_decode(ids[:, asked["input_ids"].shape[1] :], skip_special_tokens=True)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("documents", "fragments"))
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    source = open_source("smollm2")
    model: Any = source.module
    tokenizer = source.tokenizer
    tokenizer.padding_side = "left"
    torch.manual_seed(1)
    whole = given.kind == "documents"
    prompts = document_prompts(tokenizer) if whole else fragment_prompts(tokenizer)
    texts: list[str] = []
    for first in range(0, len(prompts), TOGETHER):
        asked = prompts[first : first + TOGETHER]
        answers = written(model, tokenizer, asked, 300 if whole else 40)
        texts += answers if whole else map(sentences, asked, answers)
    texts = [text for text in texts if len(text) >= SHORTEST]
    given.output.write_text(json.dumps(texts, indent=0, ensure_ascii=False) + "\n")


def sentences(prompt: str, answer: str) -> str:
    """Return a fragment up to the end of its last sentence, on one line."""
    text = " ".join((prompt + answer).split())
    return text[: max(text.rfind(end) for end in ".!?") + 1]


if __name__ == "__main__":
    main()
