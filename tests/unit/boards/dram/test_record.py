import dataclasses

import pytest

from summand.boards.board import BoardMemory
from summand.boards.dram.record import DramTime
from summand.boards.library import packaged_boards
from summand.families.toml import parse
from summand.isa import ConfigError

ECPIX5 = packaged_boards()["ecpix5-85f"].memory
ULX3S = packaged_boards()["ulx3s-85f"].memory


def memory_of(memory):
    assert memory.dram
    return memory.dram


def test_sizes_and_peaks():
    dram = memory_of(ECPIX5)
    assert (dram.kind, dram.bytes, dram.peak_bytes_s) == ("DDR3", 512 << 20, 6e8)
    dram = memory_of(ULX3S)
    assert (dram.kind, dram.bytes, dram.peak_bytes_s) == ("SDR", 32 << 20, 1.8e8)


def test_times_have_litedrams_names():
    named = memory_of(ECPIX5).named_timings()
    assert named["tRFC"] == (0, 260)
    assert named["tWTR"] == (4, 7.5)
    assert named["tZQCS"] == (64, 80)
    assert "tFAW" not in memory_of(ULX3S).named_timings()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rows": 3000}, "rows must be a power of two, not 3000"),
        ({"rows": 1024}, "rows must be at least 2048, not 1024"),
        ({"columns": 4096, "rows": 2048}, "rows must be at least 4096, not 2048"),
        ({"data_bits": 4}, "data_bits must be at least 8, not 4"),
        ({"phy": "GENSDRPHY"}, "timings.tfaw is of DDR3 memories"),
    ],
)
def test_what_cannot_be_is_refused(changes, why):
    with pytest.raises(ValueError, match=why):
        dataclasses.replace(memory_of(ECPIX5), **changes)


def test_ddr3_needs_all_times():
    timings = memory_of(ULX3S).timings
    with pytest.raises(ValueError, match="timings.tfaw is of DDR3 memories, and needed there"):
        dataclasses.replace(memory_of(ECPIX5), timings=timings)


def test_a_time_is_not_nothing():
    with pytest.raises(ValueError, match="give clocks, ns or both"):
        DramTime()


@pytest.mark.parametrize(("name", "value"), [("bytes", 1 << 20), ("peak_bytes_s", 9e8)])
def test_a_memory_is_what_its_dram_comes_to(name, value):
    with pytest.raises(ValueError, match=rf"{name} \(.*\) must be what dram comes to"):
        dataclasses.replace(ECPIX5, **{name: value})


def test_a_file_names_the_field():
    raw = dataclasses.asdict(ECPIX5)
    raw["dram"]["timings"]["trfc"] = {"ns": "long"}
    with pytest.raises(ConfigError, match=r"x.toml: dram.timings.trfc.ns is 'long'"):
        parse(BoardMemory, raw, "x.toml")
