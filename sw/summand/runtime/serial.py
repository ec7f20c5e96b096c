"""Serial ports, as lines to boards."""

import contextlib

from summand.boards.link.host import LinePace
from summand.runtime.errors import DeviceError
from summand.runtime.line import WRITE_BYTES, LineWords

__all__ = ["SERIAL_WORDS", "SerialLine"]

#: How errors speak of serial lines.
SERIAL_WORDS = LineWords(
    board="the board",
    silence="check that it is powered, that its bitstream is loaded and that the baud rate is the "
    "bitstream's",
    harm="the line damages too many bytes",
    remedy="take a shorter cable or another port, or build the board for a lower rate",
)

#: How long the line may take to accept what it is given at a time.
_WRITE_S = 20


class SerialLine:
    """A serial port; a :class:`~summand.runtime.line.Line`.

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
        self._pace = LinePace.of_uart(baud)
        self._stuck = serial.SerialTimeoutException
        self._errors = (serial.SerialException, OSError, TypeError)
        try:
            self._serial = serial.serial_for_url(
                port,
                baudrate=baud,
                timeout=0,
                write_timeout=_WRITE_S + WRITE_BYTES * 20 / baud,
                exclusive=True,
            )
        except (serial.SerialException, OSError, ValueError) as e:
            raise DeviceError(_refusal(port, baud, e)) from None
        # USB adapters gather bytes for 16 ms by default; without this mode they go on doing so.
        quicken = getattr(self._serial, "set_low_latency_mode", None)  # Linux only
        if quicken is not None:
            with contextlib.suppress(NotImplementedError, OSError, ValueError):
                quicken(True)

    @property
    def pace(self) -> LinePace:
        """That of the line's rate."""
        return self._pace

    @property
    def words(self) -> LineWords:
        """How errors speak of serial lines."""
        return SERIAL_WORDS

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
