"""The generated Verilog as a device."""

import ctypes
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig, SummandError
from summand.isa.registers import Access, register
from summand.rtl.memory.axi.bus import AxiConfig
from summand.verilated.library import Ending, load_library

__all__ = ["SimDevice", "SimTimeout"]

#: Approximate seconds between checks of the wall clock and of a user's Ctrl-C.
_CALL_S = 0.2


class SimTimeout(SummandError, TimeoutError):
    """Output did not come in time, or can no longer come."""


class SimDevice:
    """An engine's Verilog, simulated. The clock runs while a caller waits for output or a register.

    Parameters
    ----------
    config : EngineConfig
        The engine. Its simulator is built the first time, which takes from ten seconds to two
        minutes.
    memory_beats : int
        Size of a memory on AXI4, whose player takes items; 0: none, the engine's stream.
    stall : float
        Probability, at least 0 and below 1, with which each cycle withholds a beat of input, and
        with which it refuses one of output. The memory's channels pause as often.
    seed : int
        Seed of the stalls; equal seeds give equal runs.
    cache : Path, optional
        Folder for built simulators, by default in the user's cache.
    progress : callable, optional
        Called with a line of text when a step starts that takes seconds.
    record : bool
        Keep :attr:`trace`.
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        memory_beats: int = 0,
        stall: float = 0.0,
        seed: int = 0,
        cache: Path | None = None,
        progress: Callable[[str], None] | None = None,
        record: bool = False,
    ):
        if not 0 <= stall < 1:
            raise SummandError(f"stall must be at least 0 and below 1, not {stall}")
        self._config = config
        self._library = load_library(
            config, memory_beats=memory_beats, cache=cache, progress=progress
        )
        threshold = round(stall * 2**32)
        self._handle = self._library.summand_new(
            min(threshold, 2**32 - 1), seed % 2**64, int(record)
        )
        self._free = weakref.finalize(self, self._library.summand_free, self._handle)
        # The harness keeps addresses only; these references keep the bytes until it has sent them.
        self._held: deque[npt.NDArray[np.uint8]] = deque()
        self._released = 0
        self._output = bytearray()
        self._call_cycles = 1_000  # grows until a call takes long enough
        # A REQUANTISE causes the longest silence, because it sends no output; or a CRC, which takes
        # a cycle for each byte of the beats that were read ahead.
        self._max_idle = 2_000 + 4 * config.rows * config.requant_depth
        if memory_beats:
            self._max_idle += (
                2 * config.beat_bytes * AxiConfig(stream_bits=config.stream_bits).depth
            )

    @property
    def config(self) -> EngineConfig:
        """The engine's configuration."""
        return self._config

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._library.summand_cycles(self._open())

    @property
    def withheld(self) -> int:
        """Cycles so far in which ``stall`` held back a queued beat and no beat was on offer."""
        return self._library.summand_withheld(self._open())

    @property
    def trace(self) -> npt.NDArray[np.uint8]:
        """The streams' handshakes, uint8 of shape ``[cycles]``, where ``record`` was asked for.

        Bits 0 and 1: input valid and ready. Bits 2 and 3: output valid and ready.
        """
        data = ctypes.c_void_p()
        size = self._library.summand_trace(self._open(), ctypes.byref(data))
        return np.frombuffer(ctypes.string_at(data, size) if size else b"", np.uint8)

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Queue bytes of input, cut anywhere; kept by reference until they have been sent."""
        handle = self._open()
        for chunk in chunks:
            data = np.frombuffer(chunk, np.uint8)
            if data.size:
                self._held.append(data)
                self._library.summand_push(handle, data.ctypes.data, data.size)

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        """Run the clock until ``nbytes`` of output have come, and return them.

        Raises
        ------
        SimTimeout
            If ``timeout_s`` seconds pass, or if the engine stops because it waits for input that
            is not there. Output that has come can still be read.
        """
        handle = self._open()
        deadline = time.monotonic() + timeout_s
        while (missing := nbytes - len(self._output)) > 0:
            beats = -(-missing // self._config.beat_bytes)
            room = (ctypes.c_char * (beats * self._config.beat_bytes))()
            got = ctypes.c_size_t()
            ending = Ending.LIMIT
            while ending is Ending.LIMIT and (start := time.monotonic()) < deadline:
                ending = Ending(
                    self._library.summand_run(
                        handle, room, len(room), self._max_idle, self._call_cycles,
                        ctypes.byref(got),
                    )
                )  # fmt: skip
                if ending is Ending.LIMIT and time.monotonic() - start < _CALL_S / 2:
                    self._call_cycles *= 2
            self._output += memoryview(room)[: got.value]
            self._release()
            if ending is not Ending.DONE:
                raise self._failure(ending, nbytes, timeout_s)
        result = bytes(self._output[:nbytes])
        del self._output[:nbytes]
        return result

    def read_register(self, name: str) -> int:
        """Read a register over AXI4-Lite."""
        offset = register(name).offset
        value, response = ctypes.c_uint32(), ctypes.c_uint32()
        ending = self._library.summand_read_register(
            self._open(), offset, ctypes.byref(value), ctypes.byref(response)
        )
        self._check_bus(Ending(ending), response.value, f"a read of register {name}")
        return value.value

    def write_register(self, name: str, value: int) -> None:
        """Write a register over AXI4-Lite; ``reset`` also drops what is queued in and out."""
        found = register(name)
        if found.access is Access.RO:
            raise SummandError(f"register {name} is read only; only reset can be written")
        handle = self._open()
        if name == "reset" and value & 1:
            self._library.summand_drop(handle)
            self._release()
            self._output.clear()
        response = ctypes.c_uint32()
        ending = self._library.summand_write_register(
            handle, found.offset, value & 0xFFFFFFFF, ctypes.byref(response)
        )
        self._check_bus(Ending(ending), response.value, f"a write of register {name}")

    def close(self) -> None:
        """Free the simulator; it cannot be used afterwards."""
        self._free()
        self._held.clear()

    def _open(self) -> int:
        if not self._free.alive:
            raise SummandError("the simulated device has been closed; open a new one")
        return self._handle

    def _release(self) -> None:
        """Drop references to input that the harness has sent."""
        finished = self._library.summand_finished(self._handle)
        while self._released < finished:
            self._held.popleft()
            self._released += 1

    def _failure(self, ending: Ending, nbytes: int, timeout_s: float) -> SummandError:
        so_far = f"{len(self._output)} of {nbytes} bytes came out of the simulated engine"
        if ending is Ending.PROTOCOL:
            return SummandError(
                f"{so_far}, then it changed a beat that it had offered: the Verilog is broken"
            )
        if ending is Ending.IDLE:
            return SimTimeout(
                f"{so_far}, and nothing has moved for {self._max_idle} cycles: it waits for more "
                f"input, or an error has stopped it; read its status, and reset it"
            )
        return SimTimeout(
            f"{so_far} within {timeout_s:g} s; allow more time, or use a smaller model or shape"
        )

    def _check_bus(self, ending: Ending, response: int, what: str) -> None:
        if ending is not Ending.DONE:
            raise SimTimeout(f"{what} was not answered: the Verilog is broken")
        if response:
            raise SummandError(f"{what} was refused with response {response}")
