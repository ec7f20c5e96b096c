"""Chat templates of strangers: programs in Jinja's language, run in a process with limits."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from summand.isa import SummandError

__all__ = ["ChatTemplateError", "render_chat"]

_PROGRAM = Path(__file__).with_name("chat_process.py")

#: Seconds that a template may compute, and seconds to wait for it in all.
_SECONDS, _WAIT = 5, 120

#: Bytes of memory for a template, and the most characters of it and of its output.
_BYTES, _CHARACTERS = 1 << 30, 1 << 20


class ChatTemplateError(SummandError):
    """A chat template that is missing, or that does not give a text."""


def render_chat(tokenizer: Any, turns: Sequence[Mapping[str, str]]) -> str:
    """Return the text that a tokenizer's chat template makes of a conversation.

    The same as its ``apply_chat_template`` with a prompt for the model to go on, except that a
    template that loops for ever, fills the memory or fails gives an error of one line.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Of the model.
    turns : sequence of mappings
        Each with a ``role`` and ``content``.

    Raises
    ------
    ChatTemplateError
        If there is no template, or it fails, or needs more than 5 s, 1 GiB or a million characters.
    """
    where = "the model's chat template"
    try:
        template = tokenizer.get_chat_template()
        tokens = dict(tokenizer.special_tokens_map)
        task = {"template": template, "turns": list(turns), "tokens": tokens, "bytes": _BYTES}
        text = json.dumps(task | {"seconds": _SECONDS, "characters": _CHARACTERS})
    except Exception as e:
        why = " ".join(str(e).split())[:300]
        raise ChatTemplateError(f"{where} cannot be read: {why}; leave out --chat") from None
    if len(text) > _CHARACTERS:
        raise ChatTemplateError(
            f"{where} and the prompt must be at most {_CHARACTERS:,} characters; leave out --chat"
        )
    try:
        done = subprocess.run(
            # -P keeps the program's own folder out of its import path.
            [sys.executable, "-P", str(_PROGRAM)],
            input=text,
            capture_output=True,
            text=True,
            timeout=_WAIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ChatTemplateError(f"{where} did not end; leave out --chat") from None
    if done.returncode < 0:
        raise ChatTemplateError(f"{where} did not end in {_SECONDS} s; leave out --chat")
    try:
        answer = json.loads(done.stdout)
        return answer["text"] if "text" in answer else _failed(answer["error"])
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ChatTemplateError(f"{where} cannot be rendered: {last}") from None


def _failed(why: str) -> str:
    raise ChatTemplateError(f"the model's chat template fails: {why}; leave out --chat")
