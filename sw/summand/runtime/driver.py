"""Sends programs to a device, checks every answer, and recovers when one is wrong."""

import logging
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig, ErrorCode, StreamError
from summand.isa.commands import Fence, Store
from summand.isa.packets import (
    Counters,
    Kind,
    PacketHeader,
    data_packet_bytes,
    status_packet_bytes,
)
from summand.isa.registers import IDENTITY, STREAM_VERSION
from summand.runtime.device import Device
from summand.runtime.errors import DeviceError, DeviceTimeout, WrongEngineError
from summand.runtime.memory.played import PlayedDevice
from summand.runtime.memory.upload import UploadProgress
from summand.runtime.program import Batch, Program
from summand.runtime.usage import Usage
from summand.schedule.errors import CompileError

__all__ = ["FENCE_BEATS", "Driver", "Result"]

_LOG = logging.getLogger(__name__)

#: Beats a second of a slow simulator or link; at 32 bytes a beat it is 320 kB/s.
_SLOW_BEATS_PER_S = 10_000

#: A call that sends more gets further FENCEs, so that counters are read before they wrap at 2**32.
FENCE_BEATS = 1 << 28

#: Batches and fences that may be unanswered while the next batch is sent.
_AHEAD = 1

#: Attempts to bring a device back.
_RESETS = 3


@dataclass(frozen=True)
class Result:
    """Accumulators of a call, and what they cost.

    Parameters
    ----------
    outputs : tuple of int32 arrays, shape ``[M, N]`` each
        A layer's.
    usage : Usage
        The call's.
    sent : tuple of bool arrays, shape ``[M, N]`` each
        Of a program that fetches extremes: where an output is an accumulator, and not a bound of
        it (:meth:`.Program.place`). Empty for other programs.
    """

    outputs: tuple[npt.NDArray[np.int32], ...]
    usage: Usage
    sent: tuple[npt.NDArray[np.bool_], ...] = ()


@dataclass(frozen=True)
class _Due:
    """A batch that was sent and not answered, or a FENCE if ``batch`` is None.

    ``command`` is the index of its first command, ``beats`` its size, ``into`` a place for each
    layer's results, and ``sent`` one for what they are.
    """

    command: int
    beats: int
    batch: Batch | None = None
    into: Sequence[npt.NDArray[np.int32]] = ()
    sent: Sequence[npt.NDArray[np.bool_]] = ()


