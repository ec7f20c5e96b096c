import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from summand.boards.ethernet.core import generate_ethernet
from summand.boards.ethernet.gateware import EthernetTop
from summand.boards.library import find_board
from summand.boards.link.link import LinkConfig
from summand.boards.link.uart import Baud
from summand.boards.uart_top import UartTop
from summand.boards.udp_top import UdpLinkConfig, UdpTop
from summand.isa import EngineConfig
from summand.model import Layer, ModelWriter
from summand.model.host import write_host
from summand.rtl.emit import emit_verilog
from summand.rtl.technology import Technology, simulation_models
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank
from summand.verilated import find_verilator
from summand.verilated.cache import cached, default_cache
from summand.verilated.compile import compile_model
from summand.verilated.tools import content_key


def _compress(name: str, weight: np.ndarray, rng: np.random.Generator) -> Layer:
    """Round to four bits, and add a random low-rank summand of rank 6."""
    k, n = weight.shape
    unit = np.abs(weight).max(axis=0) / 7
    dense = np.rint(weight / unit).astype(np.int8)
    rest = LowRank(
        a=rng.integers(-8, 8, (k, 6)).astype(np.int8),
        a_bits=4,
        b=rng.integers(-8, 8, (6, n)).astype(np.int8),
        b_bits=4,
        mult=np.full(6, 40000, np.uint16),
        shift=np.full(6, 21, np.uint8),
        acc_shift=4,
    )
    scale = (unit / 16).astype(np.float32)
    return Layer(name, k, n, 8, (Dense(dense, 4), rest), scale)


