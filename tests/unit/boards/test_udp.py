"""The runtime's device over UDP: a network with a simulated time, and sockets."""

import heapq
import random
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.boards.link.datagrams import DATAGRAM_BYTES, UDP_PORT, DatagramLine, longest_frame
from summand.boards.link.protocol import PROTOCOL, Frame, FrameKind
from summand.golden import GoldenEngine, without_counters
from summand.isa import EngineConfig, SummandError
from summand.isa.registers import IDENTITY
from summand.runtime.errors import DeviceError, DeviceTimeout
from summand.runtime.line import LineDevice
from summand.runtime.udp import UDP_PACE, UdpLine, udp_address, udp_words
from summand.stimulus.programs import random_program

CONFIG = EngineConfig(rows=2, cols=4, depth=16, stream_bits=64, acc_depth=32, act_depth=4)


class ModelUdpBoard:
    """A model of a board behind datagrams, written from docs/link.md."""

    def __init__(self, board):
        self._board = board
        self.power_up()

    def power_up(self):
        self._board.power_up()
        self._line = -1  # none
        self._last = self._sent = 0

    def __call__(self, datagram):
        """Take a datagram, return those that answer it."""
        assert len(datagram) <= 1400
        assert len(datagram) % 4 == 0
        sequence, line = (int.from_bytes(datagram[i : i + 4], "little") for i in (0, 4))
        line, begins = line & 0xFFFFFF, line >> 24
        if line != self._line:
            if not begins:
                return []
            self._line, self._sent = line, 0
        elif not 1 <= (sequence - self._last) % 2**32 < 2**31:
            return []
        self._last = sequence
        frames = self._board(datagram[8:]).split(b"\x7e\x7e")
        return [self._wrap(b"\x7e" + frame.strip(b"\x7e") + b"\x7e") for frame in frames if frame]

    def _wrap(self, frames):
        header = self._sent.to_bytes(4, "little") + self._line.to_bytes(4, "little")
        self._sent += 1
        return header + frames + bytes(-len(frames) % 4 * [0x7E])


@dataclass(frozen=True, kw_only=True)
class Harm:
    """Probabilities with which a network loses, doubles and delays a datagram."""

    lose: float = 0.0
    double: float = 0.0
    delay: float = 0.0


class ModelNetwork:
    """A network to a model board, with a simulated time; delays let datagrams overtake others."""

    pace = UDP_PACE
    words = udp_words("board:2000")

    def __init__(self, board, harm, seed, *, trip_s=1e-4, delay_s=0.003):
        self.board = board
        self.harm = harm
        self._rng = random.Random(seed)
        self._trip_s, self._delay_s = trip_s, delay_s
        self._datagrams = DatagramLine(self._rng.randrange(1 << 24))
        self._under_way = []  # when they arrive, their number, whether at the board, themselves
        self._number = 0
        self.late = 0
        self.now = 0.0

    @property
    def dropped(self):
        return self._datagrams.dropped

    def write(self, data):
        for datagram in self._datagrams.wrap(data):
            self.now += len(datagram) * 8e-9
            self._carry(datagram, self.now, to_board=True)

    def read(self, timeout_s):
        deadline, arrived = self.now + timeout_s, b""
        while self._under_way and (self._under_way[0][0] <= self.now or not arrived):
            at, _, to_board, datagram = self._under_way[0]
            if at > deadline:
                break
            heapq.heappop(self._under_way)
            self.now = max(self.now, at)
            if to_board:
                for answer in self.board(datagram):
                    self._carry(answer, at, to_board=False)
            else:
                arrived += self._datagrams.unwrap(datagram)
        if not arrived:
            self.now = deadline
        return arrived

    def close(self):
        pass

    def _carry(self, datagram, now, *, to_board):
        if self._rng.random() < self.harm.lose:
            return
        for _ in range(1 + (self._rng.random() < self.harm.double)):
            late = self._rng.random() < self.harm.delay
            self.late += late
            trip_s = self._trip_s + late * self._rng.random() * self._delay_s
            heapq.heappush(self._under_way, (now + trip_s, self._number, to_board, datagram))
            self._number += 1


def _device(model_board, harm, seed, **network):
    board = ModelUdpBoard(model_board(GoldenEngine(CONFIG)))
    line = ModelNetwork(board, harm, seed, **network)
    return LineDevice(CONFIG, line, clock=lambda: line.now), line


