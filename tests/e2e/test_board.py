"""The runtime, unchanged, computes layers on a board's Verilog through its serial pins."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from summand.boards.link.link import LinkConfig
from summand.boards.link.uart import Baud
from summand.boards.uart_top import UartTop
from summand.golden import without_counters
from summand.golden.programs import random_program
from summand.isa import EngineConfig
from summand.isa.registers import IDENTITY
from summand.rtl.emit import emit_verilog
from summand.runtime import Driver
from summand.runtime.errors import DeviceError
from summand.runtime.serial import SerialDevice
from summand.runtime.verify import Shape, compare, random_layer
from summand.verilated import ToolError, find_verilator

pytestmark = pytest.mark.sim
pytest.importorskip("serial")

CONFIG = EngineConfig(
    rows=2, cols=4, depth=16, stream_bits=64, acc_depth=32, act_depth=4, requant_depth=16, shift=4
)
#: As on the ULX3S: bits are no whole number of cycles.
CLOCK, BAUD = 25_000_000, 3_000_000

#: What the simulation carries at least, bits a second: the host's timeouts follow from it.
SIMULATED_BAUD = 38_400

_BRIDGE = Path(__file__).with_name("board_bridge.cpp")


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The board's simulator."""
    try:
        tool = find_verilator()
    except ToolError as e:
        pytest.skip(str(e))
    folder = tmp_path_factory.mktemp("bridge")
    top = UartTop(CONFIG, baud=Baud(clock_hz=CLOCK, rate=BAUD), link=LinkConfig())
    verilog = emit_verilog(top, name="summand_board", config=CONFIG)
    (folder / "summand_board.v").write_text(verilog)
    shutil.copy(_BRIDGE, folder)
    flags = ["-O3", "-Wno-fatal", "-Wno-lint", "--x-initial", "fast"]
    sources = ["--top-module", "summand_board", "summand_board.v", _BRIDGE.name]
    tool.run([tool.executable, "--cc", "--exe", "-Mdir", "obj", *flags, *sources], folder)
    make = ["make", "-C", "obj", "-f", "Vsummand_board.mk", "-j2", "OPT_FAST=-O2", "OPT_SLOW=-O0"]
    tool.run(make, folder)
    return folder / "obj" / "Vsummand_board"


@contextmanager
def _board(bridge: Path, *, harm: int = 0, seed: int = 1) -> Iterator[str]:
    """Power a board up; gives the name of its serial port. ``harm``: per million bytes."""
    arguments = [str(value) for value in (bridge, CLOCK, BAUD, harm, seed)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("harm", [0, 300, 1000])
def test_layers_are_exact(bridge, harm):
    """Dense and low-rank, more than the engine holds at once, on lines that lose bytes."""
    rng = np.random.default_rng(harm)
    with _board(bridge, harm=harm) as port:
        device = SerialDevice.open(port, CONFIG, baud=SIMULATED_BAUD)
        with Driver(device) as driver:
            for shape in (
                Shape(tokens=3, in_features=40, out_features=20, bits=4),
                Shape(tokens=2, in_features=30, out_features=24, bits=3, rank=6),
            ):
                layer, xq = random_layer(rng, CONFIG, shape)
                assert not compare([layer], driver, xq).wrong
    statistics = device.statistics
    if harm:
        assert statistics.repeats_sent + statistics.repeats_asked > 0
    else:
        assert statistics.repeats_sent + statistics.repeats_asked + statistics.damaged == 0


def test_positions_wrap(bridge):
    """More bytes than positions count, both ways at once."""
    program = random_program(np.random.default_rng(1), CONFIG, commands=1600)
    assert min(len(program.data), len(program.output)) > 1 << 16
    with _board(bridge, harm=20) as port:
        device = SerialDevice.open(port, CONFIG, baud=SIMULATED_BAUD)
        device.write(program.chunks)
        output = device.read(len(program.output), 120)
        device.close()
    assert without_counters(output, CONFIG) == program.output


def test_sessions_follow_each_other(bridge):
    """Cut off anywhere, by a reset and by another program."""
    program = random_program(np.random.default_rng(2), CONFIG)
    with _board(bridge) as port:
        for cut in (1, 100, 1001):
            device = SerialDevice.open(port, CONFIG, baud=SIMULATED_BAUD)
            device.write([program.data[:cut]])
            device.write_register("reset", 1)
            device.write([program.data[:-cut]])
            device.close()
        device = SerialDevice.open(port, CONFIG, baud=SIMULATED_BAUD)
        device.write(program.chunks)
        output = device.read(len(program.output), 30)
        assert without_counters(output, CONFIG) == program.output
        assert device.read_register("identity") == IDENTITY
        assert device.read_register("status") == 0
        device.close()


def test_a_board_that_dies_is_an_error(bridge):
    with _board(bridge) as port:
        device = SerialDevice.open(port, CONFIG, baud=SIMULATED_BAUD)
    with pytest.raises(DeviceError, match=f"serial port {port} has gone"):
        device.read_register("identity")
    device.close()
