"""What a layer costs: the bits that are streamed for its weights."""

from dataclasses import dataclass

from summand.isa import EngineConfig

__all__ = ["Streamed", "streamed"]

#: Bits of one column's requantisation: a multiplier, a shift and a zero byte.
_REQUANTISATION = 32


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """Bits by what they are for. A batch of tokens streams them once.

    Of a layer on its own, from its sizes and without a plan: what an allocation weighs. Activations
    are not among them, nor what depends on how a batch is cut up for an engine's memories: headers
    of commands, and scales sent again where a walk is cut within a group.
    :mod:`summand.runtime.traffic` counts what a plan sends, that included, in bytes. Where the
    memories hold everything, planes and factors are the same in both; of scales and parameters
    layers that share an input send less together where they fill up each other's beats.
    """

    planes: int = 0
    scales: int = 0
    factors: int = 0
    requantisations: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.planes + self.scales + self.factors + self.requantisations


def streamed(
    in_features: int,
    out_features: int,
    *,
    bits: int = 0,
    group: int = 0,
    scale_bits: int = 0,
    rank: int = 0,
    a_bits: int = 0,
    b_bits: int = 0,
    config: EngineConfig | None = None,
) -> Streamed:
    """Return what a layer streams.

    Parameters
    ----------
    bits : int
        Of the dense summand; 0 without.
    group, scale_bits : int
        Input features that share scales, and bits of a scale; 0 without.
    rank, a_bits, b_bits : int
        Of the low-rank summand; 0 without.
    config : EngineConfig, optional
        An engine, whose slices and tiles are filled up with zeros. A rank below its ``depth`` then
        costs what ``depth`` costs in the second factor. Without it nothing is filled up.
    """
    depth = config.depth if config else 1
    cols = config.cols if config else 1

    def matrix(k: int, n: int) -> int:
        return -(-k // depth) * depth * (-(-n // cols) * cols)

    scales = 0
    if bits and group:
        one = out_features * scale_bits
        if config and config.scale_bits:
            tiles = -(-out_features // cols)
            one = -(-tiles // config.scale_tiles) * config.stream_bits
        scales = -(-in_features // group) * one
    requantisations = 0
    if rank:
        requantisations = -(-rank // cols) * cols * _REQUANTISATION
        if config:
            requantisations = -(-requantisations // config.stream_bits) * config.stream_bits
    return Streamed(
        planes=matrix(in_features, out_features) * bits,
        scales=scales,
        factors=matrix(in_features, rank) * a_bits + matrix(rank, out_features) * b_bits
        if rank
        else 0,
        requantisations=requantisations,
    )
