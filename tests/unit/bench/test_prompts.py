import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from summand.bench.prompts import KINDS, Prompt, packaged_prompts

ROOT = Path(__file__).resolve().parents[3]


def test_enough_of_every_kind_and_kinds_in_order():
    kinds = [prompt.kind for prompt in packaged_prompts()]
    assert len(kinds) >= 28
    assert kinds == sorted(kinds, key=KINDS.index)
    assert min(Counter(kinds)[kind] for kind in KINDS) >= 4


def test_no_name_and_no_text_stands_twice():
    prompts = packaged_prompts()
    assert len({prompt.name for prompt in prompts}) == len(prompts)
    assert len({prompt.text for prompt in prompts}) == len(prompts)


@pytest.mark.parametrize("prompt", packaged_prompts(), ids=lambda prompt: prompt.name)
def test_texts_are_as_one_types_them(prompt):
    assert prompt.name.isascii()
    assert unicodedata.is_normalized("NFC", prompt.text)
    for line in prompt.text.split("\n"):
        assert line == line.rstrip()
        assert line.isprintable()  # no tabs, no carriage returns
        assert "  " not in line.lstrip()  # lines are joined with one space


def test_summaries_and_passages_bring_their_text():
    for prompt in packaged_prompts():
        longest = max(len(part.split()) for part in prompt.text.split("\n\n"))
        if prompt.kind in ("summary", "passage"):
            assert 80 <= longest <= 150, prompt.name
        else:
            assert longest < 80, prompt.name


@pytest.mark.parametrize(
    ("name", "kind", "text", "error"),
    [
        ("poem-1", "poem", "Write.", "'poem-1': kind must be one of chat, .*, not 'poem'"),
        ("hello", "chat", "Hello!", "'hello': name must begin with 'chat-'"),
        ("chat-1", "chat", " \n", "'chat-1': text must not be blank"),
    ],
)
def test_what_is_no_prompt(name, kind, text, error):
    with pytest.raises(ValueError, match=error):
        Prompt(name, kind, text)


def test_a_wheel_holds_the_prompts():
    held = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert "summand/bench/prompts/prompts.toml" in held
