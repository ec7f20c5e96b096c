"""The operand memory: plane words that are made of accumulators on the chip."""

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig

__all__ = ["Operand"]


class Operand:
    """Plane words, all zero at first; none in an engine whose ``operand_depth`` is 0.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine.
    """

    def __init__(self, config: EngineConfig):
        self._config = config
        #: uint8 of shape ``[operand_depth, plane_bits / 8]``, each row a word as in the stream.
        self.words = np.zeros((config.operand_depth, config.plane_bits // 8), np.uint8)

    def read(self, first: int, count: int) -> bytes:
        """Return ``count`` words from ``first`` on, as the stream would bring them."""
        return self.words[first : first + count].tobytes()

    def write(self, first: int, lane: int, weights: npt.NDArray[np.integer], planes: int) -> None:
        """Put rows of weights into the lanes of a slice from ``lane`` on; other lanes stay.

        Parameters
        ----------
        first : int
            The slice's first word.
        lane : int
            Input feature of the slice that the first row becomes.
        weights : integer array, shape ``[rows, tiles * cols]``
            Within ``planes`` bits, two's complement.
        planes : int
            1 to 8.
        """
        cfg = self._config
        rows, features = weights.shape
        tiles = features // cfg.cols
        shifts = np.arange(planes)[::-1, None, None]  # most significant plane first
        # [planes, rows, features] to [tiles, planes, cols, rows]
        bits = (weights.astype(np.int64) >> shifts & 1).astype(np.uint8)
        bits = bits.reshape(planes, rows, tiles, cfg.cols).transpose(2, 0, 3, 1)
        words = self.words[first : first + tiles * planes]
        whole = np.unpackbits(words, axis=1, bitorder="little")
        lanes = whole.reshape(tiles, planes, cfg.cols, cfg.depth)
        lanes[..., lane : lane + rows] = bits
        words[:] = np.packbits(whole, axis=1, bitorder="little")
