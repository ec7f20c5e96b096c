"""The runtime's device over a line, against a model of the board."""

import os
import select
import threading
import tty

import numpy as np
import pytest

from summand.boards.link.host import LinePace
from summand.golden import GoldenEngine, without_counters
from summand.isa import EngineConfig
from summand.isa.registers import IDENTITY
from summand.runtime.errors import DeviceError, DeviceTimeout
from summand.runtime.line import LineDevice
from summand.runtime.serial import SERIAL_WORDS, SerialLine
from summand.stimulus.programs import random_program

CONFIG = EngineConfig(rows=2, cols=4, depth=16, stream_bits=64, acc_depth=32, act_depth=4)

pytestmark = pytest.mark.needs("pyserial")


class ModelLine:
    """A line to a model board, with a simulated time."""

    words = SERIAL_WORDS

    def __init__(self, board, to_board, to_host, *, baud, told=None):
        self._board, self._to_board, self._to_host = board, to_board, to_host
        self._byte_s = 10 / baud
        self.pace = LinePace.of_uart(told or baud)
        self._arrived = b""
        self.now = 0.0
        self.closed = False

    def write(self, data):
        self.now += len(data) * self._byte_s
        self._arrived += self._to_host(self._board(self._to_board(data)))

    def read(self, timeout_s):
        if not self._arrived:
            self.now += timeout_s
        data, self._arrived = self._arrived, b""
        return data

    def close(self):
        self.closed = True


class SlowLine(ModelLine):
    """A line that accepts bytes at once and passes them on at its own rate, frame by frame."""

    def __init__(self, board, *, baud, told):
        super().__init__(board, None, None, baud=baud, told=told)
        self._under_way = []  # when they reach the board, and bytes
        self._free = 0.0  # time when the line has passed all its bytes

    def write(self, data):
        for frame in data.split(b"\x7e"):
            self._free = max(self._free, self.now) + (len(frame) + 1) * self._byte_s
            self._under_way.append((self._free, frame + b"\x7e"))

    def read(self, timeout_s):
        self.now += timeout_s
        while self._under_way and self._under_way[0][0] <= self.now:
            self._arrived += self._board(self._under_way.pop(0)[1])
        data, self._arrived = self._arrived, b""
        return data


def _device(model_board, to_board, to_host, baud=1_000_000):
    line = ModelLine(model_board(GoldenEngine(CONFIG)), to_board, to_host, baud=baud)
    return LineDevice(CONFIG, line, clock=lambda: line.now), line


def _check_program(device, seed, commands=24):
    program = random_program(np.random.default_rng(seed), CONFIG, commands=commands)
    device.write(program.chunks)
    output = device.read(len(program.output), 30)
    assert without_counters(output, CONFIG) == program.output
    return program


@pytest.mark.parametrize("harm", [0, 0.0003, 0.003])
@pytest.mark.parametrize("kind", ["flip", "drop", "double"])
def test_programs_run_on_any_line(model_board, noise, kind, harm):
    device, _ = _device(model_board, noise(seed=1, **{kind: harm}), noise(seed=2, **{kind: harm}))
    for seed in range(5):
        _check_program(device, seed)
        device.write_register("reset", 1)
    assert device.read_register("identity") == IDENTITY
    if harm == 0:
        assert device.statistics.repeats_sent == 0


@pytest.mark.parametrize("to_board", [0, 0.01])
@pytest.mark.parametrize("to_host", [0, 0.01])
def test_a_line_that_passes_nothing_is_blamed(model_board, noise, to_board, to_host):
    """With one byte in a hundred damaged, hardly a frame of 512 bytes arrives whole."""
    device, _ = _device(model_board, noise(seed=1, flip=to_board), noise(seed=2, flip=to_host))
    if to_board or to_host:
        with pytest.raises(DeviceError, match="the line damages too many bytes: .* a lower rate"):
            _check_program(device, 0, commands=100)
    else:
        device.write([bytes(8)])
        with pytest.raises(DeviceTimeout, match="the board gave .* within 0.5 s"):
            device.read(800, 0.5)


