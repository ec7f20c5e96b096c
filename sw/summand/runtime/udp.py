"""UDP sockets, as lines to boards."""

import random
import socket

from summand.boards.link.datagrams import DATAGRAM_BYTES, LINES, UDP_PORT, DatagramLine
from summand.boards.link.host import LinePace
from summand.isa import SummandError
from summand.runtime.errors import DeviceError
from summand.runtime.line import LineWords

__all__ = ["UDP_PACE", "UdpLine", "udp_address", "udp_words"]

#: A byte of gigabit Ethernet; what operating systems add to round trips of a fraction of a
#: millisecond; and frames of which two fit in a datagram, or one all of escapes.
UDP_PACE = LinePace(byte_s=8e-9, turnaround_s=0.005, frame_bytes=640)

#: How long the operating system may take to accept a datagram.
_WRITE_S = 20


def udp_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST`` or ``HOST:PORT``.

    Raises
    ------
    SummandError
        If it is neither.
    """
    host, colon, digits = text.partition(":")
    port = int(digits) if digits.isascii() and digits.isdigit() else 0
    if not host or (colon and not 0 < port < 1 << 16):
        raise SummandError(
            f"udp:HOST[:PORT] takes a name or an IPv4 address, and a port of 1 to 65535, "
            f"not {text!r}"
        )
    return host, port if colon else UDP_PORT


def udp_words(where: str) -> LineWords:
    """Return how errors speak of a line to ``where``."""
    return LineWords(
        board=f"the board at {where}",
        silence="it is off, has no bitstream, was restarted or was opened by another program, or "
        "the address is another's; see to that, and connect to it anew",
        harm=f"the network between here and {where} loses too much",
        remedy="take another cable or switch, or a path with less traffic",
    )


class UdpLine:
    """A UDP socket; a :class:`~summand.runtime.line.Line`.

    Parameters
    ----------
    host : str
        A name or an IPv4 address.
    port : int
        The board's.

    Raises
    ------
    DeviceError
        In the constructor, if there is no such host; in all methods, if it cannot be reached.
    """

    def __init__(self, host: str, port: int = UDP_PORT):
        self._where = f"{host}:{port}"
        self._datagrams = DatagramLine(random.SystemRandom().randrange(LINES))
        try:
            found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as e:
            raise DeviceError(
                f"there is no host {host} with an IPv4 address ({e}); check the name, or give the "
                f"address, as in udp:192.168.1.50:{port}"
            ) from None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.connect(found[0][4])
        except OSError as e:
            self._socket.close()
            raise self._unreachable(e) from None

    @property
    def pace(self) -> LinePace:
        """That of gigabit Ethernet."""
        return UDP_PACE

    @property
    def words(self) -> LineWords:
        """How errors speak of this line."""
        return udp_words(self._where)

    def write(self, data: bytes) -> None:
        """Send whole frames; returns when the operating system has them."""
        try:
            self._socket.settimeout(_WRITE_S)
            for datagram in self._datagrams.wrap(data):
                self._socket.send(datagram)
        except OSError as e:
            raise self._unreachable(e) from None

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived in time."""
        frames = bytearray()
        try:
            self._socket.settimeout(timeout_s)
            while True:
                frames += self._datagrams.unwrap(self._socket.recv(DATAGRAM_BYTES + 1))
                self._socket.settimeout(0)
        except (BlockingIOError, TimeoutError):
            return bytes(frames)
        except OSError as e:
            raise self._unreachable(e) from None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _unreachable(self, error: OSError) -> DeviceError:
        if isinstance(error, ConnectionRefusedError):
            return DeviceError(
                f"nothing listens at {self._where}; check the port, and that the board there has "
                f"its bitstream, and start again"
            )
        return DeviceError(
            f"{self._where} cannot be reached ({error.strerror or error}); check address, cable "
            f"and network, and start again"
        )
