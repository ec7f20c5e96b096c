"""IP blocks as data: ports, registers, and what people are told of them."""

import re

import pytest

from summand.isa import ConfigError, EngineConfig
from summand.isa.registers import IDENTITY, PLAYER_REGISTERS, REGISTERS
from summand.rtl.emit import emit_verilog
from summand.rtl.feeds.axi import MODULE, PLAYED_MODULE
from summand.rtl.feeds.block import AxiBlock
from summand.rtl.feeds.manual import c_header, markdown

CONFIG = EngineConfig(cols=4, depth=16, stream_bits=64, acc_depth=16, act_depth=2)


@pytest.fixture(params=[0, 4096], ids=["stream", "memory"])
def block(request) -> AxiBlock:
    return AxiBlock(config=CONFIG, memory_beats=request.param)


def test_ports_and_module_are_the_verilogs(block):
    assert block.module == (PLAYED_MODULE if block.memory_beats else MODULE)
    text = emit_verilog(block.top(), name=block.module, config=CONFIG)
    (ports,) = re.findall(rf"^module {block.module}\(([^)]*)\)", text, re.MULTILINE)
    names = {name.strip() for name in ports.split(",")}
    assert names == block.ports.keys()
    assert any(name.startswith("m_axi_") for name in names) == (block.bus is not None)


def test_registers_are_the_players_too_where_there_is_one(block):
    more = PLAYER_REGISTERS if block.memory_beats else ()
    assert block.registers == (*REGISTERS, *more)
    assert block.constants.get("memory_beats", 0) == block.memory_beats


def test_a_memory_has_32_bits_of_beats():
    assert AxiBlock(config=CONFIG, memory_beats=(1 << 32) - 1).bus
    for beats in (-1, 1 << 32):
        with pytest.raises(ConfigError, match=f"memory_beats must be 0 to .*, not {beats}; a beat"):
            AxiBlock(config=CONFIG, memory_beats=beats)


def test_markdown_lists_every_register(block):
    text = markdown(block)
    rows = re.findall(r"^\| `(0x[0-9a-f]+)` \| `(\w+)` \| ([\w ]+) \|", text, re.MULTILINE)
    assert rows == [(f"{r.offset:#04x}", r.name, r.access.value) for r in block.registers]
    assert CONFIG.digest in text
    assert f"`{int(CONFIG.digest, 16) & 0xFFFFFFFF:#010x}`" in text
    assert ("| `0x00001000` | Size of the memory" in text) == (block.memory_beats == 4096)


def test_c_header_defines_offsets_and_constants(block):
    text = c_header(block)
    defined = dict(re.findall(r"^#define (SUMMAND_\w+) (0x[0-9a-f]+)u$", text, re.MULTILINE))
    for r in block.registers:
        assert int(defined.pop(f"SUMMAND_{r.name.upper()}_OFFSET"), 16) == r.offset
    digest = int(CONFIG.digest, 16)
    memory = {"SUMMAND_MEMORY_BEATS": 4096} if block.memory_beats else {}
    assert {name: int(value, 16) for name, value in defined.items()} == {
        "SUMMAND_IDENTITY": IDENTITY,
        "SUMMAND_VERSION": 1,
        "SUMMAND_DIGEST_LO": digest & 0xFFFFFFFF,
        "SUMMAND_DIGEST_HI": digest >> 32,
        **memory,
    }
