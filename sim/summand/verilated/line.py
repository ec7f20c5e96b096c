"""A board's gateware behind its line, its Verilog simulated."""

import ctypes
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from summand.verilated.build import compile_harness, harness_arguments
from summand.verilated.cache import cached, default_cache
from summand.verilated.tools import content_key, find_verilator

__all__ = ["SimLine"]

_HARNESS = Path(__file__).with_name("line_harness.cpp")

_HANDLE = ctypes.c_void_p
_U64, _SIZE = ctypes.c_uint64, ctypes.c_size_t

_FUNCTIONS = {
    "board_new": (_HANDLE, [ctypes.c_int]),
    "board_free": (None, [_HANDLE]),
    "board_push": (None, [_HANDLE, ctypes.c_char_p, _SIZE]),
    "board_run": (_SIZE, [_HANDLE, _U64, _U64, ctypes.c_char_p, _SIZE]),
    "board_cycles": (_U64, [_HANDLE]),
    "board_beats": (_SIZE, [_HANDLE, ctypes.POINTER(ctypes.POINTER(_U64))]),
}

#: Cycles of a look at what has come.
_GLANCE = 64
#: Cycles for which further bytes are waited for once one has come.
_MORE = 128
#: The most bytes of a look.
_ROOM = 1 << 16


class SimLine:
    """The bytes of a line to a simulated board. A byte goes each way in a cycle.

    The board's clock runs while a caller reads, and is the only time there is.

    Parameters
    ----------
    verilog : str
        The board's: ports ``clk``, ``rst``, and streams of bytes ``heard`` and ``said``.
    top : str
        Its module.
    clock_hz : int
        Cycles of a second.
    control : str
        A control file for Verilator.
    cache : Path, optional
        Folder for built simulators, by default in the user's cache.
    progress : callable, optional
        Called with a line of text when a step starts that takes seconds.
    record : bool
        Keep :attr:`beats`.
    """

    def __init__(
        self,
        verilog: str,
        *,
        top: str,
        clock_hz: int,
        control: str = "`verilator_config\n",
        cache: Path | None = None,
        progress: Callable[[str], None] | None = None,
        record: bool = False,
    ):
        self._clock_hz = clock_hz
        path = _build(verilog, top, control, cache or default_cache(), progress)
        self._library = ctypes.CDLL(str(path))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._library, name)
            function.restype = result
            function.argtypes = arguments
        self._handle = self._library.board_new(int(record))
        self.close = weakref.finalize(self, self._library.board_free, self._handle)
        self._room = ctypes.create_string_buffer(_ROOM)
        self._kept = bytearray()

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._library.board_cycles(self._handle)

    @property
    def beats(self) -> npt.NDArray[np.uint64]:
        """The cycles in which the engine took a beat, where ``record`` was asked for."""
        data = ctypes.POINTER(_U64)()
        size = self._library.board_beats(self._handle, ctypes.byref(data))
        return np.array(np.ctypeslib.as_array(data, (size,)) if size else [], np.uint64)

    def seconds(self) -> float:
        """Return the time at the board's clock."""
        return self.cycles / self._clock_hz

    def wait(self, seconds: float) -> None:
        """Let seconds of the board's clock pass; what comes meanwhile is kept."""
        cycles = round(seconds * self._clock_hz)
        while cycles > 0:
            before = self.cycles
            got = self._library.board_run(self._handle, cycles, cycles, self._room, _ROOM)
            self._kept += self._room.raw[:got]
            cycles -= self.cycles - before

    def write(self, data: bytes) -> None:
        """Queue bytes for the line."""
        self._library.board_push(self._handle, data, len(data))

    def read(self, timeout_s: float) -> bytes:
        """Run the clock until bytes have come, ``timeout_s`` of its seconds at most."""
        if kept := bytes(self._kept):
            self._kept.clear()
            return kept
        cycles = max(_GLANCE, round(timeout_s * self._clock_hz))
        got = self._library.board_run(self._handle, cycles, _MORE, self._room, _ROOM)
        return self._room.raw[:got]


def _build(
    verilog: str, top: str, control: str, cache: Path, progress: Callable[[str], None] | None
) -> Path:
    """Return the shared library that simulates ``verilog``, building it if need be."""
    tool = find_verilator()
    arguments = harness_arguments(top, {}, (f"{top}.v", "control.vlt", _HARNESS.name))
    digest = content_key(tool.version, verilog, control, _HARNESS.read_text(), *arguments)

    def make(folder: Path) -> Path:
        if progress:
            progress("building the simulator (once for each board)")
        (folder / f"{top}.v").write_text(verilog)
        (folder / "control.vlt").write_text(control)
        shutil.copy(_HARNESS, folder)
        return compile_harness(tool, folder, arguments, cache)

    return cached(cache, f"{digest}.so", make)
