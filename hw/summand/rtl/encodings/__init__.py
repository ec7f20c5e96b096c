"""Reads words of weights from the stream, as their segment describes them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth import *
from amaranth.lib import data

from summand.isa import EngineConfig
from summand.isa.limits import PLANES
from summand.rtl.compare import exceeds
from summand.rtl.encodings.sparse import SparseReader
from summand.rtl.gearbox import BeatGatherer

__all__ = ["Descriptor", "EncodingParts", "parts"]


class Descriptor(data.StructLayout):
    """The eight bytes of a segment in the stream; see :class:`summand.isa.segments.Segment`.

    In ``flags`` are those that the engine does not know.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "tile": 16,
                "tiles": 16,
                "planes": 8,
                "clear": 1,
                "shift": 1,
                "scaled": 1,
                **({"half_step": 1} if config.half_steps else {}),
                "flags": 5 - config.half_steps,
                **({"kept": 8} if config.sparse_block else {}),
                "reserved": 8 if config.sparse_block else 16,
            }
        )


@dataclass(frozen=True, kw_only=True)
class EncodingParts:
    """The gateware of an engine's encodings.

    Parameters
    ----------
    bad_kept : callable
        Whether a descriptor's ``kept`` is bad, for the error ``RESERVED``.
    refuses : callable
        Whether a descriptor is bad, for the error ``SEGMENTS``.
    tile_words : callable
        Words of a tile, of a good descriptor.
    reader : callable
        Component from beats ``i`` to words ``o``. While there is no word, ``o`` ends with the beat
        at ``i``.
    ahead : bool
        Whether it takes beats ahead of the words, so that a walk goes on when it has all. It is
        then told of walks, and reads their segments itself.
    """

    bad_kept: Callable[[Any], Value]
    refuses: Callable[[Any], Value]
    tile_words: Callable[[Any], Value]
    reader: Callable[[EngineConfig], Any]
    ahead: bool


def parts(config: EngineConfig) -> EncodingParts:
    """Return the gateware of the engine's encodings."""
    return EncodingParts(
        bad_kept=lambda segment: _bad_kept(segment, config),
        refuses=lambda segment: (segment.planes == 0) | exceeds(segment.planes, PLANES.high),
        tile_words=lambda segment: segment.planes,
        reader=SparseReader if config.sparse_block else _gatherer,
        ahead=config.sparse_block > 0,
    )


def _gatherer(config: EngineConfig) -> BeatGatherer:
    return BeatGatherer(config.stream_bits, config.plane_beats)


def _bad_kept(segment: Any, config: EngineConfig) -> Value:
    halved = segment.half_step & (segment.kept != 0) if config.half_steps else 0
    return exceeds(segment.kept, config.sparse_block - 1) | halved
