"""The runtime, unchanged, computes layers on a board's Verilog behind a UDP socket."""

import json
from importlib.resources import files

import numpy as np
import pytest

from summand.cli import main
from summand.cli.devices import DeviceChoice
from summand.golden import without_counters
from summand.isa.registers import IDENTITY
from summand.model import SummandModel
from summand.runtime import Driver, open_device
from summand.runtime.errors import DeviceError
from summand.runtime.line import LineDevice
from summand.runtime.udp import UdpLine
from summand.runtime.verify import Shape, compare, random_layer
from summand.stimulus.programs import random_program

pytestmark = pytest.mark.sim

GOOD = {}
BAD = {"lose": 10_000, "double": 10_000, "late": 20_000}
WORSE = {"lose": 50_000, "double": 50_000, "late": 100_000}


@pytest.mark.parametrize("harm", [GOOD, BAD, WORSE], ids=["good", "bad", "worse"])
def test_layers_are_exact(simulated_udp_board, harm):
    """Dense and low-rank, more than the engine holds at once, on networks of all qualities."""
    rng = np.random.default_rng(len(harm))
    with simulated_udp_board.power(**harm) as port:
        device = open_device(f"udp:127.0.0.1:{port}", simulated_udp_board.CONFIG)
        assert isinstance(device, LineDevice)
        with Driver(device) as driver:
            for shape in (
                Shape(tokens=3, in_features=40, out_features=20, bits=4),
                Shape(tokens=2, in_features=30, out_features=24, bits=3, rank=6),
            ):
                layer, xq = random_layer(rng, simulated_udp_board.CONFIG, shape)
                assert not compare([layer], driver, xq).wrong
    assert device.statistics.damaged == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_positions_wrap(simulated_udp_board, seed):
    """More bytes than positions count, both ways at once, on a bad network."""
    config = simulated_udp_board.CONFIG
    program = random_program(np.random.default_rng(1), config, commands=1250)
    assert min(len(program.data), len(program.output)) > 1 << 16
    with simulated_udp_board.power(**BAD, seed=seed) as port:
        device = LineDevice(config, UdpLine("127.0.0.1", port))
        device.write(program.chunks)
        output = device.read(len(program.output), 120)
        device.close()
    assert without_counters(output, config) == program.output
    assert device.statistics.repeats_sent + device.statistics.repeats_asked > 0


def test_a_good_network_needs_few_repetitions(simulated_udp_board):
    """Those of a simulation slower than what the host expects, before it has learnt that."""
    config = simulated_udp_board.CONFIG
    program = random_program(np.random.default_rng(2), config, commands=600)
    with simulated_udp_board.power() as port:
        device = LineDevice(config, UdpLine("127.0.0.1", port))
        device.write(program.chunks)
        output = device.read(len(program.output), 120)
        device.close()
    assert without_counters(output, config) == program.output
    assert device.statistics.damaged == 0


def test_sessions_and_lines_follow_each_other(simulated_udp_board):
    """They are cut off anywhere, by a reset and by another program."""
    config = simulated_udp_board.CONFIG
    program = random_program(np.random.default_rng(2), config)
    with simulated_udp_board.power(lose=10_000, double=10_000) as port:
        for cut in (1, 100, 1001):
            device = LineDevice(config, UdpLine("127.0.0.1", port))
            device.write([program.data[:cut]])
            device.write_register("reset", 1)
            device.write([program.data[:-cut]])
            device.close()
        device = LineDevice(config, UdpLine("127.0.0.1", port))
        device.write(program.chunks)
        output = device.read(len(program.output), 60)
        assert without_counters(output, config) == program.output
        assert device.read_register("identity") == IDENTITY
        assert device.read_register("status") == 0
        device.close()


def test_another_program_takes_the_board(simulated_udp_board):
    config = simulated_udp_board.CONFIG
    with simulated_udp_board.power() as port:
        first = LineDevice(config, UdpLine("127.0.0.1", port))
        second = LineDevice(config, UdpLine("127.0.0.1", port))
        where = f"the board at 127.0.0.1:{port} has not answered for .* opened by another program"
        with pytest.raises(DeviceError, match=where):
            first.read_register("identity")
        assert second.read_register("identity") == IDENTITY
        first.close()
        second.close()


@pytest.fixture
def engine(simulated_udp_board, tmp_path):
    """A file with the simulated board's engine."""
    path = tmp_path / "engine.json"
    path.write_text(simulated_udp_board.CONFIG.to_json())
    return path


def test_a_layer_by_the_command_line(simulated_udp_board, engine, capsys):
    with simulated_udp_board.power(**BAD) as port:
        device = f"udp:127.0.0.1:{port}"
        args = ("--shape", "3,40,20", "--rank", "6", "--config", str(engine), "--json")
        assert main(["verify", "--device", device, *args]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["exact"] is True
    assert report["device"] == device
    assert report["counters"]["work"] == report["plane_words"]


def test_a_model_on_a_board(simulated_udp_board, engine, tiny_llama, capsys):
    args = ("run", str(tiny_llama), "--prompt", "Hi", "--tokens", "2", "--config", str(engine))

    def tokens(*more):
        assert main([*args, "--json", *more]) == 0
        return json.loads(capsys.readouterr().out)["token_ids"]

    golden = tokens()
    with simulated_udp_board.power(**BAD) as port:
        assert tokens("--device", f"udp:127.0.0.1:{port}") == golden


def test_a_boards_file_tells_its_pace(tiny_llama, tmp_path):
    """If the link there is one over a network."""
    manifest = SummandModel(tiny_llama).manifest
    serial = DeviceChoice.choose("udp:127.0.0.1", None, "ecpix5-85f")
    assert (serial.link, serial.pace(manifest)) == (None, None)
    text = (files("summand.boards") / "library" / "ecpix5-85f.toml").read_text()
    uart, path = 'kind = "uart"\nbaud = 3_000_000\n', tmp_path / "board.toml"
    assert uart in text
    path.write_text(text.replace(uart, 'kind = "ethernet"\nreached_bytes_s = 16_700_000\n'))
    network = DeviceChoice.choose("udp:127.0.0.1", None, str(path))
    assert network.link is network.board is not None
    assert "bytes at 16700 kB/s" in (network.pace(manifest) or "")


def test_a_board_unplugged_in_the_middle(simulated_udp_board, engine, capsys):
    with simulated_udp_board.power(life_s=4) as port:
        args = ("--shape", "40000,64,64", "--config", str(engine))
        assert main(["verify", "--device", f"udp:127.0.0.1:{port}", *args]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"nothing listens at 127.0.0.1:{port}" in " ".join(err.split())


def test_a_program_through_liteeth(simulated_ethernet_board):
    """The core itself, at a cable on which frames are damaged, on a network that is bad besides."""
    config = simulated_ethernet_board.CONFIG
    program = random_program(np.random.default_rng(3), config, commands=200)
    with simulated_ethernet_board.power(**BAD) as port:
        device = LineDevice(config, UdpLine("127.0.0.1", port))
        device.write(program.chunks)
        output = device.read(len(program.output), 120)
        assert device.read_register("identity") == IDENTITY
        device.close()
    assert without_counters(output, config) == program.output