def _check_program(device, seed, commands=24):
    program = random_program(np.random.default_rng(seed), CONFIG, commands=commands)
    device.write(program.chunks)
    output = device.read(len(program.output), 30)
    assert without_counters(output, CONFIG) == program.output
    return program


def test_a_good_network_needs_no_repetition(model_board):
    device, line = _device(model_board, Harm(), 1)
    _check_program(device, 1, commands=400)
    statistics = device.statistics
    assert (statistics.repeats_sent, statistics.repeats_asked, statistics.damaged) == (0, 0, 0)
    assert line.dropped == 0


_probability = st.sampled_from([0.0, 0.001, 0.01, 0.1])


@settings(max_examples=40)
@given(
    harm=st.builds(Harm, lose=_probability, double=_probability, delay=_probability),
    seed=st.integers(0, 10_000),
    delay_s=st.sampled_from([0.0005, 0.01, 0.3]),
)
def test_programs_run_on_any_network(model_board, harm, seed, delay_s):
    """Nothing is lost, doubled or reordered, in several sessions of one line."""
    device, _ = _device(model_board, harm, seed, delay_s=delay_s)
    for n in range(2):
        _check_program(device, seed + n)
        device.write_register("reset", 1)
    assert device.read_register("identity") == IDENTITY


def test_positions_wrap_beside_late_datagrams(model_board):
    """Datagrams that come 64 KiB of stream late would be taken for new ones by position alone."""
    device, line = _device(model_board, Harm(double=0.05, delay=0.05), 3, delay_s=0.05)
    program = _check_program(device, 1, commands=2000)
    assert min(len(program.data), len(program.output)) > 1 << 16
    assert line.late > 20
    assert line.dropped > 10


def test_a_loss_at_the_end_costs_milliseconds(model_board):
    """No later frame shows it, so a timer does, which fits round trips of a fraction of one."""
    device, line = _device(model_board, Harm(), 1)
    device.read_register("identity")
    line.harm, begin = Harm(lose=1.0), line.now
    program = random_program(np.random.default_rng(1), CONFIG, commands=4)
    device.write(program.chunks)
    line.harm = Harm()
    output = device.read(len(program.output), 30)
    assert without_counters(output, CONFIG) == program.output
    assert device.statistics.repeats_sent == 1
    assert line.now - begin < 0.02


def test_a_restarted_board_is_an_error(model_board):
    device, line = _device(model_board, Harm(), 1)
    line.board.power_up()
    with pytest.raises(
        DeviceError, match=r"board at board:2000 has not .* it is off, .* restarted"
    ):
        device.read_register("identity")
    assert line.now < 4


def test_a_board_that_dies_in_a_write_is_not_taken_for_a_bad_network(model_board):
    device, line = _device(model_board, Harm(lose=0.02), 1)
    program = random_program(np.random.default_rng(1), CONFIG, commands=1000)
    line.board.power_up()
    with pytest.raises(DeviceError, match="has not answered for .* connect to it anew"):
        device.write(program.chunks)
    assert line.now < 10


def test_a_network_that_loses_too_much_is_blamed(model_board):
    device, line = _device(model_board, Harm(), 1)
    line.harm = Harm(lose=0.7)
    program = random_program(np.random.default_rng(1), CONFIG, commands=400)
    device.write(program.chunks)
    with pytest.raises(DeviceError, match="between here and board:2000 loses too much: .* switch"):
        device.read(len(program.output), 0.2)


def test_another_host_is_noticed_by_the_first(model_board):
    """Datagrams of the first are no longer taken; one that begins a line takes the board."""
    device, line = _device(model_board, Harm(), 1)
    other = ModelNetwork(line.board, Harm(), 2)
    second = LineDevice(CONFIG, other, clock=lambda: other.now)
    with pytest.raises(DeviceError, match="opened by another program"):
        device.read_register("identity")
    _check_program(second, 1)


class Echo:
    """Answers at a UDP port like a model board."""

    def __init__(self, board):
        self._board = board
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            datagram, where = self._socket.recvfrom(2048)
            if not datagram:
                return
            for answer in self._board(datagram):
                self._socket.sendto(answer, where)

    def stop(self):
        """Free the port; idempotent."""
        if self._thread.is_alive():
            self._socket.sendto(b"", ("127.0.0.1", self.port))
            self._thread.join()
        self._socket.close()


@pytest.fixture
def echo(model_board):
    echo = Echo(ModelUdpBoard(model_board(GoldenEngine(CONFIG))))
    yield echo
    echo.stop()


