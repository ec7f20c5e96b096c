"""The figures of ``summand.isa.structure``, against the Verilog that is generated."""

import re
from collections import Counter

import pytest

from summand.isa import EngineConfig
from summand.isa.memory import MemoryKind
from summand.isa.products import products
from summand.isa.structure import memories
from summand.rtl.emit import emit_verilog
from summand.rtl.feeds.axi import MODULE, AxiEngine
from summand.rtl.technology import Technology

CONFIGS = {
    "plain": EngineConfig(cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4),
    "rows": EngineConfig(
        rows=5, cols=1, depth=64, stream_bits=64, act_bits=9, acc_bits=24, acc_depth=64,
        act_depth=8, requant_depth=16, table_share=4,
    ),
    "scales": EngineConfig(
        rows=2, cols=4, depth=16, stream_bits=64, acc_depth=32, act_depth=2, scale_bits=5, shift=2
    ),
    "half-steps": EngineConfig(
        rows=2, cols=2, depth=32, stream_bits=64, acc_depth=16, act_depth=4, scale_bits=2,
        half_steps=True,
    ),
    "borders": EngineConfig(
        rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=64, border_shift=3
    ),
    "sparse": EngineConfig(
        rows=2, cols=4, depth=16, stream_bits=32, acc_depth=16, act_depth=4, sparse_block=8
    ),
    "operand": EngineConfig(
        rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, operand_depth=512
    ),
    "digits": EngineConfig(
        rows=2, cols=4, depth=16, stream_bits=32, acc_depth=16, act_depth=4, scale_bits=2,
        digit_bits=4,
    ),
    "digits of one column": EngineConfig(
        cols=1, depth=32, stream_bits=32, acc_depth=16, act_depth=4, digit_bits=2
    ),
    "wide sums": EngineConfig(
        cols=1, depth=256, stream_bits=32, act_bits=10, acc_depth=16, act_depth=2, scale_bits=1
    ),
}  # fmt: skip

_MODULE = re.compile(r"^module (\w+)\(.*?^endmodule", re.MULTILINE | re.DOTALL)
_INSTANCE = re.compile(r"^  (\w+) (?:#\(|\\?[\w$]+\s+\()", re.MULTILINE)
_MEMORY = re.compile(r"^  reg \[(\d+):0\] \w+ \[(\d+):(\d+)\];", re.MULTILINE)


def instances(text: str) -> Counter[str]:
    """Return how often each module, and each primitive, is in the whole design."""
    inside = {m[1]: Counter(_INSTANCE.findall(m[0])) for m in _MODULE.finditer(text)}
    found: Counter[str] = Counter()

    def visit(name: str, times: int) -> None:
        found[name] += times
        for child, count in inside.get(name, {}).items():
            visit(child, times * count)

    visit(MODULE, 1)
    return found


def emitted_memories(text: str) -> Counter[tuple[MemoryKind, int, int]]:
    """Return how many memories of each kind, width and depth the design holds.

    Block RAM is in modules of its own; every other memory is read without a clock.
    """
    found: Counter[tuple[MemoryKind, int, int]] = Counter()
    counts = instances(text)
    for module in _MODULE.finditer(text):
        kind = MemoryKind.BLOCK if "_ram_" in module[1] else MemoryKind.LUT
        for top, first, last in _MEMORY.findall(module[0]):
            shape = (kind, int(top) + 1, abs(int(last) - int(first)) + 1)
            found[shape] += counts[module[1]]
    return found


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_memories_are_those_of_the_verilog(config):
    text = emit_verilog(AxiEngine(config), name=MODULE, config=config)
    wanted: Counter[tuple[MemoryKind, int, int]] = Counter()
    for memory in memories(config):
        wanted[memory.kind, memory.width, memory.depth] += memory.count
    assert emitted_memories(text) == wanted


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_dsp_blocks_are_those_of_the_verilog(config):
    text = emit_verilog(AxiEngine(config), name=MODULE, config=config, technology=Technology.ECP5)
    wanted = sum(product.count * product.blocks for product in products(config))
    assert instances(text)["MULT18X18D"] == wanted
