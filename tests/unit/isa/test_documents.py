"""docs/stream.md and docs/memory.md must say what the code does."""

import re
from pathlib import Path

import numpy as np
import pytest

from summand.golden import GoldenEngine
from summand.golden.player import GoldenPlayer
from summand.isa import EngineConfig, ErrorCode
from summand.isa.commands import Fence, Gemm, Load, Requantise, Store
from summand.isa.header import Op
from summand.isa.packets import Counters
from summand.isa.planes import pack_planes
from summand.isa.player import Item, ItemOp, Refusal
from summand.isa.registers import CONTROL_REGISTERS, PLAYER_REGISTERS, REGISTERS
from summand.isa.segments import Segment

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs/stream.md").read_text()
MEMORY = (ROOT / "docs/memory.md").read_text()
CONFIG = EngineConfig(
    rows=1,
    cols=2,
    depth=16,
    stream_bits=32,
    act_bits=8,
    acc_bits=32,
    acc_depth=16,
    act_depth=2,
    requant_depth=16,
    table_share=1,
    shift=0,
)


def block(name: str, text: str = TEXT) -> bytes:
    """Return the bytes of the example's fenced block, a beat a line."""
    found = re.search(rf"```{name}\n(.*?)```", text, re.S)
    assert found, f"no block {name}"
    return b"".join(bytes.fromhex(line[:11]) for line in found[1].splitlines())


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def test_the_example_is_what_the_encoder_writes():
    x = np.array([1, -2, 3, 127, *[0] * 12], np.int8)
    weights = np.zeros((16, 2), int)
    weights[:4] = [[1, -1], [-2, -1], [0, 1], [1, 0]]
    stream = (
        Load(to_slice=0, slices=1, rows=1).encode(CONFIG)
        + x.tobytes()
        + Gemm(
            from_slice=0,
            slices=1,
            segments=(Segment(tile=3, tiles=1, planes=2, clear=True),),
        ).encode(CONFIG)
        + pack_planes(weights, 2, CONFIG).tobytes()
        + Requantise(tile=3, tiles=1, rows=1, to_slice=1).encode(CONFIG)
        + bytes([0xE8, 0x03, 10, 0, 3, 0, 1, 0])
        + Store(tile=3, tiles=1, rows=1, tag=0x1234).encode(CONFIG)
        + Fence(tag=7).encode(CONFIG)
    )
    assert stream.hex(" ", 4) == block("input").hex(" ", 4)


def test_the_example_is_answered_as_it_says():
    engine = GoldenEngine(CONFIG)
    engine.write([block("input")])
    assert engine.read(1 << 10).hex(" ", 4) == block("output").hex(" ", 4)
    np.testing.assert_array_equal(engine.activations[0, 16:], [127, 6, *[0] * 14])


@pytest.mark.parametrize("op", list(Op))
def test_every_operation_is_there(op):
    assert f"| {op.value} | {op.name} |" in TEXT
    assert f"### {op.name}\n" in TEXT


@pytest.mark.parametrize("code", [c for c in ErrorCode if c])
def test_every_error_is_there(code):
    assert f"| {code.value} | {code.name} |" in TEXT


@pytest.mark.parametrize("register", REGISTERS, ids=lambda r: r.name)
def test_every_register_is_there(register):
    cells = (f"0x{register.offset:02x}", f"`{register.name}`", register.access.value, register.doc)
    assert row(*cells) in TEXT


@pytest.mark.parametrize("register", [*PLAYER_REGISTERS, *CONTROL_REGISTERS], ids=lambda r: r.name)
def test_every_register_of_a_player_is_there(register):
    cells = (f"0x{register.offset:02x}", f"`{register.name}`", register.access.value, register.doc)
    assert row(*cells) in MEMORY


@pytest.mark.parametrize("op", list(ItemOp))
def test_every_item_is_there(op):
    assert f"| 0x{op.value:02x} | {op.name} |" in MEMORY


@pytest.mark.parametrize("code", [c for c in Refusal if c])
def test_every_refusal_is_there(code):
    assert f"| {code.value} | {code.name} |" in MEMORY


def test_the_items_of_the_example_are_what_the_encoder_writes():
    fence = Fence(tag=7).encode(CONFIG)
    items = (
        Item(ItemOp.WRITE, 2, 256).encode(CONFIG)
        + fence[:8]
        + Item(ItemOp.CRC, 2, 256).encode(CONFIG)
        + Item(ItemOp.PLAY, 2, 256).encode(CONFIG)
        + Item(ItemOp.LITERAL, 2).encode(CONFIG)
        + fence[8:]
    )
    assert items.hex(" ", 4) == block("items", MEMORY).hex(" ", 4)
    player = GoldenPlayer(CONFIG, 1024)
    player.write([items])
    assert player.read(1 << 10)[2:4] == bytes([7, 0])  # the fence's tag
    assert f"`{player.read_register('player_crc'):#010x}`" in MEMORY


def test_every_counter_is_there():
    for n, name in enumerate(Counters.__dataclass_fields__):
        assert f"| {4 * n} | `{name}` |" in TEXT


def test_every_field_of_the_configuration_is_there():
    names = list(EngineConfig.__dataclass_fields__)
    assert names.index("scale_bits") == 11  # the text counts them
    for name in names:
        assert f"| `{name}` |" in TEXT
