"""Payloads of a LOAD and a REQUANTISE as arrays; a GEMM's is read by :mod:`.weights`."""

import numpy as np
import numpy.typing as npt

from summand.golden.arithmetic import wrap
from summand.isa import CommandError, EngineConfig, ErrorCode

__all__ = ["activations", "requantisation"]


def activations(payload: bytes, rows: int, config: EngineConfig) -> npt.NDArray[np.int16]:
    """Read a LOAD's payload; the bits above ``act_bits`` are ignored.

    Returns int16 of shape ``[rows, slices * depth]``.
    """
    raw = np.frombuffer(payload, np.dtype(f"<i{config.elem_bits // 8}")).astype(np.int64)
    return wrap(raw, config.act_bits).astype(np.int16).reshape(rows, -1)


def requantisation(
    payload: bytes, features: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Read a REQUANTISE's payload for ``features`` columns; what fills up its last beat is ignored.

    Returns ``mult`` and ``shift``, int64 of shape ``[features]``.

    Raises
    ------
    CommandError
        If a shift is outside 1 to 47 or a pad byte is set.
    """
    fields = np.dtype([("mult", "<u2"), ("shift", "u1"), ("zero", "u1")])
    entries = np.frombuffer(payload, fields, count=features)
    shift = entries["shift"].astype(np.int64)
    if ((shift < 1) | (shift > 47) | (entries["zero"] != 0)).any():
        raise CommandError(ErrorCode.REQUANTISE)
    return entries["mult"].astype(np.int64), shift
