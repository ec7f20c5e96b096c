"""Writes tokens with a model, several a pass where drafts of them are right."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from summand.decoding.reader import Reader
from summand.decoding.sampling import Sampler, Sampling
from summand.decoding.speculation import Speculation
from summand.draft import Draft, Seen
from summand.runtime.head import GreedyHead
from summand.runtime.lanes import Ended, Lanes

__all__ = ["Pass", "Writer"]

#: How many of the likeliest next tokens a drafter is told of each token that was read.
_FOLLOWERS = 8


@dataclass(frozen=True)
class Pass:
    """A pass over the weights after the prompt's.

    Parameters
    ----------
    proposed : int
        Tokens that the draft had.
    accepted : int
        How many of them, each following the one before, plain decoding would have written.
    """

    proposed: int
    accepted: int


class Writer:
    """Writes texts with a model: the tokens of plain decoding, greedy or by chance.

    Each pass reads the last token and a draft of what may follow it. A token is chosen by the
    logits after the last one, as in plain decoding and with the same chance. If the draft has it
    there, the logits after it are known as well, and the next token is chosen by them. So whatever
    the drafts are, the tokens are those of plain decoding with the same seed, and a temperature's
    distribution is that of the model. For drafts that are certain of each token, this is the
    rejection sampling of speculative decoding (Leviathan et al., arXiv 2211.17192), of trees as in
    SpecInfer (arXiv 2305.09781).

    Parameters
    ----------
    model : nn.Module
        A Hugging Face causal language model.
    lanes : Lanes, optional
        Where its layers meet, as :func:`~summand.runtime.load.load_model` gives them.
    sampling : Sampling, optional
        How tokens are chosen; without it the likeliest ones are.
    speculation : Speculation, optional
        Proposes tokens; without it each pass writes one.
    head : GreedyHead, optional
        The model's, as :func:`~summand.runtime.load.load_model` gives it: where the likeliest
        tokens are chosen, no more of the logits is fetched.

    Raises
    ------
    SummandError
        If the model keeps no cache.
    """

    def __init__(
        self,
        model: nn.Module,
        lanes: Lanes | None = None,
        *,
        sampling: Sampling | None = None,
        speculation: Speculation | None = None,
        head: GreedyHead | None = None,
    ):
        self._reader = Reader(model, lanes or Lanes())
        sampling = sampling or Sampling()
        self._sampler = Sampler(sampling)
        self._speculation = speculation
        self._head = None if sampling.temperature else head
        #: The passes after the prompts', in order.
        self.passes: list[Pass] = []
        #: Tokens that these chose, those that ended a text included.
        self.chosen = 0

    @property
    def why_plain(self) -> str | None:
        """Why the model cannot read several tokens in a pass; None if it can."""
        return self._reader.why_plain

    @torch.no_grad()
    def write(
        self, prompt: Sequence[int], *, tokens: int, stop: Collection[int] = ()
    ) -> Iterator[int]:
        """Yield up to ``tokens`` tokens that follow ``prompt``, each as soon as it is known.

        The prompt goes through the model in one call.

        Parameters
        ----------
        prompt : sequence of int
            Token numbers, at least one.
        tokens : int
            The most to yield.
        stop : collection of int
            Tokens that end the text; they are not yielded.
        """
        if tokens < 1:
            return
        logits = self._reader.prompt(prompt)
        last = self._sampler.choose(logits)
        if last in stop:
            return
        if self._speculation:
            self._speculation.begin([*prompt, last])
        yield last
        with self._head.likeliest_only(logits) if self._head else contextlib.nullcontext():
            yield from self._go_on(last, tokens - 1, stop)

    def _go_on(self, last: int, left: int, stop: Collection[int]) -> Iterator[int]:
        """Yield up to ``left`` tokens that follow ``last``."""
        while left:
            draft = self._propose(left - 1)
            rows = self._reader.tree(last, draft)
            written, path = self._accepted(rows, draft, left, stop)
            self._reader.keep(path)
            self.passes.append(Pass(len(draft), len(path)))
            self.chosen += len(written)
            if self._speculation:
                self._speculation.learn(written, _seen((last, *draft.tokens), rows), draft, path)
            for token in written:
                if token in stop:
                    return
                yield token
            left -= len(written)
            last = written[-1]

    def _accepted(
        self,
        rows: Sequence[Ended[torch.Tensor]],
        draft: Draft,
        most: int,
        stop: Collection[int],
    ) -> tuple[list[int], list[int]]:
        """Return the tokens that a pass writes, ``most`` at most, and the draft's nodes in them."""
        written: list[int] = []
        path: list[int] = []
        node: int | None = -1
        while node is not None:
            token = self._sampler.choose(rows[node + 1].get())
            written.append(token)
            if token in stop or len(written) == most:
                break
            node = draft.child(node, token)
            if node is not None:
                path.append(node)
        return written, path

    def _propose(self, most: int) -> Draft:
        """Return a draft for the next pass, of which at most ``most`` tokens will be written."""
        if self._speculation is None or self.why_plain is not None or not most:
            return Draft()
        return self._speculation.propose()


def _seen(tokens: Sequence[int], rows: Sequence[Ended[torch.Tensor]]) -> list[Seen]:
    """Return the tokens that were read, up to the first that the model could not read."""
    seen = []
    for token, row in zip(tokens, rows, strict=True):
        if row.value is None:
            break
        seen.append(Seen(token, _likeliest(row.value)))
    return seen


def _likeliest(logits: torch.Tensor) -> tuple[int, ...]:
    return tuple(logits.topk(min(_FOLLOWERS, len(logits))).indices.tolist())
