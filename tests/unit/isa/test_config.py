import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import ConfigError, EngineConfig, SummandError

FIXED = settings(deadline=None, derandomize=True, max_examples=200)


def powers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.sampled_from([1 << n for n in range(16) if low <= 1 << n <= high])


FIELDS = {
    "rows": st.integers(1, 64),
    "cols": powers(1, 64),
    "depth": powers(8, 256),
    "stream_bits": powers(32, 512),
    "act_bits": st.integers(4, 10),
    "acc_bits": st.integers(16, 32),
    "acc_depth": powers(16, 16384),
    "act_depth": powers(2, 4096),
    "requant_depth": powers(16, 4096),
    "table_share": powers(1, 16),
    "shift": st.integers(0, 8),
    "half_steps": st.booleans(),
    "border_shift": st.integers(0, 7),
    "sparse_block": st.sampled_from([0, 4, 8, 16]),
    "operand_depth": st.sampled_from([0, 256, 4096, 65536]),
    "digit_bits": st.sampled_from([0, 2, 4]),
    "limb_bits": st.sampled_from([0, 4, 8]),
    "bin_tiles": st.sampled_from([0, 1, 2, 16, 256]),
}


def build(fields: dict[str, Any]) -> EngineConfig | None:
    if fields["digit_bits"]:  # few configurations would be left otherwise
        fields |= {"table_share": 1, "act_bits": min(fields["act_bits"], 9)}
    try:
        return EngineConfig(**fields)
    except ConfigError:
        return None


CONFIGS = st.fixed_dictionaries(FIELDS).map(build).filter(lambda c: c is not None)


@FIXED
@given(CONFIGS)
def test_derived_sizes_fit_together(config):
    assert config.plane_beats * config.stream_bits == config.plane_bits
    assert config.slice_words * config.beat_elems == config.depth
    assert config.beat_elems * config.elem_bits == config.stream_bits
    assert config.header_beats * config.beat_bytes >= 16
    assert (config.header_beats - 1) * config.beat_bytes < 16
    assert config.tables * 4 == config.depth
    assert config.act_max - config.act_min + 1 == 1 << config.act_bits
    largest = 255 if config.half_steps else 128  # of a weight, in magnitude
    assert config.depth * config.act_min * -largest < 1 << (config.slice_sum_bits - 1)
    assert config.slice_sum_bits <= config.acc_bits
    assert config.beat_chunks * config.plane_beats == config.sparse_block
    assert config.acc_bits <= config.acc_limbs * config.limb_bits <= 32 or not config.limb_bits
    assert config.bin_size != 1
    assert (config.acc_limbs > 0) == (config.limb_bits > 0)


@FIXED
@given(CONFIGS)
def test_json_round_trip(config):
    assert EngineConfig.from_json(config.to_json()) == config
    assert EngineConfig.from_dict(dataclasses.asdict(config)) == config
    assert EngineConfig.from_json(config.to_json()).digest == config.digest


@FIXED
@given(CONFIGS, CONFIGS)
def test_digests_differ_as_configurations_do(one, other):
    assert (one.digest == other.digest) == (one == other)
    assert len(one.digest) == 16
    int(one.digest, 16)


def test_the_digest_is_the_same_everywhere():
    """The digest is constant, because one version must recognise the engines of another."""
    assert EngineConfig().digest == "ecfc550053c4e23b"
    assert EngineConfig(half_steps=True).digest == "467d06e8a472cfd6"
    assert EngineConfig(border_shift=1).digest == "861dfc5b6881154b"
    assert EngineConfig(sparse_block=8).digest == "fddcfe75e0ea5142"
    assert EngineConfig(operand_depth=4096).digest == "78f66dbdc28c1dd1"
    assert EngineConfig(digit_bits=4).digest == "5a6e3933ba967cd4"
    assert EngineConfig(limb_bits=4).digest == "f11829ac03562be8"
    assert EngineConfig(bin_tiles=16).digest == "85ab36d3f48b51f4"


