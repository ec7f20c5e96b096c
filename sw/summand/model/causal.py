"""Whether a model predicts a text's next token from those before it, and how it keeps these."""

import inspect
from collections.abc import Iterable
from typing import Any

from torch import nn

__all__ = ["cache_name", "head_name", "is_head", "last_only", "why_not_causal"]

#: The models' name of their KV cache, as an argument and in their output: first that of
#: transformers 5.24 and later, then the older one. A model of 5.24 takes both, but warns.
_CACHE_NAMES = ("cache", "past_key_values")


def why_not_causal(module: nn.Module) -> str | None:
    """Return why a Hugging Face model does not; None if its class and configuration say it does."""
    model: Any = module
    kind, config = type(module).__name__, getattr(module, "config", None)
    if getattr(config, "is_encoder_decoder", False):
        return f"{kind} is an encoder and a decoder, which reads a text before it writes another"
    if hasattr(model, "can_generate") and not model.can_generate():
        return f"{kind} does not write text: it fills in words, or embeds or judges a text"
    sides = {getattr(child, "is_causal", None) for child in module.modules()}
    if False in sides and True not in sides:
        return f"{kind} looks at the tokens behind the one that it predicts (is_decoder is not set)"
    return None


def cache_name(module: nn.Module) -> str | None:
    """Return what a model calls its KV cache, as an argument and in its output; None without."""
    takes = inspect.signature(module.forward).parameters
    return next((name for name in _CACHE_NAMES if name in takes), None)


def head_name(module: nn.Module) -> str | None:
    """Return the path of the module that makes a model's logits; None if it names none."""
    head = getattr(module, "get_output_embeddings", lambda: None)()
    return next((name for name, child in module.named_modules() if child is head), None)


def is_head(names: Iterable[str], head: str | None) -> bool:
    """Whether layers are a head of that path, or parts of one."""
    return head is not None and all(f"{name}.".startswith(f"{head}.") for name in names)


def last_only(module: nn.Module) -> dict[str, int]:
    """Return the arguments that limit a model's head to the last token; none if it cannot."""
    takes = inspect.signature(module.forward).parameters
    return {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
