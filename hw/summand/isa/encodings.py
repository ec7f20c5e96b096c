"""Encodings of a segment's weights in the stream."""

from dataclasses import dataclass

from summand.isa.config import EngineConfig

__all__ = ["PLANE_WORDS", "Encoding"]


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """One way to write the weights of a segment in the stream, and the time to read it.

    Parameters
    ----------
    name : str
        What one word holds.
    latency : int
        From a word's last beat to the word, ready for the array.
    """

    name: str
    latency: int

    def tile_words(self, planes: int) -> int:
        """Return the words that bring a tile of weights of ``planes`` bit-planes, in each slice."""
        return planes

    def word_beats(self, config: EngineConfig) -> int:
        """Return the beats of the stream that make one word."""
        return config.plane_beats


#: A word is one bit of each of a tile's weights. Its last beat goes straight into the array.
PLANE_WORDS = Encoding(name="plane words", latency=0)
