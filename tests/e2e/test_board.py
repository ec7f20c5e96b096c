"""The runtime, unchanged, computes layers on a board's Verilog through its serial pins."""

import numpy as np
import pytest

from summand.golden import without_counters
from summand.isa.registers import IDENTITY
from summand.runtime import Driver
from summand.runtime.errors import DeviceError
from summand.runtime.line import LineDevice
from summand.runtime.serial import SerialLine
from summand.runtime.verify import Shape, compare, random_layer
from summand.stimulus.programs import random_program

pytestmark = [pytest.mark.sim, pytest.mark.needs("pyserial")]

#: Least rate of the simulation, bits a second; the host's timeouts follow from it.
SIMULATED_BAUD = 38_400


@pytest.mark.parametrize("harm", [0, 300, 1000])
def test_layers_are_exact(simulated_board, harm):
    """Dense and low-rank, more than the engine holds at once, on lines that lose bytes."""
    rng = np.random.default_rng(harm)
    with simulated_board.power(harm=harm) as port:
        device = LineDevice(simulated_board.CONFIG, SerialLine(port, SIMULATED_BAUD))
        with Driver(device) as driver:
            for shape in (
                Shape(tokens=3, in_features=40, out_features=20, bits=4),
                Shape(tokens=2, in_features=30, out_features=24, bits=3, rank=6),
            ):
                layer, xq = random_layer(rng, simulated_board.CONFIG, shape)
                assert not compare([layer], driver, xq).wrong
    statistics = device.statistics
    if harm:
        assert statistics.repeats_sent + statistics.repeats_asked > 0
    else:
        assert statistics.repeats_sent + statistics.repeats_asked + statistics.damaged == 0


def test_layers_are_exact_in_the_primitives_of_the_boards(simulated_ecp5_board):
    """A layer, on a line that loses bytes."""
    board = simulated_ecp5_board
    with board.power(harm=300) as port:
        with Driver(LineDevice(board.CONFIG, SerialLine(port, SIMULATED_BAUD))) as driver:
            shape = Shape(tokens=2, in_features=30, out_features=24, bits=3, rank=6)
            layer, xq = random_layer(np.random.default_rng(5), board.CONFIG, shape)
            assert not compare([layer], driver, xq).wrong


def test_positions_wrap(simulated_board):
    """More bytes than positions count, both ways at once."""
    program = random_program(np.random.default_rng(1), simulated_board.CONFIG, commands=1250)
    assert min(len(program.data), len(program.output)) > 1 << 16
    with simulated_board.power(harm=20) as port:
        device = LineDevice(simulated_board.CONFIG, SerialLine(port, SIMULATED_BAUD))
        device.write(program.chunks)
        output = device.read(len(program.output), 120)
        device.close()
    assert without_counters(output, simulated_board.CONFIG) == program.output


def test_sessions_follow_each_other(simulated_board):
    """Sessions are cut off anywhere, by a reset and by another program."""
    program = random_program(np.random.default_rng(2), simulated_board.CONFIG)
    with simulated_board.power() as port:
        for cut in (1, 100, 1001):
            device = LineDevice(simulated_board.CONFIG, SerialLine(port, SIMULATED_BAUD))
            device.write([program.data[:cut]])
            device.write_register("reset", 1)
            device.write([program.data[:-cut]])
            device.close()
        device = LineDevice(simulated_board.CONFIG, SerialLine(port, SIMULATED_BAUD))
        device.write(program.chunks)
        output = device.read(len(program.output), 30)
        assert without_counters(output, simulated_board.CONFIG) == program.output
        assert device.read_register("identity") == IDENTITY
        assert device.read_register("status") == 0
        device.close()


def test_a_board_that_dies_is_an_error(simulated_board):
    with simulated_board.power() as port:
        device = LineDevice(simulated_board.CONFIG, SerialLine(port, SIMULATED_BAUD))
    with pytest.raises(DeviceError, match=f"serial port {port} has gone"):
        device.read_register("identity")
    device.close()