def test_missing_fields_take_their_defaults():
    assert EngineConfig.from_json("{}") == EngineConfig()
    assert EngineConfig.from_json('{"rows": 3}') == EngineConfig(rows=3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rows": 0}, "rows must be 1 to 64, not 0"),
        ({"rows": 65}, "rows must be 1 to 64, not 65"),
        ({"cols": 3}, "cols must be a power of two, not 3"),
        ({"cols": 128}, "cols must be 1 to 64, not 128"),
        ({"depth": 4}, "depth must be 8 to 256, not 4"),
        ({"depth": 24}, "depth must be a power of two, not 24"),
        ({"stream_bits": 1024}, "stream_bits must be 32 to 512, not 1024"),
        ({"act_bits": 3}, "act_bits must be 4 to 10, not 3"),
        ({"acc_bits": 33}, "acc_bits must be 16 to 32, not 33"),
        ({"acc_depth": 8}, "acc_depth must be 16 to 16384, not 8"),
        ({"act_depth": 1}, "act_depth must be 2 to 4096, not 1"),
        ({"requant_depth": 100}, "requant_depth must be a power of two, not 100"),
        ({"table_share": 0}, "table_share must be 1 to 16, not 0"),
        ({"shift": 9}, "shift must be 0 to 8, not 9"),
        ({"shift": -1}, "shift must be 0 to 8, not -1"),
        ({"rows": 1.0}, "rows must be a whole number, not 1.0"),
        ({"rows": True}, "rows must be a whole number, not True"),
        ({"rows": "4"}, "rows must be a whole number, not '4'"),
        ({"rows": None}, "rows must be a whole number, not None"),
        ({"border_shift": 8}, "border_shift must be 0 to 7, not 8"),
        ({"border_shift": True}, "border_shift must be a whole number, not True"),
        ({"half_steps": 1}, "half_steps must be true or false, not 1"),
        ({"half_steps": "no"}, "half_steps must be true or false, not 'no'"),
        ({"sparse_block": 5}, "sparse_block must be 0, 4, 8 or 16, not 5"),
        ({"sparse_block": 4.0}, "sparse_block must be 0, 4, 8 or 16, not 4.0"),
        ({"sparse_block": True}, "sparse_block must be 0, 4, 8 or 16, not True"),
        *(
            ({"operand_depth": bad}, f"must be 0 or a power of two, 256 to 65536, not {bad!r}")
            for bad in (-256, 128, 300, 131072, 256.0, False, "256")
        ),
        *(
            ({"digit_bits": bad}, f"digit_bits must be 0, 2 or 4, not {bad!r}")
            for bad in (1, 3, 8, -2, 4.0, True, None)
        ),
        *(
            ({"limb_bits": bad}, f"limb_bits must be 0, 4 or 8, not {bad!r}")
            for bad in (2, 16, 4.0, True)
        ),
        *(
            (
                {"bin_tiles": bad},
                f"bin_tiles must be 0 or a power of two, 1 to 256, not {bad!r}",
            )
            for bad in (3, 512, -1, 4.0, True)
        ),
        (
            {"bin_tiles": 32, "acc_depth": 16},
            r"bin_tiles \(32\) must be at most acc_depth \(16\); lower it or raise acc_depth",
        ),
        (
            {"cols": 1, "depth": 256, "bin_tiles": 1},
            r"bin_tiles \(1\) must be at least 2 with one column",
        ),
        (
            {"cols": 64, "limb_bits": 8},
            r"cols \* limb_bits \(512 bits\), must fit a beat of stream_bits \(256\); lower",
        ),
        (
            {"digit_bits": 4, "table_share": 2},
            r"table_share \(2\) must be 1 with digit_bits \(4\), because DSP blocks have no tables",
        ),
        (
            {"digit_bits": 4, "act_bits": 10},
            r"act_bits \(10\) must be at most 9 with digit_bits \(4\), so that .*; lower act_bits",
        ),
        (
            {"depth": 8, "stream_bits": 32, "sparse_block": 16},
            r"sparse_block \(16\) must be at most depth \(8\); lower it or raise depth",
        ),
        (
            {"stream_bits": 32, "sparse_block": 4},
            r"beats, cols \* depth / stream_bits \(8\), must be at most sparse_block \(4\); raise",
        ),
        ({"cols": 1}, r"cols \* depth \(64\) must be at least stream_bits \(256\); raise"),
        (
            {"cols": 64, "depth": 8, "stream_bits": 128},
            r"depth \(8\) must be at least the 16 activations of one beat",
        ),
        ({"table_share": 4}, r"table_share \(4\) must be at most the 2 beats of a slice"),
        (
            {"depth": 8, "stream_bits": 32, "act_bits": 10, "table_share": 4},
            r"table_share \(4\) must be at most the 2 tables of a column",
        ),
        ({"cols": 32, "requant_depth": 16}, r"requant_depth \(16\) must be at least cols \(32\)"),
        ({"acc_bits": 20}, r"acc_bits \(20\) must hold one slice's 22-bit sum"),
    ],
)
def test_impossible_configurations_name_field_value_and_limit(fields, message):
    with pytest.raises(ConfigError, match=message):
        EngineConfig(**fields)
    with pytest.raises(ConfigError, match=message):
        EngineConfig.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 5000, "not JSON"),
        ("9" * 5000, "not JSON"),
        ("[]", "a JSON object, not list"),
        ("3", "a JSON object, not int"),
        ("null", "a JSON object, not NoneType"),
        ('{"Rows": 1, "speed": 2}', "has no Rows, speed; it has acc_bits, acc_depth"),
    ],
)
def test_text_that_is_no_configuration_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        EngineConfig.from_json(text)


def test_errors_in_files_name_the_file(tmp_path):
    path = tmp_path / "engine.json"
    with pytest.raises(ConfigError, match="cannot read .*engine.json"):
        EngineConfig.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot read .*engine.json"):
        EngineConfig.load(path)
    path.write_text('{"rows": 99}')
    with pytest.raises(ConfigError, match="engine.json: rows must be 1 to 64, not 99"):
        EngineConfig.load(path)
    path.write_text(EngineConfig(rows=2).to_json())
    assert EngineConfig.load(path).rows == 2


def test_configuration_errors_are_user_errors():
    assert issubclass(ConfigError, SummandError)


def test_configurations_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EngineConfig().rows = 2  # pyright: ignore[reportAttributeAccessIssue]