@pytest.fixture(scope="session")
def tiny_llama(
    make_llama: Callable[..., LlamaForCausalLM],
    tokenizer: PreTrainedTokenizerFast,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A Summand model of a random Llama with two blocks, for the default engine."""
    model = make_llama(blocks=2).eval()
    return _write(model, tokenizer, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def long_llama(
    make_llama: Callable[..., LlamaForCausalLM],
    tokenizer: PreTrainedTokenizerFast,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The same with a context for the packaged prompts, whose tokens are bytes."""
    model = make_llama(blocks=2, positions=4096).eval()
    return _write(model, tokenizer, tmp_path_factory.mktemp("models") / "long")


def _write(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, path: Path) -> Path:
    """Write a model of two blocks as a Summand model."""
    blocks = [f"model.layers.{i}" for i in range(2)]
    groups = [["lm_head"]]
    for block in blocks:
        groups += [
            [f"{block}.self_attn.{p}_proj" for p in "qkv"],
            [f"{block}.self_attn.o_proj"],
            [f"{block}.mlp.gate_proj", f"{block}.mlp.up_proj"],
            [f"{block}.mlp.down_proj"],
        ]
    rng = np.random.default_rng(0)
    with ModelWriter(path) as writer:
        names = [name for group in groups for name in group]
        for name in names:
            linear = model.get_submodule(name)
            assert isinstance(linear, torch.nn.Linear)
            writer.add(_compress(name, linear.weight.detach().numpy().T, rng))
        model.config.architectures = ["LlamaForCausalLM"]
        model.config.save_pretrained(writer.folder)
        tokenizer.save_pretrained(writer.folder)
        aliases = write_host(model, names, writer.folder)
        writer.finish(groups=groups, source={"kind": "test"}, options={}, aliases=aliases)
    return path


@pytest.fixture(scope="session")
def llama_folder(save_llama: Callable[..., Path]) -> Path:
    """A Hugging Face folder with a random Llama of one block and a tied head."""
    return save_llama(blocks=1)


#: The engine of simulated boards.
CONFIG = EngineConfig(
    rows=2,
    cols=4,
    depth=16,
    stream_bits=64,
    acc_depth=32,
    act_depth=4,
    requant_depth=16,
    shift=4,
)


def _simulation(
    top: UartTop | UdpTop | EthernetTop,
    bridge: str,
    technology: Technology = Technology.GENERIC,
    *,
    beside: str = "",
) -> Path:
    """Return the program that joins a board's top in the native simulator to this machine.

    ``beside`` is Verilog that the top needs.
    """
    tool, cache = find_verilator(), default_cache()
    source = Path(__file__).with_name(bridge)
    verilog = emit_verilog(top, name="summand_board", config=CONFIG, technology=technology)
    verilog += simulation_models(technology) + beside
    header = source.with_name("network.h")
    flags = ("-O3", "-Wno-fatal", "-Wno-lint", "--x-initial", "fast")
    names = ("--top-module", "summand_board", "--prefix", "Vsummand_board", "-Mdir", "obj")
    arguments = ("--cc", "--exe", *names, *flags, "summand_board.v", source.name)
    # Long programs run on one without primitives, and only a short one on the other.
    speed = "-O2" if technology is Technology.GENERIC else "-O1"
    make = (f"OPT_FAST={speed}", "OPT_SLOW=-O0", "VM_PARALLEL_BUILDS=0")

    def build(folder: Path) -> Path:
        (folder / "summand_board.v").write_text(verilog)
        for file in (source, header):
            shutil.copy(file, folder)
        tool.run([tool.executable, *arguments], folder)
        compile_model(tool, folder, "Vsummand_board", make, cache=cache)
        return folder / "obj" / "Vsummand_board"

    texts = (verilog, source.read_text(), header.read_text())
    digest = content_key(tool.version, *texts, *arguments, *make)
    return cached(cache, f"{digest}.board", build)


@contextmanager
def _running(arguments: Sequence[object], life_s: float) -> Iterator[str]:
    """Run a simulation; gives its first line. It is killed after ``life_s`` seconds, unless 0."""
    words = [str(word) for word in arguments]
    if life_s:
        words = ["timeout", "--signal=KILL", str(life_s), *words]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
            assert process.poll() in (None, -9), "the simulation ended by itself"
        finally:
            process.terminate()


class SimulatedBoard:
    """A board's top in the native simulator, its serial pins on a pseudo-terminal."""

    CONFIG = CONFIG
    #: As on the ULX3S, where a bit is not a whole number of cycles.
    CLOCK, BAUD = 25_000_000, 3_000_000

    def __init__(self, technology: Technology = Technology.GENERIC):
        baud = Baud(clock_hz=self.CLOCK, rate=self.BAUD)
        top = UartTop(CONFIG, baud=baud, link=LinkConfig())
        self._program = _simulation(top, "board_bridge.cpp", technology)

    @contextmanager
    def power(self, *, harm: int = 0, seed: int = 1, life_s: float = 0) -> Iterator[str]:
        """Power the board up; gives the name of its serial port.

        Of a million bytes each way ``harm`` are lost and as many damaged. After ``life_s``
        seconds, unless 0, the board is unplugged.
        """
        arguments = (self._program, self.CLOCK, self.BAUD, harm, seed)
        with _running(arguments, life_s) as port:
            yield port


class SimulatedUdpBoard:
    """A board's top in the native simulator, on a socket behind a bad network."""

    CONFIG = CONFIG

    def __init__(self, program: Path):
        self._program = program

    @contextmanager
    def power(
        self, *, lose: int = 0, double: int = 0, late: int = 0, seed: int = 1, life_s: float = 0
    ) -> Iterator[int]:
        """Power the board up; gives its UDP port on 127.0.0.1.

        Of a million datagrams each way so many are lost, come twice, and are overtaken by others.
        After ``life_s`` seconds, unless 0, the board is unplugged.
        """
        with _running((self._program, seed, lose, double, late), life_s) as port:
            yield int(port)


@pytest.fixture(scope="session")
def simulated_board(need: Callable[[str], None]) -> SimulatedBoard:
    """A board without vendor's primitives, which simulates four times as fast."""
    need("verilator")
    return SimulatedBoard()


@pytest.fixture
def simulated_ecp5_board(need: Callable[[str], None]) -> SimulatedBoard:
    """A board with the primitives that the boards' Verilog names."""
    need("verilator")
    return SimulatedBoard(Technology.ECP5)


@pytest.fixture(scope="session")
def simulated_udp_board(need: Callable[[str], None]) -> SimulatedUdpBoard:
    """A board on the network."""
    need("verilator")
    return SimulatedUdpBoard(_simulation(UdpTop(CONFIG, link=UdpLinkConfig()), "udp_bridge.cpp"))


@pytest.fixture
def simulated_ethernet_board(need: Callable[[str], None]) -> SimulatedUdpBoard:
    """A board at an Ethernet cable, LiteEth's core included."""
    need("verilator")
    need("liteeth")
    board = find_board("ecpix5-85f")
    core = generate_ethernet(board.networked(), board.chip, clock_hz=50_000_000, simulated=True)
    top = EthernetTop(CONFIG, link=UdpLinkConfig(), simulated=True)
    return SimulatedUdpBoard(_simulation(top, "ethernet_bridge.cpp", beside=core))
