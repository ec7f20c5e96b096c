"""Where weights lie in a SoC's DRAM, and which ports lead there; nothing here needs LiteX."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.boards.soc.places import EnginePlaces
from summand.boards.soc.region import DramRegion
from summand.isa import ConfigError, EngineConfig, SummandError
from summand.rtl.feeds.native import check_memory
from summand.rtl.memory.native import NativePort

CONFIG = EngineConfig(cols=4, depth=16, stream_bits=64, acc_depth=16, act_depth=2)


def port(*, address_width=20, data_width=32, mode="both"):
    """Return what is looked at of a LiteDRAMNativePort."""
    return SimpleNamespace(address_width=address_width, data_width=data_width, mode=mode)


@given(st.integers(8, 28), st.sampled_from([16, 32, 64]), st.data())
def test_every_beat_of_a_region_lies_in_the_dram(address_bits, word_bits, data):
    word, there = word_bits // 8, word_bits // 8 << address_bits
    origin = word * data.draw(st.integers(0, (1 << address_bits) - 1))
    size = data.draw(st.none() | st.integers(1, there - origin))
    its = port(address_width=address_bits, data_width=word_bits)
    region = DramRegion(port=its, origin=origin, size=size)
    last = origin + (there - origin if size is None else size)
    if last - origin < CONFIG.beat_bytes:
        with pytest.raises(ConfigError, match="memory_beats must be 1 to .*, not 0"):
            region.beats(CONFIG)
        return
    beats = region.beats(CONFIG)
    end = region.first_word * word + beats * CONFIG.beat_bytes
    assert region.first_word * word == origin
    assert last - CONFIG.beat_bytes < end <= last


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"origin": 2}, "origin must be a multiple of a word's 4 bytes, .* not 0x2"),
        ({"origin": -4}, "origin must .* not -0x4"),
        ({"origin": 1 << 22}, "0 to below 0x400000, where the DRAM ends, not 0x400000"),
        ({"size": 0}, "size must be 1 to 0x400000 bytes, .* not 0x0"),
        ({"origin": 8, "size": 0x3FFFFC}, "size must be 1 to 0x3ffff8 .* not 0x3ffffc"),
        ({"port": port(mode="read")}, "not for mode 'read'; take sdram.crossbar.get_port()"),
    ],
)
def test_a_region_that_is_not_there_is_refused(fields, why):
    with pytest.raises(ConfigError, match=why):
        DramRegion(**({"port": port()} | fields))


@pytest.mark.parametrize("beats", [0, (1 << 19) + 1])
def test_a_memory_that_the_port_does_not_reach_is_refused(beats):
    native = NativePort(address_bits=20, word_bits=32)
    check_memory(CONFIG, memory_beats=1 << 19, native=native)
    with pytest.raises(ConfigError, match=f"1 to 524288 of 64 bits each .* not {beats}"):
        check_memory(CONFIG, memory_beats=beats, native=native)


@pytest.mark.parametrize("word_bits", [24, 128])
def test_a_port_whose_words_do_not_make_beats_is_refused(word_bits):
    with pytest.raises(ConfigError, match="a beat must be 1, 2, 4, ... words"):
        DramRegion(port=port(data_width=word_bits)).beats(CONFIG)


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", json.dumps({"memories": {}})])
def test_what_is_no_csr_json_of_such_a_soc_is_told(tmp_path, text):
    path = tmp_path / "csr.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SummandError, match=r"csr.json is not the csr.json of a SoC with an engine"):
        EnginePlaces.load(path)
