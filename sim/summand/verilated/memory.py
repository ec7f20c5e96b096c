"""A memory behind a port of beats, its Verilog simulated."""

import ctypes
import shutil
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from summand.isa import SummandError
from summand.verilated.build import compile_harness, harness_arguments
from summand.verilated.cache import cached, default_cache
from summand.verilated.tools import content_key, find_verilator

__all__ = ["MemoryReading", "SimMemory"]

_HARNESS = Path(__file__).with_name("memory_harness.cpp")

_HANDLE = ctypes.c_void_p
_U32, _U64 = ctypes.c_uint32, ctypes.c_uint64
_P32, _P64 = ctypes.POINTER(_U32), ctypes.POINTER(_U64)

_FUNCTIONS = {
    "memory_new": (_HANDLE, []),
    "memory_free": (None, [_HANDLE]),
    "memory_wait": (None, [_HANDLE, _U64]),
    "memory_control": (ctypes.c_int, [_HANDLE, ctypes.c_int, _U32, _P32]),
    "memory_write": (ctypes.c_int, [_HANDLE, _U32, _U32, ctypes.c_void_p]),
    "memory_read": (
        ctypes.c_int,
        [_HANDLE, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, _U32, _P64, _P64, _P64],
    ),
    "memory_cycles": (_U64, [_HANDLE]),
}


@dataclass(frozen=True, kw_only=True)
class MemoryReading:
    """What runs of reads brought, and when.

    Parameters
    ----------
    beats : ndarray
        uint8 of shape ``[beats, bytes]``.
    first, last : int
        Cycles from the first request to the first beat, and to the last one.
    gap : int
        Cycles from one beat to the next, at most.
    """

    beats: npt.NDArray[np.uint8]
    first: int
    last: int
    gap: int

    @property
    def beats_per_cycle(self) -> float:
        """How fast beats came, once the first was there."""
        return (len(self.beats) - 1) / (self.last - self.first)


class SimMemory:
    """A memory's Verilog, simulated. The clock runs while a caller waits.

    It has the members of a way to a controller's registers: ``read``, ``write`` and ``wait``.

    Parameters
    ----------
    verilog : str
        Its Verilog: ports ``clk``, ``rst``, ``port`` and ``control``, a bus of 32 bits.
    top : str
        Its module.
    stream_bits : int
        Width of a beat, at least 65.
    cache : Path, optional
        Folder for built simulators, by default in the user's cache.
    """

    def __init__(self, verilog: str, *, top: str, stream_bits: int, cache: Path | None = None):
        self.beat_bytes = stream_bits // 8
        path = _build(verilog, top, self.beat_bytes, cache or default_cache())
        self._library = ctypes.CDLL(str(path))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._library, name)
            function.restype = result
            function.argtypes = arguments
        self._handle = self._library.memory_new()
        self.close = weakref.finalize(self, self._library.memory_free, self._handle)

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._library.memory_cycles(self._handle)

    def read(self, offset: int) -> int:
        """Return the control bus's word at a byte offset."""
        value = _U32()
        self._answered(
            self._library.memory_control(self._handle, 0, offset // 4, ctypes.byref(value)),
            f"a read of control word {offset:#x} was not answered",
        )
        return value.value

    def write(self, offset: int, value: int) -> None:
        """Write the control bus's word at a byte offset."""
        word = _U32(value)
        self._answered(
            self._library.memory_control(self._handle, 1, offset // 4, ctypes.byref(word)),
            f"a write of control word {offset:#x} was not answered",
        )

    def wait(self, cycles: int) -> None:
        """Let cycles pass."""
        self._library.memory_wait(self._handle, cycles)

    def store(self, address: int, beats: npt.NDArray[np.uint8]) -> None:
        """Write beats, uint8 of shape ``[beats, bytes]``, as one run; returns when it has ended."""
        data = np.ascontiguousarray(beats)
        self._answered(
            self._library.memory_write(self._handle, address, len(data), data.ctypes.data),
            f"a run of {len(data)} beats to {address} is not written",
        )

    def fetch(self, runs: Sequence[tuple[int, int]], *, hold: float = 0.0) -> MemoryReading:
        """Read runs, addresses and numbers of beats.

        ``hold`` is the probability that a cycle takes no beat.
        """
        asked = np.array(runs, np.uint32).reshape(-1, 2)
        beats = np.zeros((int(asked[:, 1].sum()), self.beat_bytes), np.uint8)
        first, last, gap = _U64(), _U64(), _U64()
        self._answered(
            self._library.memory_read(
                self._handle, asked.ctypes.data, len(asked), beats.ctypes.data,
                min(round(hold * 2**32), 2**32 - 1),
                ctypes.byref(first), ctypes.byref(last), ctypes.byref(gap),
            ),
            f"beats of {len(runs)} runs do not come",
        )  # fmt: skip
        return MemoryReading(beats=beats, first=first.value, last=last.value, gap=gap.value)

    @staticmethod
    def _answered(done: int, what: str) -> None:
        if not done:
            raise SummandError(
                f"the simulated memory: {what}; initialise it first, or else its Verilog is broken"
            )


def _build(verilog: str, top: str, beat_bytes: int, cache: Path) -> Path:
    """Return the shared library that simulates ``verilog``, building it if need be."""
    tool = find_verilator()
    arguments = harness_arguments(
        top, {"SUMMAND_BEAT_BYTES": beat_bytes}, (f"{top}.v", _HARNESS.name)
    )
    digest = content_key(tool.version, verilog, _HARNESS.read_text(), *arguments)

    def make(folder: Path) -> Path:
        (folder / f"{top}.v").write_text(verilog)
        shutil.copy(_HARNESS, folder)
        return compile_harness(tool, folder, arguments, cache)

    return cached(cache, f"{digest}.so", make)
