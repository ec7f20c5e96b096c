"""Writes text: prompts, passes over the weights, drafts checked in them, tokens chosen."""

from summand.decoding.payoff import Payoff
from summand.decoding.sampling import Sampling
from summand.decoding.speculation import Speculation
from summand.decoding.text import TextStream, encode_prompt, stop_tokens
from summand.decoding.writer import Pass, Writer

__all__ = [
    "Pass",
    "Payoff",
    "Sampling",
    "Speculation",
    "TextStream",
    "Writer",
    "encode_prompt",
    "stop_tokens",
]
