"""The parameters of a REQUANTISE as bytes, in the order the engine takes them."""

import numpy as np
import numpy.typing as npt

from summand.isa.errors import CommandError, ErrorCode
from summand.isa.limits import SHIFT

__all__ = ["pack_requantisation", "unpack_requantisation"]

#: Of one output feature; ``zero`` is a pad byte.
_ENTRY = np.dtype([("mult", "<u2"), ("shift", "u1"), ("zero", "u1")])


def pack_requantisation(mult: npt.NDArray[np.integer], shift: npt.NDArray[np.integer]) -> bytes:
    """Pack multipliers and shifts.

    Parameters
    ----------
    mult, shift : integer arrays, shape ``[features]``
        Within :data:`~summand.isa.limits.MULT` and :data:`~summand.isa.limits.SHIFT`.

    Returns
    -------
    bytes
        Four for each feature, not yet padded to beats.
    """
    entries = np.zeros(len(mult), _ENTRY)
    entries["mult"], entries["shift"] = mult, shift
    return entries.tobytes()


def unpack_requantisation(
    raw: bytes, features: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Undo :func:`pack_requantisation`; bytes after the last feature's may hold anything.

    Returns ``mult`` and ``shift``, int64 of shape ``[features]``.

    Raises
    ------
    CommandError
        If a shift is outside :data:`~summand.isa.limits.SHIFT` or a pad byte is set.
    """
    entries = np.frombuffer(raw, _ENTRY, count=features)
    shift = entries["shift"].astype(np.int64)
    if ((shift < SHIFT.low) | (shift > SHIFT.high) | (entries["zero"] != 0)).any():
        raise CommandError(ErrorCode.REQUANTISE)
    return entries["mult"].astype(np.int64), shift
