"""The steps of a batch in order."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from summand.isa import EngineConfig
from summand.isa.borders import Border, stretches
from summand.isa.results import limbs_for
from summand.schedule.steps import Fetch, Input, Matrix, PlanStep, Strip, Walk
from summand.schedule.terms import Factored, Sizes
from summand.schedule.tiling import Bundle, Piece, Run, Tiling

__all__ = ["plan"]


def plan(
    layers: Sequence[Sizes],
    tiling: Tiling,
    passes: Sequence[Sequence[Run]],
    config: EngineConfig,
    *,
    deferred: int = 0,
) -> tuple[PlanStep, ...]:
    """Return a batch's steps.

    Per pass over output tiles and per round over ranks: walk over the input, requantise, walk
    over the intermediates; then fetch the pass. The first direct terms of all layers share a walk
    with the first factors; those behind them, if there are any, have walks of their own, because
    a walk has each accumulator once. Such walks take turns from border to border of the input:
    what all of them have added is shifted by the first one's next. Slices in which a direct term's
    weights are all 0 are not walked for it; a walk that it shares is cut there.

    Parameters
    ----------
    deferred : int
        How many of a walk's last slices the first factors walk before the direct terms, so that
        requantisation goes on behind these.
    """
    steps: list[PlanStep] = []
    borders = tuple(Border(first // config.depth, by) for first, by in layers[0].borders)
    if tiling.resident:
        steps.append(Input(0, tiling.slices))
    for p, runs in enumerate(passes):
        here = {run.layer for run in runs}
        started: set[tuple[int, int]] = set()  # factored terms that have begun to add
        for r, bundles in enumerate(tiling.rounds):
            fresh = bundles
            if len(tiling.rounds) == 1:  # made once, in the first pass, for all of them
                fresh = bundles if p == 0 else ()
            else:
                fresh = tuple(b for b in bundles if any(q.layer in here for q in b.pieces))
            first, *more = _direct(layers, runs if r == 0 else (), config)
            factors = _first_factors(layers, fresh)
            whole = Walk(0, 0, tiling.slices, (*first, *factors), borders)
            others = [Walk(0, 0, tiling.slices, strips) for strips in more]
            for part in stretches(tiling.slices, borders if others else ()):
                steps += _walk_input(
                    tiling, whole.between(part.start, part.stop), fresh, deferred=deferred
                )
                for other in others:
                    steps += _walk_input(
                        tiling, other.between(part.start, part.stop), (), deferred=0
                    )
            steps += _walk_intermediates(layers, runs, bundles, started, config)
        bits = max(layers[layer].acc_bits for layer in here)
        steps.append(Fetch(tuple(runs), limbs_for(bits, config)))
    return tuple(steps)


def _direct(
    layers: Sequence[Sizes], runs: Sequence[Run], config: EngineConfig
) -> list[tuple[Strip, ...]]:
    """Return the strips of the layers' first direct terms, of their second ones, and so on."""
    most = max(1, *(len(layers[r.layer].direct) for r in runs)) if runs else 1
    walks: list[list[Strip]] = [[] for _ in range(most)]
    grains = [1] * most  # a walk that is cut within a group sends the group's scales again
    for layer in {r.layer for r in runs}:
        for t, term in layers[layer].direct:
            grains[t] = math.lcm(grains[t], max(1, term.group // config.depth))
    for r in runs:
        for strips, (t, term) in zip(walks, layers[r.layer].direct, strict=False):
            pattern = term.pattern(config)
            strips.append(
                Strip(
                    Matrix(r.layer, t, "direct"),
                    r.first,
                    r.tile,
                    r.tiles,
                    term.planes,
                    clear=t == 0,
                    shift=term.shift > 0,
                    group=term.group // config.depth,
                    half_step=term.half_step,
                    kept=pattern.kept if pattern else 0,
                    absent=layers[r.layer].absent(t, config.depth, grains[t]),
                )
            )
    return list(map(tuple, walks))


def _first_factors(layers: Sequence[Sizes], bundles: Sequence[Bundle]) -> tuple[Strip, ...]:
    return tuple(
        Strip(
            Matrix(piece.layer, piece.term, "first factor", (piece,)),
            0,
            piece.tile,
            piece.tiles,
            _factored(layers, piece).first,
            clear=True,
        )
        for bundle in bundles
        for piece in bundle.pieces
    )


def _factored(layers: Sequence[Sizes], piece: Piece) -> Factored:
    term = layers[piece.layer].terms[piece.term]
    assert isinstance(term, Factored)
    return term


def _walk_input(
    tiling: Tiling, whole: Walk, fresh: Sequence[Bundle], *, deferred: int
) -> Iterator[PlanStep]:
    """Yield a walk over the input, and at the input's end the requantisation of what it makes."""
    if not whole.strips:
        return
    for first in range(0, whole.slices, tiling.chunk):
        count = min(tiling.chunk, whole.slices - first)
        walk = whole.between(first, first + count)
        if not tiling.resident and any(walk.lots()):
            yield Input(walk.first, count)
            walk = replace(walk, from_slice=0)
        final = walk.first + count == tiling.slices
        together = max(0, count - deferred) if final and fresh else count
        if together:
            yield from walk.between(0, together).lots()
        if together < count:
            yield from walk.between(together, count).only("first factor").lots()
        if final:
            yield from fresh
        if together < count:
            yield from walk.between(together, count).only("direct").lots()


def _walk_intermediates(
    layers: Sequence[Sizes],
    runs: Sequence[Run],
    bundles: Sequence[Bundle],
    started: set[tuple[int, int]],
    config: EngineConfig,
) -> Iterator[Walk]:
    """Yield walks over the second factors; layers whose intermediates share slices share one.

    A layer's second factored term has a walk behind that of its first, because it adds to the same
    accumulators.
    """
    walks: dict[tuple[int, int, int], list[Strip]] = {}
    for run in runs:
        for nth, (t, term) in enumerate(layers[run.layer].factored):
            of = (run.layer, t)
            mine = tuple(p for b in bundles for p in b.pieces if (p.layer, p.term) == of)
            if not mine:
                continue
            low, high = mine[0].slices(config)[0], mine[-1].slices(config)[1]
            fresh = of not in started
            strip = Strip(
                Matrix(*of, "second factor", mine),
                run.first,
                run.tile,
                run.tiles,
                term.second,
                clear=fresh and t == 0,
                shift=fresh and term.shift > 0,
            )
            walks.setdefault((nth, low, high), []).append(strip)
            started.add(of)
    for (_, low, high), strips in sorted(walks.items(), key=lambda item: item[0][0]):
        yield from Walk(low, 0, high - low, tuple(strips)).lots()
