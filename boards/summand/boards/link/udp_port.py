"""A port of LiteEth's UDP core, as its user sees it, and the line that is open there."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.boards.link.datagrams import LINES, WORD_BYTES

__all__ = ["LineLayout", "UdpSink", "UdpSource"]

_PORT = {"valid": Out(1), "ready": In(1), "last": Out(1), "data": Out(8 * WORD_BYTES)}
_ENDS = {"ip_address": Out(32), "src_port": Out(16), "dst_port": Out(16)}


class UdpSource(wiring.Signature):
    """Datagrams that have arrived, a word at a time, the first byte lowest.

    Members
    -------
    valid, last : ``Out(1)``
        There is a word; it is the datagram's last.
    ready : ``In(1)``
        It is taken.
    data : ``Out(32)``
        The word.
    error : ``Out(1)``
        With ``last``: the datagram is damaged.
    ip_address : ``Out(32)``
        Who sent it.
    src_port, dst_port : ``Out(16)``
        The sender's port, and the own one.
    """

    def __init__(self):
        super().__init__(_PORT | _ENDS | {"error": Out(1)})


class UdpSink(wiring.Signature):
    """Datagrams to be sent, a word at a time, the first byte lowest.

    Members
    -------
    valid, last : ``Out(1)``
        There is a word; it is the datagram's last.
    ready : ``In(1)``
        It is taken.
    data : ``Out(32)``
        The word.
    last_be : ``Out(4)``
        With ``last``: which byte is the last, always the highest; else 0.
    length : ``Out(16)``
        Bytes of the datagram; ``length`` and what follows are stable from its first word on.
    ip_address : ``Out(32)``
        To whom it goes.
    src_port, dst_port : ``Out(16)``
        The own port, and the receiver's.
    """

    def __init__(self):
        super().__init__(_PORT | _ENDS | {"last_be": Out(WORD_BYTES), "length": Out(16)})


class LineLayout(data.StructLayout):
    """The line that is open.

    Members
    -------
    number : 24
        The line's.
    ip_address : 32
        The host's.
    host_port, own_port : 16
        The ports at both ends.
    """

    def __init__(self):
        super().__init__(
            {"number": range(LINES), "ip_address": 32, "host_port": 16, "own_port": 16}
        )
