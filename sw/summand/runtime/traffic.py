"""What a batch of tokens streams into an engine: every byte of a plan, by what it is for.

What :func:`summand.model.streamed.streamed` counts from the sizes of one layer, counted for layers
that share an input and for an engine's memories, and with headers and activations.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace

from summand.isa import EngineConfig
from summand.isa.header import HEADER_BYTES
from summand.isa.segments import SEGMENT_BYTES
from summand.isa.walks import scale_beats
from summand.model import LayerEntry, Manifest
from summand.runtime.choice import alone
from summand.runtime.device import DEFAULT_CONFIG
from summand.runtime.errors import CompileError
from summand.runtime.plan import Input, PlanStep, Walk
from summand.runtime.tiling import Bundle, Sizes

__all__ = [
    "Traffic",
    "engine_of",
    "fitting_engine",
    "group_traffic",
    "model_traffic",
    "sizes_of",
]

#: The shortest slices that an engine may have.
_LEAST_DEPTH = 8


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Bytes of an input stream; what fills up beats, slices and tiles is counted where it is.

    Parameters
    ----------
    planes : int
        Of the dense summands' bit-planes.
    scales : int
        Of their groups' scales.
    factors : int
        Of the low-rank summands' bit-planes.
    requantisations : int
        Of the parameters between the factors.
    headers : int
        Of all commands, with the segment tables of GEMMs.
    activations : int
        Of the tokens.
    """

    planes: int = 0
    scales: int = 0
    factors: int = 0
    requantisations: int = 0
    headers: int = 0
    activations: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in _FIELDS})

    @property
    def total(self) -> int:
        """All bytes."""
        return sum(getattr(self, f.name) for f in _FIELDS)

    @property
    def weights(self) -> int:
        """All bytes but the activations: what a compressed model costs."""
        return self.total - self.activations


_FIELDS = fields(Traffic)


def engine_of(manifest: Manifest, base: EngineConfig = DEFAULT_CONFIG) -> EngineConfig:
    """Return ``base`` with the widths that a model needs, and slices that its groups are made of.

    Raises
    ------
    CompileError
        If no engine has slices as short as the groups.
    """
    layers = manifest.layers
    return fitting_engine(
        groups=[e.group for e in layers],
        scale_bits=max(e.scale_bits for e in layers),
        act_bits=layers[0].act_bits,
        acc_bits=max(e.acc_bits for e in layers),
        shift=max(e.acc_shift for e in layers),
        base=base,
    )


def fitting_engine(
    *,
    groups: Collection[int],
    scale_bits: int,
    act_bits: int,
    acc_bits: int,
    shift: int,
    base: EngineConfig = DEFAULT_CONFIG,
) -> EngineConfig:
    """Return ``base`` with these widths at least, and slices that the groups are made of.

    Plane words and memories are as large as before, where slices are not too short for that.

    Raises
    ------
    CompileError
        If no engine has slices as short as the groups.
    """
    depth = math.gcd(base.depth, *groups)
    if depth < _LEAST_DEPTH:
        odd = next(g for g in groups if g % _LEAST_DEPTH)
        raise CompileError(
            f"group {odd} fits no engine: slices have {_LEAST_DEPTH} input features at least, and "
            f"a group is a number of slices; compress with a multiple of {_LEAST_DEPTH} as group"
        )
    scale_bits = scale_bits or base.scale_bits
    stream_bits = min(base.stream_bits, depth * (8 if act_bits <= 8 else 16))
    cols = base.cols * base.depth // depth
    while cols * scale_bits > stream_bits:
        cols //= 2
    return replace(
        base,
        act_bits=act_bits,
        acc_bits=max(base.acc_bits, acc_bits),
        shift=shift or base.shift,
        scale_bits=scale_bits,
        stream_bits=stream_bits,
        cols=cols,
        depth=depth,
        acc_depth=base.acc_depth * base.cols // cols,
        act_depth=base.act_depth * base.depth // depth,
    )


def model_traffic(manifest: Manifest, config: EngineConfig, *, rows: int = 1) -> Traffic:
    """Return what a batch of ``rows`` tokens streams for all layers of a model."""
    entries = {e.name: e for e in manifest.layers}
    total = Traffic()
    for group in manifest.groups:
        sizes = tuple(sizes_of(entries[name]) for name in group)
        total += group_traffic(sizes, config, rows=rows)
    return total


def sizes_of(entry: LayerEntry) -> Sizes:
    """Return all that commands depend on."""
    return Sizes(
        in_features=entry.in_features,
        out_features=entry.out_features,
        bits=entry.dense_bits,
        group=entry.group,
        rank=entry.rank,
        a_bits=entry.a_bits,
        b_bits=entry.b_bits,
        shifts=bool(entry.dense_bits and entry.rank and entry.acc_shift),
    )


def group_traffic(layers: Sequence[Sizes], config: EngineConfig, *, rows: int = 1) -> Traffic:
    """Return what a batch of ``rows`` tokens streams for layers that share an input."""
    steps = alone(tuple(layers), config, 1 if rows == 1 else config.rows)
    return _sum(_step(step, config, rows) for step in steps)


def _sum(parts: Iterable[Traffic]) -> Traffic:
    return sum(parts, Traffic())


def _step(step: PlanStep, config: EngineConfig, rows: int) -> Traffic:
    header = _padded(HEADER_BYTES, config)
    match step:
        case Input():
            words = rows * step.slices * config.slice_words
            return Traffic(headers=header, activations=words * config.beat_bytes)
        case Walk():
            return _walk(step, config) + Traffic(headers=header)
        case Bundle():
            parameters = _padded(4 * step.tiles * config.cols, config)
            return Traffic(headers=header, requantisations=parameters)
        case _:
            return Traffic(headers=header)


def _walk(walk: Walk, config: EngineConfig) -> Traffic:
    table = _padded(SEGMENT_BYTES * len(walk.segments), config)
    groups = -(-walk.slices // walk.group) if walk.group else 1
    scales = groups * scale_beats(walk.segments, config) * config.beat_bytes
    word = config.plane_beats * config.beat_bytes
    planes = {True: 0, False: 0}
    for strip in walk.strips:
        planes[strip.matrix.kind == "dense"] += walk.slices * strip.tiles * strip.planes * word
    return Traffic(planes=planes[True], factors=planes[False], scales=scales, headers=table)


def _padded(count: int, config: EngineConfig) -> int:
    return -(-count // config.beat_bytes) * config.beat_bytes
