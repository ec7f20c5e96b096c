"""The files of the bench in Verilog, and the core that lists them."""

import re

import pytest

from summand.block import bench_files, core_file
from summand.golden import GoldenEngine
from summand.golden.player import GoldenPlayer
from summand.isa import EngineConfig
from summand.isa.player import Item, ItemOp
from summand.isa.registers import IDENTITY
from summand.rtl.feeds.block import AxiBlock

ENGINES = {
    "small": EngineConfig(cols=4, depth=16, stream_bits=32, acc_depth=16, act_depth=2),
    "full": EngineConfig(
        rows=2, cols=4, depth=16, stream_bits=64, acc_depth=16, act_depth=4, requant_depth=16,
        table_share=2, shift=4, scale_bits=4, half_steps=True, border_shift=3, sparse_block=16,
        operand_depth=256,
    ),
    "wide": EngineConfig(rows=8, cols=8, depth=64, stream_bits=512, shift=4),
}  # fmt: skip


@pytest.fixture(params=ENGINES)
def config(request) -> EngineConfig:
    return ENGINES[request.param]


@pytest.fixture(params=[0, 1 << 16], ids=["stream", "memory"])
def block(request, config) -> AxiBlock:
    return AxiBlock(config=config, memory_beats=request.param)


def _texts(block: AxiBlock) -> dict[str, str]:
    return {name: text for name, (text, _) in bench_files(block).items()}


def test_the_answer_is_the_golden_models(config, block):
    """Beat for beat, except what is marked as counters: those of each FENCE, eight words."""
    texts = _texts(block)
    engine = GoldenPlayer(config, 1024) if block.memory_beats else GoldenEngine(config)
    sent = b"".join(bytes.fromhex(line)[::-1] for line in texts["summand_stream.hex"].split())
    engine.write([sent])
    marks, beats = zip(
        *((int(line[0]), line[1:]) for line in texts["summand_answer.hex"].split()), strict=True
    )
    answer = b"".join(bytes.fromhex(beat)[::-1] for beat in beats)
    assert answer == engine.read(engine.available)
    counters = sum(mark >> 1 for mark in marks)
    assert counters % -(-32 // config.beat_bytes) == 0
    assert 0 < counters < len(marks)
    assert marks[-1] == 3  # a FENCE's last counter ends the stream
    assert engine.read_register("status") == 0
    if block.memory_beats:
        assert engine.read_register("player_status") == 0
        heads = {Item(op, 0).encode(config)[0] for op in (ItemOp.PLAY, ItemOp.WRITE)}
        firsts = {int(line[-2:], 16) for line in texts["summand_stream.hex"].split()}
        assert heads <= firsts


def test_the_bench_knows_the_engine(config, block):
    texts = _texts(block)
    facts = dict(re.findall(r"localparam (\w+) = (\S+);", texts["summand_bench.sv"]))
    assert int(facts["STREAM_BITS"]) == config.stream_bits
    assert int(facts["SENT"]) == texts["summand_stream.hex"].count("\n")
    assert int(facts["ANSWERED"]) == texts["summand_answer.hex"].count("\n")
    assert facts["IDENTITY"] == f"32'h{IDENTITY:08x}"
    digest = facts["DIGEST_HI"] + facts["DIGEST_LO"]
    assert digest.replace("32'h", "") == config.digest
    assert ("BURST_BEATS" in facts) == (block.bus is not None)
    assert (f"{block.module} played (" in texts["summand_bench.sv"]) == (block.bus is not None)


def test_every_call_writes_the_same(block):
    assert bench_files(block) == bench_files(block)


@pytest.mark.parametrize("memory_beats", [0, 1 << 16])
@pytest.mark.parametrize("models", [None, "primitives_sim.v"])
def test_the_core_lists_what_was_written(models, memory_beats):
    block = AxiBlock(config=ENGINES["small"], memory_beats=memory_beats)
    text = core_file(block, "summand.v", models)
    assert text.startswith("CAPI=2:\n")
    named = set(re.findall(r"\w+\.(?:v|sv|hex)\b", text))
    assert named == {"summand.v", *bench_files(block), *([models] if models else [])}
    assert f"summand:ip:{block.module}:" in text
    assert re.findall(r"^  (\w+):$", text.partition("\ntargets:\n")[2], re.MULTILINE) == [
        "default",
        "lint",
        "sim",
    ]
    assert ("PINMISSING" in text) == (models is not None)
    assert block.config.digest in text
