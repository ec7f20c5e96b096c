"""The files of the bench in Verilog, and the core that lists them."""

import re

import pytest

from summand.block import bench_files, core_file
from summand.golden import GoldenEngine
from summand.isa import EngineConfig
from summand.isa.registers import IDENTITY

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


def _texts(config: EngineConfig) -> dict[str, str]:
    return {name: text for name, (text, _) in bench_files(config).items()}


def test_the_answer_is_the_golden_models(config):
    """Beat for beat, except what is marked as counters: those of each FENCE, eight words."""
    texts = _texts(config)
    engine = GoldenEngine(config)
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


def test_the_bench_knows_the_engine(config):
    texts = _texts(config)
    facts = dict(re.findall(r"localparam (\w+) = (\S+);", texts["summand_bench.sv"]))
    assert int(facts["STREAM_BITS"]) == config.stream_bits
    assert int(facts["SENT"]) == texts["summand_stream.hex"].count("\n")
    assert int(facts["ANSWERED"]) == texts["summand_answer.hex"].count("\n")
    assert facts["IDENTITY"] == f"32'h{IDENTITY:08x}"
    digest = facts["DIGEST_HI"] + facts["DIGEST_LO"]
    assert digest.replace("32'h", "") == config.digest


def test_every_call_writes_the_same(config):
    assert bench_files(config) == bench_files(config)


@pytest.mark.parametrize("models", [None, "primitives_sim.v"])
def test_the_core_lists_what_was_written(models):
    config = ENGINES["small"]
    text = core_file(config, "summand_engine", "summand.v", models)
    assert text.startswith("CAPI=2:\n")
    named = set(re.findall(r"\w+\.(?:v|sv|hex)\b", text))
    assert named == {"summand.v", *bench_files(config), *([models] if models else [])}
    assert re.findall(r"^  (\w+):$", text.partition("\ntargets:\n")[2], re.MULTILINE) == [
        "default",
        "lint",
        "sim",
    ]
    assert ("PINMISSING" in text) == (models is not None)
    assert config.digest in text