def test_a_socket(echo):
    device = LineDevice(CONFIG, UdpLine("localhost", echo.port))
    _check_program(device, 1, commands=60)
    assert device.read_register("identity") == IDENTITY
    device.write([bytes(8)])
    with pytest.raises(DeviceTimeout, match=f"board at localhost:{echo.port} gave .* within 0.1 s"):
        device.read(800, 0.1)
    device.close()


def test_a_port_where_nothing_listens(echo):
    echo.stop()
    with pytest.raises(DeviceError, match=f"nothing listens at 127.0.0.1:{echo.port}; check the p"):
        LineDevice(CONFIG, UdpLine("127.0.0.1", echo.port))


def test_a_board_that_goes(echo):
    device = LineDevice(CONFIG, UdpLine("127.0.0.1", echo.port))
    echo.stop()
    with pytest.raises(DeviceError, match=f"nothing listens at 127.0.0.1:{echo.port}"):
        device.read_register("identity")
    device.close()


def test_an_unknown_host():
    with pytest.raises(DeviceError, match="there is no host nowhere.invalid with an IPv4 address"):
        UdpLine("nowhere.invalid")
    with pytest.raises(DeviceError, match=f"there is no host {'x' * 64} "):
        UdpLine("x" * 64)


def test_an_address_that_cannot_be_reached():
    """One of a network that no host may send to."""
    with pytest.raises(DeviceError, match="255.255.255.255:2000 cannot be reached .*; check addr"):
        UdpLine("255.255.255.255")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.168.1.50", ("192.168.1.50", UDP_PORT)),
        ("fpga.lan:4000", ("fpga.lan", 4000)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_addresses(text, address):
    assert udp_address(text) == address


@pytest.mark.parametrize(
    "text", ["", ":2000", "host:", "host:0", "host:65536", "host:x", "host:-1", "::1", "host:²"]
)
def test_bad_addresses(text):
    with pytest.raises(SummandError, match=r"udp:HOST\[:PORT\] takes .*, not "):
        udp_address(text)


def test_datagrams_hold_whole_frames():
    """As many as fit, the longest alone."""
    rng = random.Random(1)
    frames = [b"\x7e" + rng.randbytes(n).replace(b"\x7e", b"x") + b"\x7e" for n in range(12, 1390)]
    line = DatagramLine(0xABCDEF)
    got, before = b"", 0
    for n, datagram in enumerate(line.wrap(b"".join(frames))):
        assert datagram[:8] == n.to_bytes(4, "little") + b"\xef\xcd\xab\x01"
        assert len(datagram) % 4 == 0
        body = datagram[8:].rstrip(b"\x7e") + b"\x7e"
        first = body.index(b"\x7e", 1) + 1
        assert before == 0 or before + first > DATAGRAM_BYTES
        got, before = got + body, 8 + len(body)
    assert got == b"".join(frames)
    assert longest_frame(UDP_PACE.frame_bytes) <= DATAGRAM_BYTES - 8


def test_the_example_of_the_specification():
    frame = Frame(kind=FrameKind.OPEN, session=1, tag=PROTOCOL).encode()
    (datagram,) = DatagramLine(0x123456).wrap(frame)
    text = (Path(__file__).parents[3] / "docs" / "link.md").read_text()
    assert f"\n    {datagram.hex(' ').upper()}\n" in text


def test_a_frame_too_long_for_a_datagram():
    with pytest.raises(ValueError, match="a frame of 1393 bytes does not fit"):
        DatagramLine(1).wrap(b"\x7e" + bytes(1391) + b"\x7e")


def test_lines_have_24_bits():
    with pytest.raises(ValueError, match="line must be 0 to 16777215, not 16777216"):
        DatagramLine(1 << 24)


def test_late_datagrams_are_dropped():
    """As are those of another line, and ones without a header. Sequences wrap."""
    line = DatagramLine(5)

    def taken(sequence, number=5):
        header = (sequence % 2**32).to_bytes(4, "little") + number.to_bytes(4, "little")
        return line.unwrap(header + b"frames") == b"frames"

    first = line.wrap(b"\x7ebody\x7e")[0]
    assert first[7] == 1
    steps = [(2**32 - 9, True), (2**32 - 9, False), (2**32 - 10, False), (3, True), (-1, False)]
    assert [taken(n) for n, _ in steps] == [want for _, want in steps]
    assert not taken(4, number=6)
    assert taken(4)
    assert not taken(4 + 2**31)
    assert line.unwrap(b"short") == b""
    assert line.dropped == 6
    assert line.wrap(b"\x7ebody\x7e")[0][7] == 0
