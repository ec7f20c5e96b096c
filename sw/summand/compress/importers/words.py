"""Integers of a few bits that lie side by side in 32-bit words."""

import numpy as np
import numpy.typing as npt

__all__ = ["unpack_words"]


def unpack_words(words: npt.NDArray[np.int32], bits: int, count: int) -> npt.NDArray[np.int16]:
    """Return the first ``count`` unsigned integers of every row.

    Parameters
    ----------
    words : int32 array, shape ``[M, W]``
        Element ``i`` of a row at its bits ``i * bits`` on, the first word's lowest bit first.
    bits : int
        1 to 8.
    count : int
        At most ``32 * W // bits``.

    Returns
    -------
    int16 array, shape ``[M, count]``
        0 to ``2**bits - 1``.
    """
    rows, width = words.shape
    if count * bits > 32 * width:
        raise ValueError(f"{width} words of 32 bits do not hold {count} integers of {bits}")
    octets = np.ascontiguousarray(words, "<i4").view(np.uint8).reshape(rows, 4 * width)
    if 8 % bits == 0:
        each = octets[:, :, None] >> (np.arange(8 // bits, dtype=np.uint8) * bits)
        return (each & ((1 << bits) - 1)).reshape(rows, -1)[:, :count].astype(np.int16)
    stream = np.unpackbits(octets, axis=1, bitorder="little")[:, : count * bits]
    places = np.left_shift(1, np.arange(bits)).astype(np.int16)
    return stream.reshape(rows, count, bits).astype(np.int16) @ places
