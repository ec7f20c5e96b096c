"""The harness's functions, from a shared library."""

import ctypes
import enum
from collections.abc import Callable
from pathlib import Path

from summand.isa import EngineConfig
from summand.verilated.build import build_library
from summand.verilated.tools import ToolError

__all__ = ["Ending", "load_library"]


class Ending(enum.IntEnum):
    """How a call of the harness ended."""

    #: All bytes have come, or the register has answered.
    DONE = 0
    #: Nothing moved for too long although no stall withheld anything.
    IDLE = 1
    #: The cycles allowed for the call are over.
    LIMIT = 2
    #: The engine took back or changed a beat that it had offered.
    PROTOCOL = 3


_HANDLE = ctypes.c_void_p
_U32, _U64, _SIZE = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_size_t
_P32, _PSIZE = ctypes.POINTER(_U32), ctypes.POINTER(_SIZE)

_FUNCTIONS = {
    "summand_new": (_HANDLE, [_U32, _U64, ctypes.c_int]),
    "summand_free": (None, [_HANDLE]),
    "summand_push": (None, [_HANDLE, ctypes.c_void_p, _SIZE]),
    "summand_run": (ctypes.c_int, [_HANDLE, ctypes.c_void_p, _SIZE, _U64, _U64, _PSIZE]),
    "summand_read_register": (ctypes.c_int, [_HANDLE, _U32, _P32, _P32]),
    "summand_write_register": (ctypes.c_int, [_HANDLE, _U32, _U32, _P32]),
    "summand_drop": (None, [_HANDLE]),
    "summand_cycles": (_U64, [_HANDLE]),
    "summand_withheld": (_U64, [_HANDLE]),
    "summand_finished": (_U64, [_HANDLE]),
    "summand_trace": (_SIZE, [_HANDLE, ctypes.POINTER(ctypes.c_void_p)]),
}


def load_library(
    config: EngineConfig,
    *,
    memory_beats: int = 0,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> ctypes.CDLL:
    """Build if need be, and load, the simulator of ``config``'s engine and its memory.

    One that is there and cannot be loaded, such as another system's or a truncated one, is built
    anew. Raises :class:`~summand.verilated.tools.ToolError`.
    """
    path = build_library(config, memory_beats=memory_beats, cache=cache, progress=progress)
    try:
        library = ctypes.CDLL(str(path))
    except OSError:
        path = build_library(
            config, memory_beats=memory_beats, cache=cache, progress=progress, anew=True
        )
        try:
            library = ctypes.CDLL(str(path))
        except OSError as e:
            raise ToolError(f"the simulator that was just built cannot be loaded: {e}") from None
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