class Driver:
    """Runs programs on a device.

    While one batch is computed, the next is already sent, so that the engine need not wait.

    Every answer is checked: kind, tag, command, length, status. After a failure the next call
    resets the device first, so that one bad call does not spoil the ones after it.

    Parameters
    ----------
    device : Device
        Owned from here on: :meth:`close` closes it, and so does a failure here.
    timeout_s : float
        Seconds without an answer, beyond the time that a slow device needs for the stream sent.

    Raises
    ------
    WrongEngineError
        If the device's registers show another identity, version or configuration.
    """

    def __init__(self, device: Device, *, timeout_s: float = 60.0):
        self._device = device
        self._timeout_s = timeout_s
        #: Cost of all calls by program name.
        self.usage: dict[str, Usage] = {}
        #: How often each program was run for each number of tokens.
        self.calls: Counter[tuple[Program, int]] = Counter()
        self._commands = 0
        self._counters = Counters()
        try:
            self._check_registers()
        except BaseException:
            device.close()
            raise
        self._clean = False  # the device's state is unknown, so the first call resets it

    @property
    def config(self) -> EngineConfig:
        """The engine's configuration."""
        return self._device.config

    @property
    def total(self) -> Usage:
        """Cost of all calls."""
        return sum(self.usage.values(), Usage())

    @property
    def holds(self) -> bool:
        """Whether the device has a memory for weights."""
        return isinstance(self._device, PlayedDevice)

    def hold(self, programs: Iterable[Program], progress: UploadProgress | None = None) -> int:
        """Let the device's memory hold the weights of programs that are ``held``.

        Programs that are not run all the same, and their weights are sent.

        Returns
        -------
        int
            Bytes that were sent; 0 if the memory holds all of them already.

        Raises
        ------
        DeviceError
            If the device has no memory.
        BoardMemoryError
            If the memory is too small, before anything is sent, or does not keep what it is given.
        """
        if not isinstance(self._device, PlayedDevice):
            raise DeviceError("the device has no memory for weights")
        if not self._clean:
            self.reset()
        self._clean = False  # the next call resets the device, so that its counters begin with it
        return self._device.hold((p for q in programs for p in q.payloads), progress)

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read_register(self, name: str) -> int:
        """Return the value of a register of the device's."""
        return self._device.read_register(name)

    def close(self) -> None:
        """Close the device."""
        self._device.close()

    def _check_registers(self) -> None:
        read = self._device.read_register
        identity, version = read("identity"), read("version")
        if identity != IDENTITY:
            raise WrongEngineError(
                f"the device is no Summand engine: its identity register is {identity:#010x}, "
                f"not {IDENTITY:#010x}; check the address and that the bitstream is loaded"
            )
        if version != STREAM_VERSION:
            raise WrongEngineError(
                f"the engine speaks version {version} of the stream, this runtime version "
                f"{STREAM_VERSION}; generate it again with this release"
            )
        digest = f"{read('digest_hi') << 32 | read('digest_lo'):016x}"
        if digest != self.config.digest:
            raise WrongEngineError(
                f"the engine's configuration digest is {digest}, that of the configuration given "
                f"{self.config.digest}; give the configuration that it was generated from"
            )

    def run(self, program: Program, xq: npt.NDArray[np.integer]) -> Result:
        """Compute a program for tokens.

        Parameters
        ----------
        program : Program
            Compiled for this engine.
        xq : integer array, shape ``[M, K]``
            Within ``act_bits``, two's complement. Any M; it is cut into batches of ``rows``.

        Raises
        ------
        CompileError
            If the program was made for another engine, or the tokens do not fit it.
        StreamError
            If the engine reports an error.
        DeviceTimeout
            If it does not answer.
        DeviceError
            If its answer is wrong.
        """
        self._check_call(program, xq)
        if not self._clean:
            self.reset()
        self._clean = False
        try:
            result = self._run(program, xq)
        except (StreamError, DeviceError) as e:
            e.add_note(f"while computing {program.name}")
            raise
        self._clean = True
        name = program.name
        self.usage[name] = self.usage.get(name, Usage()) + result.usage
        self.calls[program.outline or program, len(xq)] += 1
        return result

    def _check_call(self, program: Program, xq: npt.NDArray[np.integer]) -> None:
        config = self.config
        if program.config != config:
            raise CompileError(
                f"{program.name} was compiled for engine {program.config.digest}, not for this "
                f"one, {config.digest}; compile it again"
            )
        if xq.ndim != 2 or xq.shape[1] != program.in_features:
            raise CompileError(
                f"{program.name}: activations must be of shape (tokens, {program.in_features}), "
                f"not {xq.shape}"
            )
        if xq.size and (xq.min() < config.act_min or xq.max() > config.act_max):
            raise CompileError(
                f"{program.name}: activations must be {config.act_min} to {config.act_max}, "
                f"not {xq.min()} to {xq.max()}"
            )

    def _run(self, program: Program, xq: npt.NDArray[np.integer]) -> Result:
        outputs = tuple(np.empty((len(xq), o.features), np.int32) for o in program.outputs)
        some = tuple(np.ones(o.shape, np.bool_) for o in outputs) if program.signs else ()
        batches = program.schedule(len(xq))
        due: deque[_Due] = deque()
        beats = start = since_fence = fences = 0
        counters = Counters()
        for batch in batches:
            here = slice(start, start + batch.rows)
            start = here.stop
            sent = self._beats(chunks := program.chunks(batch, xq[here], self._commands))
            if since_fence and since_fence + sent > FENCE_BEATS:
                due.append(self._send_fence())
                fences += 1
                beats, since_fence = beats + self.config.header_beats, 0
                chunks = program.chunks(batch, xq[here], self._commands)  # tags count commands
            self._device.write(chunks)
            into, parts = [o[here] for o in outputs], [s[here] for s in some]
            due.append(_Due(self._commands, sent, batch, into, parts))
            self._commands += len(batch.steps)
            beats, since_fence = beats + sent, since_fence + sent
            while len(due) > _AHEAD:
                counters += self._settle(program, due)
        if batches:
            due.append(self._send_fence())
            fences += 1
            beats += self.config.header_beats
        while due:
            counters += self._settle(program, due)
        usage = Usage(
            calls=1,
            tokens=len(xq),
            beats=beats,
            stream_bits=beats * self.config.stream_bits,
            answer_bytes=program.answer_bytes(batches, fences),
            plane_words=sum(batch.plane_words for batch in batches),
            macs=program.macs * len(xq),
            counters=counters,
        )
        return Result(outputs, usage, some)

    def _beats(self, chunks: Sequence[bytes]) -> int:
        return sum(map(len, chunks)) // self.config.beat_bytes

    def _settle(self, program: Program, due: "deque[_Due]") -> Counters:
        """Read the answers that are due first; returns a FENCE's counters, or zeros for a batch."""
        sent = sum(d.beats for d in due)
        first = due.popleft()
        if first.batch is None:
            return self._finish_fence(first, sent)
        for index, step in first.batch.fetches:
            payload = self._packet(
                kind=Kind.DATA,
                command=first.command + index,
                nbytes=program.result_bytes(step, first.batch.rows),
                sent=sent,
            )
            try:
                program.place(step, payload, first.into, first.sent)
            except ValueError as e:
                raise DeviceError(
                    f"the device answered command {first.command + index} with {e}"
                ) from None
        return Counters()

    def _send_fence(self) -> "_Due":
        self._device.write([Fence(self._commands & 0xFFFF).encode(self.config)])
        self._commands += 1
        return _Due(self._commands - 1, self.config.header_beats)

    def _finish_fence(self, due: "_Due", sent: int) -> Counters:
        """Wait for everything up to a fence; returns the counters since the last one."""
        payload = self._packet(
            kind=Kind.STATUS,
            command=due.command,
            nbytes=status_packet_bytes(self.config),
            sent=sent,
        )
        now = Counters.decode(payload)
        spent, self._counters = now.since(self._counters), now
        return spent

    def _packet(self, *, kind: Kind, command: int, nbytes: int, sent: int) -> bytes:
        """Read the packet that answers a command; returns its payload."""
        config = self.config
        timeout_s = self._timeout_s + sent / _SLOW_BEATS_PER_S
        head_bytes = config.header_beats * config.beat_bytes
        raw = self._read(head_bytes, timeout_s, command)
        try:
            head = PacketHeader.decode(raw)
        except ValueError as e:
            raise DeviceError(
                f"the device sent {raw[:16].hex()}, which is no packet: {e}"
            ) from None
        if head.kind is Kind.STATUS and head.status is not ErrorCode.OK:
            raise StreamError(head.status, head.command)
        expected = PacketHeader(
            kind=kind,
            status=ErrorCode.OK,
            tag=command & 0xFFFF,
            length=nbytes // config.beat_bytes - config.header_beats,
            command=command & 0xFFFFFFFF,
        )
        if head != expected:
            raise DeviceError(f"the device answered {_text(head)}, where {_text(expected)} was due")
        return self._read(nbytes - head_bytes, timeout_s, command)

    def _read(self, nbytes: int, timeout_s: float, command: int) -> bytes:
        try:
            return self._device.read(nbytes, timeout_s)
        except TimeoutError as e:
            status, at = (self._device.read_register(n) for n in ("status", "commands"))
            raise DeviceTimeout(
                f"no answer to command {command}: {e}. The engine has begun {at} commands and is "
                f"{'busy' if status & 1 else 'idle'}, its error code is {status >> 8 & 0xFF}"
            ) from None

    def reset(self) -> None:
        """Reset the engine, drop all bytes under way, and check that it answers.

        Raises
        ------
        DeviceError
            If it does not answer.
        """
        failure: DeviceError | StreamError | None = None
        for attempt in range(_RESETS):
            self._device.write_register("reset", 1)
            self._drain()
            self._commands, self._counters = 0, Counters()
            try:
                self._probe()
            except (DeviceError, StreamError) as e:
                _LOG.info("reset %d of %d failed: %s", attempt + 1, _RESETS, e)
                failure = e
                continue
            self._clean = True
            return
        raise DeviceError(
            f"the device does not come back after {_RESETS} resets: {failure}; restart it"
        )

    def _probe(self) -> None:
        """Fetch a meaningless tile, then the counters, in the same way as every call ends."""
        limbs = self.config.acc_limbs
        probe = Store(tile=0, tiles=1, rows=1, limbs=limbs).encode(self.config)
        self._device.write([probe])
        self._commands += 1
        due = self._send_fence()
        nbytes = data_packet_bytes(self.config, rows=1, tiles=1, limbs=limbs)
        self._packet(kind=Kind.DATA, command=0, nbytes=nbytes, sent=0)
        self._finish_fence(due, 0)

    def _drain(self) -> None:
        """Read and drop the bytes that left the engine before the reset."""
        try:
            while True:
                self._device.read(self.config.beat_bytes, 0.0)
        except TimeoutError:
            pass


def _text(head: PacketHeader) -> str:
    return (
        f"a {head.kind.name} packet of {head.length} beats with tag {head.tag} "
        f"to command {head.command}"
    )
