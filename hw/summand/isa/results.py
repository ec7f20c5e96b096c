"""Accumulators as bytes, in the order in which a DATA packet has them."""

import enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from summand.isa.beats import pad
from summand.isa.config import EngineConfig
from summand.isa.rounding import ceil_div

__all__ = [
    "EXTREMES_BYTES",
    "Bins",
    "Extremes",
    "limbs_for",
    "pack_extremes",
    "pack_results",
    "result_bytes",
    "unpack_extremes",
    "unpack_results",
]

#: Bytes of a bin's two extremes, not yet padded to beats.
EXTREMES_BYTES = 16

_ENTRY = np.dtype([("acc", "<i4"), ("place", "<u2"), ("zero", "<u2")])


class Extremes(enum.IntEnum):
    """Which two accumulators of each bin a STORE sends: its flags, beside limbs."""

    #: All of them, without places.
    NONE = 0
    GREATEST = 0x80
    LEAST = 0xC0


class Bins(NamedTuple):
    """Two accumulators of each bin, the greatest or the least one first.

    Parameters
    ----------
    acc : int32 array, shape ``[rows, bins, 2]``
        The accumulators.
    places : int64 array, shape ``[rows, bins, 2]``
        Where in their bin they are; of equal accumulators the first ones are taken, in order.
    """

    acc: npt.NDArray[np.int32]
    places: npt.NDArray[np.int64]

    def spread(self, acc: npt.NDArray[np.int32], sent: npt.NDArray[np.bool_]) -> None:
        """Write them to the accumulators ``[rows, features]`` that the bins are of.

        All others become the second of their bin, and false in ``sent`` of the same shape.
        """
        rows, bins = self.acc.shape[:2]
        size = acc.shape[1] // bins
        acc[:] = np.repeat(self.acc[:, :, 1], size, axis=1)
        sent[:] = False
        places = (self.places + size * np.arange(bins)[:, None]).reshape(rows, -1)
        np.put_along_axis(acc, places, self.acc.reshape(rows, -1), axis=1)
        np.put_along_axis(sent, places, True, axis=1)


def limbs_for(bits: int, config: EngineConfig) -> int:
    """Return the limbs that hold accumulators of ``bits`` bits; 0 in an engine without limbs."""
    if not config.limb_bits:
        return 0
    return min(ceil_div(bits, config.limb_bits), config.acc_limbs)


def result_bytes(config: EngineConfig, *, rows: int, tiles: int, limbs: int) -> int:
    """Return the bytes of a STORE's accumulators, not yet padded to beats."""
    return ceil_div(rows * tiles * config.cols * (limbs * config.limb_bits or 32), 8)


def pack_results(acc: npt.NDArray[np.int32], limbs: int, config: EngineConfig) -> bytes:
    """Pack the lowest ``limbs`` limbs of accumulators.

    Parameters
    ----------
    acc : int32 array, shape ``[rows, tiles * cols]``
        Row after row, as a packet has them.
    limbs : int
        1 to ``config.acc_limbs``, or 0 in an engine without limbs.

    Returns
    -------
    bytes
        :func:`result_bytes` of them; what is left of the last byte is zero.
    """
    if not limbs:
        return acc.astype("<i4").tobytes()
    shifts = config.limb_bits * np.arange(limbs)[:, None]
    tiles = acc.astype(np.int64).reshape(-1, 1, config.cols)
    pieces = (tiles >> shifts & ((1 << config.limb_bits) - 1)).astype(np.uint8)
    bits = np.unpackbits(pieces.reshape(-1, 1), axis=1, count=config.limb_bits, bitorder="little")
    return np.packbits(bits.reshape(-1), bitorder="little").tobytes()


def unpack_results(
    payload: bytes, *, rows: int, tiles: int, limbs: int, config: EngineConfig
) -> npt.NDArray[np.int32]:
    """Undo :func:`pack_results`: ``[rows, tiles * cols]``, the highest limb's top bit the sign.

    Bytes behind the accumulators' may hold anything.
    """
    features = tiles * config.cols
    if not limbs:
        return np.frombuffer(payload, "<i4", rows * features).reshape(rows, features)
    width = config.limb_bits
    count = rows * features * limbs
    raw = np.frombuffer(payload, np.uint8, ceil_div(count * width, 8))
    per_byte = 8 // width
    cut = raw[:, None] >> width * np.arange(per_byte, dtype=np.uint8) & ((1 << width) - 1)
    pieces = cut.reshape(-1)[:count].reshape(-1, limbs, config.cols)
    acc = np.zeros((rows * tiles, config.cols), np.int64)
    for n in range(limbs):
        acc += pieces[:, n].astype(np.int64) << width * n
    sign = 1 << (limbs * width - 1)
    return ((acc ^ sign) - sign).astype(np.int32).reshape(rows, features)


def pack_extremes(acc: npt.NDArray[np.int32], extremes: Extremes, config: EngineConfig) -> bytes:
    """Pack two accumulators of each bin, with their places; each bin in whole beats.

    Parameters
    ----------
    acc : int32 array, shape ``[rows, tiles * cols]``
        Whole bins of each row.
    extremes : Extremes
        Which two.
    """
    bins = acc.reshape(-1, config.bin_size).astype(np.int64)
    order = np.argsort(bins if extremes == Extremes.LEAST else -bins, axis=1, kind="stable")[:, :2]
    entries = np.zeros(order.shape, _ENTRY)
    entries["acc"] = np.take_along_axis(bins, order, axis=1)
    entries["place"] = order
    return b"".join(pad(entry.tobytes(), config) for entry in entries)


def unpack_extremes(payload: bytes, *, rows: int, tiles: int, config: EngineConfig) -> Bins:
    """Undo :func:`pack_extremes`.

    Raises
    ------
    ValueError
        If a place is none of a bin's.
    """
    bins = tiles // config.bin_tiles
    step = len(pad(bytes(EXTREMES_BYTES), config))
    raw = np.frombuffer(payload, np.uint8, rows * bins * step).reshape(-1, step)
    entries = raw[:, :EXTREMES_BYTES].copy().view(_ENTRY).reshape(rows, bins, 2)
    places = entries["place"].astype(np.int64)
    if places.size and places.max() >= config.bin_size:
        raise ValueError(f"place {places.max()} of a bin of {config.bin_size} accumulators")
    return Bins(entries["acc"].astype(np.int32), places)
