"""Tokens a pass over the weights, counted on the packaged prompts."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from summand.bench.law import Law
from summand.bench.prompts import Prompt, loops, packaged_prompts
from summand.bench.rows import row_costs
from summand.decoding import (
    Pass,
    Payoff,
    Speculation,
    Writer,
    encode_prompt,
    stop_tokens,
)
from summand.draft import make_drafter
from summand.runtime import Driver, Program, Usage

if TYPE_CHECKING:
    from summand.runtime.load import LoadedModel

__all__ = ["TOKENS", "Speculated", "Text", "write_prompts"]

#: The most tokens that follow a prompt.
TOKENS = 128

#: Called with the number of prompts done and their total.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A text that was written.

    Parameters
    ----------
    tokens : tuple of int
        The text's.
    chosen : int
        Tokens after the first, one that ended the text included.
    passes : tuple of Pass
        Those after the prompt's.
    usage : Usage
        Their cost, by the cost law.
    seconds : float
        Their time, on the golden model and the host.
    """

    tokens: tuple[int, ...]
    chosen: int
    passes: tuple[Pass, ...]
    usage: Usage
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Text:
    """A prompt's text, with speculation and without it."""

    prompt: Prompt
    drafted: Timed
    plain: Timed

    @property
    def equal(self) -> bool:
        """Whether both have the same tokens."""
        return self.drafted.tokens == self.plain.tokens

    @property
    def loops(self) -> bool:
        """Whether it ends by repeating itself."""
        return loops(self.plain.tokens)


@dataclass(frozen=True)
class Speculated:
    """Texts that were written both ways, on one engine."""

    texts: tuple[Text, ...]

    @property
    def equal(self) -> bool:
        """Whether speculation changed no token of any text."""
        return all(text.equal for text in self.texts)

    def only(self, wanted: Callable[[Text], bool]) -> "Speculated":
        """Return some of the texts."""
        return Speculated(tuple(filter(wanted, self.texts)))

    @property
    def passes(self) -> int:
        """Passes after the prompts'."""
        return sum(len(text.drafted.passes) for text in self.texts)

    @property
    def chosen(self) -> int:
        """Tokens that these wrote."""
        return sum(text.drafted.chosen for text in self.texts)

    @property
    def tokens_per_pass(self) -> float:
        """Tokens that a pass over the weights wrote."""
        return self.chosen / self.passes

    @property
    def usage(self) -> Usage:
        """Their cost, by the cost law."""
        return sum((text.drafted.usage for text in self.texts), Usage())

    @property
    def time_ratio(self) -> float:
        """Seconds on the golden model and the host, over those without speculation."""
        drafted = sum(text.drafted.seconds for text in self.texts)
        return drafted / sum(text.plain.seconds for text in self.texts)


def write_prompts(
    loaded: "LoadedModel", driver: Driver, count: int, progress: Progress | None = None
) -> Speculated:
    """Write the texts of ``count`` packaged prompts, each with speculation and without it.

    The drafter keeps what it has learned from one prompt to the next. As many tokens are proposed
    as pay. A prompt whose text is over with its first token is left out.

    Parameters
    ----------
    loaded : LoadedModel
        The model, its layers on ``driver``'s device, which has more than one row.
    driver : Driver
        Reaches the golden model.
    count : int
        How many prompts; kinds take turns.
    progress : callable, optional
        Called with the number of prompts done and their total.
    """
    programs = [group.least_program for group in loaded.groups]
    writing = _Writing(
        loaded=loaded,
        driver=driver,
        law=Law(driver.config),
        stop=stop_tokens(loaded.model, loaded.tokenizer),
    )
    drafter = make_drafter(loaded.vocabulary)
    costs = row_costs(driver.config, programs)
    texts = []
    for done, prompt in enumerate(in_turns(packaged_prompts())[:count], 1):
        ids = encode_prompt(
            loaded.model,
            loaded.tokenizer,
            prompt.text,
            tokens=TOKENS,
            chat=bool(loaded.tokenizer.chat_template),
        )
        drafted = writing.write(ids, Speculation(drafter, Payoff(costs)))
        plain = writing.write(ids, None)
        if drafted.passes:
            texts.append(Text(prompt=prompt, drafted=drafted, plain=plain))
        if progress:
            progress(done, count)
    return Speculated(tuple(texts))


def in_turns(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Return prompts so that their kinds take turns."""
    seen: Counter[str] = Counter()
    turns = []
    for prompt in prompts:
        turns.append((seen[prompt.kind], prompt))
        seen[prompt.kind] += 1
    return [prompt for _, prompt in sorted(turns, key=lambda turn: turn[0])]


@dataclass(frozen=True, kw_only=True)
class _Writing:
    """Writes one text after the other."""

    loaded: "LoadedModel"
    driver: Driver
    law: Law
    stop: Collection[int]

    def write(self, ids: Sequence[int], speculation: Speculation | None) -> Timed:
        loaded = self.loaded
        writer = Writer(loaded.model, loaded.lanes, speculation=speculation, head=loaded.head)
        start, before = time.perf_counter(), Counter[tuple[Program, int]]()
        tokens: list[int] = []
        for token in writer.write(ids, tokens=TOKENS, stop=self.stop):
            if not tokens:
                start, before = time.perf_counter(), self.driver.calls.copy()
            tokens.append(token)
        seconds = time.perf_counter() - start
        return Timed(
            tokens=tuple(tokens),
            chosen=writer.chosen,
            passes=tuple(writer.passes),
            usage=sum(self.law.total(self.driver.calls - before).values(), Usage()),
            seconds=seconds,
        )
