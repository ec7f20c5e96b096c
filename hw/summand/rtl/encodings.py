"""Reads words of weights from the stream, as their segment describes them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth import *
from amaranth.lib import data

from summand.isa import EngineConfig
from summand.isa.limits import PLANES
from summand.rtl.compare import exceeds
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
                "reserved": 16,
            }
        )


@dataclass(frozen=True, kw_only=True)
class EncodingParts:
    """The gateware of one encoding.

    Parameters
    ----------
    refuses : callable
        Whether a descriptor is bad, for the error ``SEGMENTS``.
    tile_words : callable
        Words of a tile, of a good descriptor.
    reader : callable
        Component from beats ``i`` to words ``o``; a word is at ``o`` with its last beat.
    """

    refuses: Callable[[Any], Value]
    tile_words: Callable[[Any], Value]
    reader: Callable[[EngineConfig], Any]


_PLANE_WORDS = EncodingParts(
    refuses=lambda segment: (segment.planes == 0) | exceeds(segment.planes, PLANES.high),
    tile_words=lambda segment: segment.planes,
    reader=lambda config: BeatGatherer(config.stream_bits, config.plane_beats),
)


def parts() -> EncodingParts:
    """Return the gateware of the engine's encoding."""
    return _PLANE_WORDS
