"""Fits layers to an engine, and an engine to layers."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from summand.isa import EngineConfig
from summand.isa.limits import BORDERS
from summand.schedule.errors import CompileError
from summand.schedule.terms import Direct, Sizes

__all__ = ["DEFAULT_CONFIG", "LEAST_DEPTH", "Needs", "fitting_engine", "misfits"]

#: The engine that is used where none is named: SmolLM2's 576 input features are nine slices, its
#: 1536 twenty-four, and the shift gives low-rank summands their precision.
DEFAULT_CONFIG = EngineConfig(
    rows=1, cols=4, depth=64, stream_bits=256, act_depth=64, acc_depth=1024, shift=4
)

#: The shortest slices that an engine may have.
LEAST_DEPTH = 8


@dataclass(frozen=True, kw_only=True)
class Needs:
    """A layer's demands on an engine.

    Parameters
    ----------
    sizes : Sizes
        The layer's.
    act_bits : int
        Bits of an activation.
    acc_bits : int
        Bits of an accumulator that no activations can overflow.
    """

    sizes: Sizes
    act_bits: int
    acc_bits: int


def misfits(needs: Needs, config: EngineConfig) -> Iterator[str]:
    """Yield why ``config``'s engine cannot compute a layer, a reason and a remedy each.

    What no memory holds at once is cut up, so that sizes alone are seldom a reason.
    """
    if needs.act_bits != config.act_bits:
        yield (
            f"compressed for activations of {needs.act_bits} bits, but the engine's act_bits is "
            f"{config.act_bits}; compress it again for this engine, or use an engine with "
            f"act_bits {needs.act_bits}"
        )
    for shift in sorted(needs.sizes.shifts - {config.shift}):
        yield (
            f"compressed with acc_shift {shift}, but the engine's shift is "
            f"{config.shift}; compress it again for this engine, or use an engine with "
            f"shift {shift}"
        )
    if needs.acc_bits > config.acc_bits:
        yield (
            f"its accumulators can need {needs.acc_bits} bits, but the engine's acc_bits is "
            f"{config.acc_bits}; use an engine with more, or compress the layer to fewer bits"
        )
    for _, term in needs.sizes.direct:
        yield from _group_misfits(term, config)
    if _half_steps(needs) and not config.half_steps:
        yield (
            "its weights are half-step, but the engine has no half_steps; use an engine with "
            "them, or compress the layer without"
        )
    yield from _border_misfits(needs.sizes, config)
    for _, term in needs.sizes.direct:
        if term.block and term.pattern(config) is None:
            yield (
                f"of every {term.block} weights {term.kept} are kept, but the engine's "
                f"sparse_block is {config.sparse_block}; use an engine whose sparse_block is "
                f"{term.block} or a multiple, or compress the layer without a pattern"
            )
    least = -(-config.cols // config.depth)  # slices that one tile's intermediate takes
    if needs.sizes.factored and least >= config.act_depth:
        yield (
            f"its low-rank summand needs act_depth of at least {least + 1}, one slice of input "
            f"and {least} for {config.cols} intermediates, not {config.act_depth}; raise "
            f"act_depth or depth, or lower cols"
        )


def _half_steps(needs: Needs) -> bool:
    return any(term.half_step for _, term in needs.sizes.direct)


def _group_misfits(term: Direct, config: EngineConfig) -> Iterator[str]:
    if term.scale_bits > config.scale_bits:
        yield (
            f"its group scales have {term.scale_bits} bits, but the engine's scale_bits is "
            f"{config.scale_bits}; use an engine with more, or compress it without groups"
        )
    if term.group % config.depth:
        yield (
            f"its groups have {term.group} input features, which is no multiple of the engine's "
            f"depth, {config.depth}; use an engine with a depth that divides it, or other groups"
        )


def _border_misfits(sizes: Sizes, config: EngineConfig) -> Iterator[str]:
    borders = sizes.borders
    amount = max((shift for _, shift in borders), default=0)
    if amount > config.border_shift:
        yield (
            f"its channel groups' scales are up to 2^{amount} apart, but the engine's border_shift "
            f"is {config.border_shift}; use an engine with border_shift {amount}, or compress it "
            f"with groups nearer to each other, or without"
        )
    for first in [first for first, _ in borders if first % config.depth][:1]:
        yield (
            f"a channel group begins with input feature {first}, which is no multiple of the "
            f"engine's depth, {config.depth}; use an engine with a depth that divides it, or other "
            f"groups"
        )
    if len(borders) > BORDERS.high:
        yield (
            f"it has {len(borders)} borders between channel groups, but a walk at most "
            f"{BORDERS.high}; compress it with fewer groups"
        )
    if borders and any(term.shift for _, term in sizes.direct[1:]):
        yield (
            "its sums are shifted between two direct terms, but with channel groups such terms add "
            "in turns; compress it without a shift between them, or without channel groups"
        )


def fitting_engine(layers: Iterable[Needs], base: EngineConfig = DEFAULT_CONFIG) -> EngineConfig:
    """Return ``base`` with the widths that layers need, and slices that their groups are made of.

    Where layers are sparse, blocks are as long as the longest of theirs, or as a plane word's beats
    ask for.

    Plane words and memories are as large as before, where slices are not too short for that.

    Raises
    ------
    CompileError
        If no engine has slices as short as the groups, of weights or of channels.
    """
    layers = list(layers)
    direct = [term for layer in layers for _, term in layer.sizes.direct]
    groups = [term.group for term in direct]
    borders = [border for layer in layers for border in layer.sizes.borders]
    depth = math.gcd(base.depth, *groups, *(first for first, _ in borders))
    if depth < LEAST_DEPTH:
        for odd in (g for g in groups if g % LEAST_DEPTH):
            raise CompileError(
                f"group {odd} fits no engine: slices have {LEAST_DEPTH} input features at least, "
                f"and a group is a number of slices; compress with a multiple of {LEAST_DEPTH} as "
                f"group"
            )
        odd = next(first for first, _ in borders if first % LEAST_DEPTH)
        raise CompileError(
            f"a channel group that begins with input feature {odd} fits no engine: slices have "
            f"{LEAST_DEPTH} input features at least, and a channel group is a number of slices; "
            f"compress with groups of a multiple of {LEAST_DEPTH}"
        )
    act_bits = max(layer.act_bits for layer in layers)
    shifts = frozenset[int]().union(*(layer.sizes.shifts for layer in layers))
    scale_bits = max((term.scale_bits for term in direct), default=0) or base.scale_bits
    stream_bits = min(base.stream_bits, depth * (8 if act_bits <= 8 else 16))
    cols = base.cols * base.depth // depth
    while cols * scale_bits > stream_bits:
        cols //= 2
    sparse_block = base.sparse_block
    if blocks := [term.block for term in direct if term.block]:
        sparse_block = max(sparse_block, cols * depth // stream_bits, *blocks)
    if sparse_block > depth:
        raise CompileError(
            f"blocks of {sparse_block} weights fit no engine with groups of {depth} input "
            f"features; compress with longer groups, or with a pattern of shorter blocks"
        )
    return replace(
        base,
        act_bits=act_bits,
        acc_bits=max(base.acc_bits, *(layer.acc_bits for layer in layers)),
        shift=max(shifts, default=base.shift),
        scale_bits=scale_bits,
        half_steps=base.half_steps or any(map(_half_steps, layers)),
        border_shift=max((shift for _, shift in borders), default=base.border_shift),
        sparse_block=sparse_block,
        stream_bits=stream_bits,
        cols=cols,
        depth=depth,
        acc_depth=base.acc_depth * base.cols // cols,
        act_depth=base.act_depth * base.depth // depth,
    )