def test_positions_wrap(model_board, noise):
    """More bytes each way than positions can count, in one transfer and on a bad line."""
    device, _ = _device(model_board, noise(drop=3e-5, seed=1), noise(flip=3e-5, seed=2))
    program = _check_program(device, 1, commands=2000)
    assert min(len(program.data), len(program.output)) > 1 << 16
    assert device.statistics.repeats_sent > 0
    assert device.statistics.repeats_asked > 0


@pytest.mark.parametrize("baud", [30_000, 100_000, 1_000_000])
def test_a_line_slower_than_told_is_waited_for(model_board, baud):
    """The host learns the line's pace, instead of repeating bytes that are under way."""
    line = SlowLine(model_board(GoldenEngine(CONFIG)), baud=baud, told=3_000_000)
    device = LineDevice(CONFIG, line, clock=lambda: line.now)
    program = _check_program(device, 1, commands=1000)
    assert len(program.data) > 40_000
    assert device.statistics.repeats_sent <= 5


def test_reset_empties_both_directions(model_board, noise):
    device, _ = _device(model_board, noise(), noise())
    program = random_program(np.random.default_rng(1), CONFIG)
    device.write([program.data[:-8]])
    device.write_register("reset", 1)
    with pytest.raises(DeviceTimeout, match="gave 0 of 8 bytes within 0.5 s"):
        device.read(8, 0.5)
    _check_program(device, 2)


def test_a_restarted_board_is_noticed(model_board, noise):
    board = model_board(GoldenEngine(CONFIG))
    line = ModelLine(board, noise(), noise(), baud=1_000_000)
    device = LineDevice(CONFIG, line, clock=lambda: line.now)
    board.power_up()
    with pytest.raises(DeviceError, match="the board was restarted"):
        device.read_register("identity")


def test_a_silent_board_is_an_error(model_board, noise):
    with pytest.raises(DeviceError, match="has not answered for .* bitstream is loaded"):
        _device(model_board, noise(), noise(drop=1.0))


class Pty:
    """A model board behind a pseudo-terminal."""

    def __init__(self, board):
        self._board = board
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.name = os.ttyname(self.slave)
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            ready, _, _ = select.select([self.master, self._stop], [], [])
            if self._stop in ready:
                return
            answer = self._board(os.read(self.master, 4096))
            while answer:
                answer = answer[os.write(self.master, answer) :]

    def unplug(self):
        """Take the port away; idempotent."""
        if self._thread.is_alive():
            os.write(self._wake, b"x")
            self._thread.join()
            for fd in (self.master, self.slave, self._stop, self._wake):
                os.close(fd)


@pytest.fixture
def pty(model_board):
    pty = Pty(model_board(GoldenEngine(CONFIG)))
    yield pty
    pty.unplug()


def test_a_serial_port(pty):
    device = LineDevice(CONFIG, SerialLine(pty.name, 115200))
    _check_program(device, 1, commands=60)
    assert device.read_register("identity") == IDENTITY
    device.close()


def test_an_absent_port():
    with pytest.raises(DeviceError, match="there is no serial port /dev/ttyNONE; there are: "):
        SerialLine("/dev/ttyNONE", 115200)


def test_a_busy_port(pty):
    device = LineDevice(CONFIG, SerialLine(pty.name, 115200))
    with pytest.raises(DeviceError, match=f"port {pty.name} is busy; close the program"):
        LineDevice(CONFIG, SerialLine(pty.name, 115200))
    device.close()


def test_a_port_unplugged(pty):
    device = LineDevice(CONFIG, SerialLine(pty.name, 115200))
    pty.unplug()
    with pytest.raises(DeviceError, match=f"serial port {pty.name} has gone"):
        device.read(16, 5)
    device.close()
