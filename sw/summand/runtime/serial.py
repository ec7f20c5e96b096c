"""An engine at the other end of a serial port."""

import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from summand.boards.link.host import HostLink, LinkStatistics
from summand.boards.link.protocol import LinkError
from summand.isa import EngineConfig
from summand.isa.registers import register
from summand.runtime.errors import DeviceError, DeviceTimeout

__all__ = ["Line", "SerialDevice", "SerialLine"]

#: How long one read waits for bytes: enough for the line to bring some.
_NAP_S = 0.002

#: Bytes of frames given to the line at a time.
_WRITE_BYTES = 4096

#: How long the line may take to accept them.
_WRITE_S = 20

#: How long an engine may accept no bytes before a write fails. No command takes so long.
_STUCK_S = 60

#: A failed call blames the line if, since the call began, one frame in so many came damaged, or
#: bytes were repeated so many times.
_BAD_SHARE, _BAD_REPEATS = 10, 10


class Line(Protocol):
    """Something that carries bytes both ways, and may lose or damage some."""

    def write(self, data: bytes) -> None:
        """Send bytes; returns when they are sent or queued."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived, waiting up to ``timeout_s`` for the first byte."""
        ...

    def close(self) -> None:
        """Release the line."""
        ...


class SerialLine:
    """A serial port.

    Parameters
    ----------
    port : str
        Its name, such as ``/dev/ttyUSB0`` or ``COM3``, or any URL that pyserial knows.
    baud : int
        Bits a second.

    Raises
    ------
    DeviceError
        In the constructor, if the port is absent, busy or refused; in all methods, if it has gone.
    """

    def __init__(self, port: str, baud: int):
        import serial  # here, because users of other devices need not install this extra

        self._port = port
        self._stuck = serial.SerialTimeoutException
        self._errors = (serial.SerialException, OSError, TypeError)
        try:
            self._serial = serial.serial_for_url(
                port,
                baudrate=baud,
                timeout=0,
                write_timeout=_WRITE_S + _WRITE_BYTES * 20 / baud,
                exclusive=True,
            )
        except (serial.SerialException, OSError, ValueError) as e:
            raise DeviceError(_refusal(port, baud, e)) from None
        # USB adapters gather bytes for 16 ms by default; without this mode they go on doing so.
        quicken = getattr(self._serial, "set_low_latency_mode", None)  # Linux only
        if quicken is not None:
            with contextlib.suppress(NotImplementedError, OSError, ValueError):
                quicken(True)

    def write(self, data: bytes) -> None:
        """Send bytes; returns when the operating system has them."""
        try:
            self._serial.write(data)
        except self._stuck:
            raise DeviceError(
                f"the serial port {self._port} takes no bytes; unplug the board, plug it in, and "
                f"start again"
            ) from None
        except self._errors as e:
            raise self._gone(e) from None

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived."""
        try:
            data = self._serial.read(max(1, self._serial.in_waiting))
            if not data and timeout_s:
                self._serial.timeout = timeout_s
                data = self._serial.read(1)
                self._serial.timeout = 0
        except self._errors as e:
            raise self._gone(e) from None
        return data

    def close(self) -> None:
        """Close the port."""
        self._serial.close()

    def _gone(self, error: Exception) -> DeviceError:
        return DeviceError(
            f"the serial port {self._port} has gone ({error}); plug the board in, and start again"
        )


def _refusal(port: str, baud: int, error: Exception) -> str:
    """Say why a port could not be opened, and what to do."""
    text, number = str(error).lower(), getattr(error, "errno", None)
    if number == 2 or "could not find" in text or "filenotfound" in text:
        from serial.tools import list_ports

        others = ", ".join(sorted(p.device for p in list_ports.comports())) or "none"
        return f"there is no serial port {port}; there are: {others}"
    if number in (11, 16) or "lock" in text or "busy" in text:
        return f"the serial port {port} is busy; close the program that uses it"
    if number == 13 or "permission" in text or "access is denied" in text:
        return (
            f"the serial port {port} is not yours to open, or busy; give your user the right to it "
            f"(on Linux: the group dialout), or close the program that uses it"
        )
    return f"the serial port {port} cannot be opened at {baud} baud: {error}"


class SerialDevice:
    """An engine behind a :class:`~summand.boards.uart_top.UartTop`; a
    :class:`~summand.runtime.device.Device`.

    Bytes lost or damaged on the line are sent again, both ways, transparently. Opening resets the
    engine.

    Parameters
    ----------
    config : EngineConfig
        The engine's, as expected; the driver compares its digest with the registers.
    line : Line
        The line to the board; closed with the device.
    baud : int
        Bits a second on the line; timeouts follow from it.
    clock : callable
        The time in seconds.

    Raises
    ------
    DeviceError
        In the constructor and all methods, if the board does not answer, was restarted or has gone.
    """

    def __init__(
        self,
        config: EngineConfig,
        line: Line,
        *,
        baud: int,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._config = config
        self._line = line
        self._clock = clock
        self._link = HostLink(rate=baud)
        #: The link's statistics at the start of the present call.
        self._before = LinkStatistics()
        # A random start, so that a board that is still in a session notices the new one.
        self._session = random.SystemRandom().randint(1, 255)
        try:
            self._open()
        except DeviceError:
            line.close()
            raise

    @classmethod
    def open(cls, port: str, config: EngineConfig, *, baud: int) -> "SerialDevice":
        """Open a serial port and connect to the board there."""
        return cls(config, SerialLine(port, baud), baud=baud)

    @property
    def config(self) -> EngineConfig:
        """The configuration that this engine is believed to have."""
        return self._config

    @property
    def statistics(self) -> LinkStatistics:
        """Counts of what the link lost and sent again so far."""
        return self._link.statistics

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Send bytes; returns when all have been sent once. Lost ones are sent again later."""
        self._before = replace(self.statistics)
        self._link.send(chunks)
        taken, since = self._link.acknowledged, self._clock()
        while self._link.unsent:
            self._pump(listening=False)
            if self._link.acknowledged != taken:
                taken, since = self._link.acknowledged, self._clock()
            elif self._clock() - since > _STUCK_S:
                raise DeviceTimeout(
                    self._bad_line()
                    or f"the engine has taken no byte for {_STUCK_S} s; reset it and start again"
                )

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        """Return exactly ``nbytes`` of the output stream."""
        self._before = replace(self.statistics)
        received = self._link.received
        deadline = self._clock() + timeout_s
        while len(received) < nbytes:
            if self._clock() > deadline:
                raise DeviceTimeout(
                    self._bad_line()
                    or f"the board gave {len(received)} of {nbytes} bytes within {timeout_s:g} s; "
                    f"it waits for more input, or an error stopped it"
                )
            self._pump(listening=True)
        data = bytes(received[:nbytes])
        del received[:nbytes]
        return data

    def read_register(self, name: str) -> int:
        """Return a register's value."""
        return self._access(write=False, name=name, value=0)

    def write_register(self, name: str, value: int) -> None:
        """Write a register. ``reset`` begins a new session, which empties both directions too."""
        if name == "reset":
            if value & 1:
                self._open()
        else:
            self._access(write=True, name=name, value=value)

    def close(self) -> None:
        """Close the line."""
        self._line.close()

    def _open(self) -> None:
        self._before = replace(self.statistics)
        self._session = self._session % 255 + 1
        self._link.open(self._session)
        while not self._link.is_open:
            self._pump(listening=False)

    def _access(self, *, write: bool, name: str, value: int) -> int:
        self._before = replace(self.statistics)
        self._link.request(write=write, offset=register(name).offset, value=value)
        while (answer := self._link.answer()) is None:
            self._pump(listening=False)
        return answer

    def _pump(self, *, listening: bool) -> None:
        """Move bytes between line and link once."""
        try:
            # Bytes that have arrived are handled before timeouts are checked.
            self._link.receive(self._line.read(0), self._clock())
            data = self._link.transmit(self._clock(), listening=listening, budget=_WRITE_BYTES)
            if data:
                self._line.write(data)
            else:
                self._link.receive(self._line.read(_NAP_S), self._clock())
        except LinkError as e:
            raise DeviceError(self._bad_line() or str(e)) from None

    def _bad_line(self) -> str | None:
        """Return an error's text if so many frames were damaged that nothing gets through."""
        seen, before = self.statistics, self._before
        damaged = seen.damaged - before.damaged
        whole = seen.frames_received - before.frames_received
        repeats = seen.repeats_sent - before.repeats_sent
        nothing = not damaged + whole  # the board is silent, which has other causes
        if nothing or (damaged * _BAD_SHARE < whole and repeats < _BAD_REPEATS):
            return None
        return (
            f"the line damages too many bytes: {damaged:,} of {damaged + whole:,} frames from the "
            f"board came damaged, and bytes to it went {repeats:,} times again; take a shorter "
            f"cable or another port, or build the board for a lower rate"
        )
