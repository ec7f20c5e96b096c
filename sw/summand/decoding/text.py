"""Between text and tokens: prompts, ends of a text, and what can be shown of it."""

import reprlib
from typing import Any

from torch import nn

from summand.isa import SummandError
from summand.model.chat import render_chat
from summand.model.guard import guarded, quiet

__all__ = ["TextStream", "encode_prompt", "stop_tokens"]


def encode_prompt(
    model: nn.Module, tokenizer: Any, text: str, *, tokens: int, chat: bool
) -> list[int]:
    """Return a prompt's token numbers, within the tokenizer's chat template if ``chat``.

    Raises
    ------
    SummandError
        If there are none, they and ``tokens`` more exceed the model's context, or the tokenizer
        has no template.
    """
    if chat:
        if not tokenizer.chat_template:
            raise SummandError("the model's tokenizer has no chat template; leave out --chat")
        text = render_chat(tokenizer, [{"role": "user", "content": text}])
    with quiet(), guarded("the model's tokenizer", "write another prompt"):
        ids = tokenizer(text, add_special_tokens=not chat)["input_ids"]
    if not ids:
        raise SummandError("the prompt gives no tokens; write at least a word")
    config: Any = model.config
    limit = getattr(config, "max_position_embeddings", None)
    if limit and len(ids) + tokens > limit:
        raise SummandError(
            f"the prompt's {len(ids)} tokens and {tokens} more exceed the model's context of "
            f"{limit}; shorten the prompt or lower --tokens"
        )
    if max(ids) >= config.vocab_size:
        raise SummandError(
            f"the tokenizer gives token {max(ids)}, but the model knows {config.vocab_size}; "
            f"the tokenizer belongs to another model"
        )
    return ids


def stop_tokens(model: nn.Module, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end a text: the tokenizer's and the model's own.

    Raises
    ------
    SummandError
        If one is no number.
    """
    stop: set[int] = set()
    configs: tuple[Any, ...] = (model.config, getattr(model, "generation_config", None), tokenizer)
    for config in configs:
        end = getattr(config, "eos_token_id", None)
        ends = end if isinstance(end, list | tuple) else [] if end is None else [end]
        if strange := [token for token in ends if not isinstance(token, int)]:
            raise SummandError(
                f"the model's eos_token_id must be a number of a token, or several, not "
                f"{reprlib.repr(strange[0])}; compress a whole model"
            )
        stop.update(ends)
    return frozenset(stop)


class TextStream:
    """Turns tokens into text one by one, withholding characters that are not complete yet."""

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._shown = 0

    @property
    def text(self) -> str:
        """The whole text."""
        return self._tokenizer.decode(self._ids, clean_up_tokenization_spaces=False)

    def push(self, token: int) -> str:
        """Add a token; returns the text that can be shown now."""
        self._ids.append(token)
        whole = self.text
        return "" if whole.endswith("\ufffd") else self._advance(whole)

    def finish(self) -> str:
        """Return the text that was withheld."""
        return self._advance(self.text)

    def _advance(self, whole: str) -> str:
        new, self._shown = whole[self._shown :], len(whole)
        return new
