"""Counts the bits that a batch of tokens streams into an engine, by purpose."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from summand.isa import EngineConfig
from summand.isa.header import HEADER_BYTES
from summand.isa.rounding import ceil_div
from summand.isa.segments import SEGMENT_BYTES
from summand.isa.walks import scale_beats
from summand.schedule.choice import alone
from summand.schedule.steps import Input, PlanStep, Walk
from summand.schedule.terms import Direct, Factored, Sizes, Term
from summand.schedule.tiling import Bundle

__all__ = ["Traffic", "group_traffic", "layer_traffic"]

#: Bits of one column's requantisation: a multiplier, a shift and a zero byte.
_REQUANTISATION = 32


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Bits of an input stream; what fills up beats, slices and tiles is counted where it is.

    Parameters
    ----------
    planes : int
        Of the direct terms' bit-planes, with the indices of sparse ones.
    scales : int
        Of their groups' scales.
    factors : int
        Of the factored terms' bit-planes.
    requantisations : int
        Of the parameters between the factors.
    headers : int
        Of all commands, with the segment tables of GEMMs and their borders.
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
        """All bits."""
        return sum(getattr(self, f.name) for f in _FIELDS)

    @property
    def weights(self) -> int:
        """All bits but the activations: what a compressed model costs."""
        return self.total - self.activations

    @property
    def integers(self) -> int:
        """Bits of weights and of their scales."""
        return self.planes + self.scales + self.factors

    def in_bytes(self) -> dict[str, int]:
        """Return the bytes of each part; a plan's are whole ones."""
        return {f.name: getattr(self, f.name) // 8 for f in _FIELDS}


_FIELDS = fields(Traffic)


def layer_traffic(layer: Sizes, config: EngineConfig | None = None) -> Traffic:
    """Return what one layer streams for its weights, without a plan: what an allocation weighs.

    Activations are not counted, nor what depends on how a batch is cut up for an engine's memories:
    headers of commands, and scales sent again where a walk is cut within a group. Where the
    memories hold everything, planes and factors are those of :func:`group_traffic`; of scales and
    parameters layers that share an input send less together where they fill up each other's beats.
    Input features whose weights are all 0 cost nothing, with an engine the whole slices that a plan
    may leave out for them; it sends those whose beats take less than one more command.

    Parameters
    ----------
    layer : Sizes
        The layer's.
    config : EngineConfig, optional
        An engine, whose slices and tiles are filled up with zeros. A rank below its ``depth`` then
        costs what ``depth`` costs in the second factor. Without it nothing is filled up.
    """
    return _sum(_term(i, term, layer, config) for i, term in enumerate(layer.terms))


def _term(index: int, term: Term, layer: Sizes, config: EngineConfig | None) -> Traffic:
    k, n = layer.in_features, layer.out_features
    match term:
        case Direct():
            features, groups = _walked(index, term, layer, config)
            scales = groups * _scale_bits(n, term.scale_bits, config)
            return Traffic(planes=_planes(term, features, n, config), scales=scales)
        case Factored():
            rank = term.rank
            first = _matrix(k, rank, config) * term.first
            second = _matrix(rank, n, config) * term.second
            parameters = rank * _REQUANTISATION
            if config:
                parameters = _parameters(-(-rank // config.cols), config)
            return Traffic(factors=first + second, requantisations=parameters)


def _walked(index: int, term: Direct, layer: Sizes, config: EngineConfig | None) -> tuple[int, int]:
    """Return the input features and the groups of a term that are walked, empty ones left out."""
    k = layer.in_features
    groups = ceil_div(k, term.group) if term.group else 0
    if config is None:
        absent = term.empty_units(term.group, k) if groups else ()
        groups -= sum(b - a for a, b in absent)
        return k - sum(b - a for a, b in term.empty_units(1, k)), groups
    grain = max(1, term.group // config.depth)
    runs = layer.absent(index, config.depth, grain)
    slices = ceil_div(k, config.depth) - sum(b - a for a, b in runs)
    if groups:
        groups -= sum(ceil_div(b - a, grain) for a, b in runs)
    return slices * config.depth, groups


def _planes(term: Direct, k: int, n: int, config: EngineConfig | None) -> int:
    """Return the bits of a matrix's planes, and of its index where it is sparse."""
    if config and (pattern := term.pattern(config)):
        tiles = ceil_div(n, config.cols)
        beats = ceil_div(tiles * pattern.tile_chunks(term.planes), config.beat_chunks)
        return ceil_div(k, config.depth) * beats * config.stream_bits
    if pattern := term.pattern():
        return ceil_div(_matrix(k, n, config), pattern.block) * pattern.tile_chunks(term.planes)
    return _matrix(k, n, config) * term.planes


def _matrix(k: int, n: int, config: EngineConfig | None) -> int:
    """Return the weights of a matrix, filled up to whole slices and tiles."""
    if config is None:
        return k * n
    return -(-k // config.depth) * config.depth * (-(-n // config.cols) * config.cols)


def _scale_bits(n: int, bits: int, config: EngineConfig | None) -> int:
    """Return the bits of one group's scales, of ``bits`` each."""
    if config is None or not config.scale_bits:
        return n * bits
    tiles = -(-n // config.cols)
    return -(-tiles // config.scale_tiles) * config.stream_bits


def _parameters(tiles: int, config: EngineConfig) -> int:
    return _padded(tiles * config.cols * _REQUANTISATION, config)


def group_traffic(layers: Sequence[Sizes], config: EngineConfig, *, rows: int = 1) -> Traffic:
    """Return what a batch of ``rows`` tokens streams for layers that share an input."""
    steps = alone(tuple(layers), config, 1 if rows == 1 else config.rows)
    return _sum(_step(step, config, rows) for step in steps)


def _sum(parts: Iterable[Traffic]) -> Traffic:
    return sum(parts, Traffic())


def _step(step: PlanStep, config: EngineConfig, rows: int) -> Traffic:
    header = _padded(8 * HEADER_BYTES, config)
    match step:
        case Input():
            words = rows * step.slices * config.slice_words
            return Traffic(headers=header, activations=words * config.stream_bits)
        case Walk():
            return _walk(step, config) + Traffic(headers=header)
        case Bundle():
            return Traffic(headers=header, requantisations=_parameters(step.tiles, config))
        case _:
            return Traffic(headers=header)


def _walk(walk: Walk, config: EngineConfig) -> Traffic:
    entries = len(walk.segments) + len(walk.borders)
    table = _padded(8 * SEGMENT_BYTES * entries, config)
    groups = -(-walk.slices // walk.group) if walk.group else 1
    scales = groups * scale_beats(walk.segments, config) * config.stream_bits
    planes = {True: 0, False: 0}
    for strip in walk.strips:
        bits = walk.slices * strip.segment.beats(config) * config.stream_bits
        planes[strip.matrix.role == "direct"] += bits
    return Traffic(planes=planes[True], factors=planes[False], scales=scales, headers=table)


def _padded(bits: int, config: EngineConfig) -> int:
    return -(-bits // config.stream_bits) * config.stream_bits
