"""The drafter that grows one tree out of all suggestions, the likeliest node first."""

import heapq
from collections.abc import Sequence

from summand.draft.drafter import Seen
from summand.draft.evidence import (
    CONTEXT,
    Context,
    HitRates,
    Read,
    Source,
    Suggestion,
    likely,
)
from summand.draft.tree import Draft

__all__ = ["LikeliestFirst"]


class LikeliestFirst:
    """Grows a tree by the node whose path has the highest estimated probability, again and again.

    A path's probability is the product of its tokens'; these come from the sources' suggestions
    and from how often such suggestions were right, which is measured as texts are written. So the
    expected number of accepted nodes is the highest that the estimates allow: deep where the text
    repeats itself, broad where it is new.

    State: that of the sources, the rates, the last draft, and the text's last 8 tokens.

    Parameters
    ----------
    sources : sequence of Source
        Where suggestions come from.
    """

    def __init__(self, sources: Sequence[Source]):
        self._sources = tuple(sources)
        self._rates = HitRates()
        self._tail: Context = ()
        self._draft = Draft()

    def begin(self, prompt: Sequence[int]) -> None:
        """Start a new text; what earlier texts taught stays."""
        self._tail = tuple(prompt[-CONTEXT:])
        self._draft = Draft()
        for source in self._sources:
            source.begin(prompt)

    def propose(self, most: int) -> Draft:
        """Return the tree of at most ``most`` nodes, in the order in which it grew."""
        tokens: list[int] = []
        parents: list[int] = []
        # Nodes that may come next, by falling probability; of equals the first.
        edge: list[tuple[float, int, int, int, Context]] = []
        order = 0

        def offer(parent: int, path: float, context: Context) -> None:
            nonlocal order
            suggestions = self._suggestions(context, drafted=parent >= 0)
            for share, token in likely(suggestions, self._rates)[: most - len(tokens)]:
                order += 1
                heapq.heappush(edge, (-path * share, order, parent, token, context))

        offer(-1, 1.0, self._tail)
        while edge and len(tokens) < most:
            lost, _, parent, token, context = heapq.heappop(edge)
            tokens.append(token)
            parents.append(parent)
            offer(len(tokens) - 1, -lost, (*context, token)[-CONTEXT:])
        self._draft = Draft(tuple(tokens), tuple(parents))
        return self._draft

    def learn(self, written: Sequence[int], seen: Sequence[Seen]) -> None:
        """Take what a pass brought.

        Raises
        ------
        ValueError
            If the rows are not those of the last draft or, before any draft, the prompt's last.
        """
        rows = self._reads(written, seen)
        for place, token in enumerate(written):
            self._rates.record(self._suggestions(self._tail, drafted=place > 0), token)
            self._tail = (*self._tail, token)[-CONTEXT:]
            for source in self._sources:
                source.write(token)
        for source in self._sources:
            source.read(rows)
        self._draft = Draft()

    def _suggestions(self, context: Context, *, drafted: bool) -> list[Suggestion]:
        return [
            suggestion
            for source in self._sources
            for suggestion in source.suggest(context, drafted=drafted)
        ]

    def _reads(self, written: Sequence[int], seen: Sequence[Seen]) -> list[Read]:
        """Return the rows of a pass with their contexts."""
        if not self._draft:
            return self._reads_of_text(seen)
        draft = self._draft.first(max(len(seen) - 1, 0))
        if [row.token for row in seen] != [*self._tail[-1:], *draft.tokens]:
            raise ValueError("rows must be the text's last token and the first nodes of the draft")
        rejected_at = _rejected_at(draft, written)
        contexts = [self._tail]
        rows = [Read(self._tail, seen[0].followers, False)]
        for (token, followers), parent in zip(seen[1:], draft.parents, strict=True):
            context = (*contexts[parent + 1], token)[-CONTEXT:]
            contexts.append(context)
            rows.append(Read(context, followers, parent == rejected_at))
        return rows

    def _reads_of_text(self, seen: Sequence[Seen]) -> list[Read]:
        run = tuple(row.token for row in seen)
        common = min(len(run), len(self._tail))
        if run[len(run) - common :] != self._tail[len(self._tail) - common :]:
            raise ValueError("rows must be the last tokens of the text where nothing was drafted")
        before = self._tail[: len(self._tail) - common]
        whole = before + run
        return [
            Read(whole[: len(before) + place][-CONTEXT:], row.followers, False)
            for place, row in enumerate(seen, 1)
        ]


def _rejected_at(draft: Draft, written: Sequence[int]) -> int | None:
    """Return the node (-1: the text) all of whose children the last written token belied."""
    node = -1
    for place, token in enumerate(written):
        child = draft.child(node, token)
        if child is None:
            return node if place == len(written) - 1 else None
        node = child
    return None
