from types import SimpleNamespace
from typing import Any

import pytest

from summand.decoding import TextStream, encode_prompt, stop_tokens
from summand.isa import SummandError


def model(size: int = 10) -> Any:
    """What is asked of a model that knows ``size`` tokens."""
    config = SimpleNamespace(vocab_size=size, max_position_embeddings=12, eos_token_id=[9, 8])
    return SimpleNamespace(config=config)


class Bytes:
    """A tokenizer whose tokens are bytes."""

    chat_template = None
    eos_token_id = 3

    def __call__(self, text, add_special_tokens):
        return {"input_ids": list(text.encode())}

    def decode(self, ids, clean_up_tokenization_spaces):
        return bytes(ids).decode(errors="replace")


def test_stop_tokens_of_model_and_tokenizer():
    assert stop_tokens(model(), Bytes()) == {9, 8, 3}


@pytest.mark.parametrize("end", ["</s>", [[1]], [None], {"a": 1}, 1.5])
def test_stop_tokens_are_numbers(end):
    strange = model()
    strange.config.eos_token_id = end
    with pytest.raises(SummandError, match="eos_token_id must be a number of a token"):
        stop_tokens(strange, Bytes())


def test_prompt_that_cannot_be_used():
    wide, tokenizer = model(256), Bytes()
    assert encode_prompt(wide, tokenizer, "ab", tokens=10, chat=False) == [97, 98]
    with pytest.raises(SummandError, match="gives no tokens"):
        encode_prompt(wide, tokenizer, "", tokens=1, chat=False)
    with pytest.raises(SummandError, match=r"3 tokens and 10 more exceed .* context of 12"):
        encode_prompt(wide, tokenizer, "abc", tokens=10, chat=False)
    with pytest.raises(SummandError, match="has no chat template"):
        encode_prompt(wide, tokenizer, "abc", tokens=1, chat=True)
    with pytest.raises(SummandError, match="gives token 97, but the model knows 10"):
        encode_prompt(model(), tokenizer, "a", tokens=1, chat=False)


def test_characters_are_shown_when_they_are_whole():
    stream = TextStream(Bytes())
    shown = [stream.push(byte) for byte in "aé€".encode()]
    assert shown == ["a", "", "é", "", "", "€"]
    assert stream.push(0xE2) == ""
    assert stream.finish() == "\ufffd"
    assert stream.text == "aé€\ufffd"
