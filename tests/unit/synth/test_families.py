"""Families: their cells, parts and flows, and that each is complete."""

import dataclasses

import pytest

from summand.families.cells import CELL_KINDS, CellCounts
from summand.families.ecp5.family import ECP5
from summand.families.ecp5.flow import Ecp5Flow, nextpnr_device
from summand.families.flow import PlaceOptions
from summand.families.registry import FAMILIES, find_family
from summand.isa import ConfigError


def test_ecp5_cells():
    cells = {
        "LUT4": 10,
        "CCU2C": 3,
        "TRELLIS_DPR16X4": 2,
        "PFUMX": 5,
        "L6MUX21": 1,
        "TRELLIS_FF": 7,
        "DP16KD": 4,
        "MULT18X18D": 6,
    }
    assert ECP5.cells.count(cells) == CellCounts(luts=24, ffs=7, lut_rams=2, block_rams=4, dsps=6)


@pytest.mark.parametrize(
    ("family", "cells", "expected"),
    [
        (
            "xilinx7",
            {"LUT6": 5, "LUT1": 1, "RAM32M": 2, "FDRE": 3, "FDSE": 1, "RAMB18E1": 3, "DSP48E1": 2},
            CellCounts(luts=14, ffs=4, lut_rams=8, block_rams=1.5, dsps=2),
        ),
        (
            "ultrascale+",
            {"LUT2": 4, "RAM64M8": 1, "FDCE": 2, "RAMB36E2": 1, "DSP48E2": 1, "IBUF": 9},
            CellCounts(luts=12, ffs=2, lut_rams=8, block_rams=1, dsps=1),
        ),
        (
            "gowin",
            {"LUT4": 3, "ALU": 2, "RAM16SDP4": 1, "DFFRE": 5, "SDPX9B": 2, "MULT9X9": 3},
            CellCounts(luts=11, ffs=5, lut_rams=1, block_rams=2, dsps=2),
        ),
    ],
)
def test_cells_of_other_families(family, cells, expected):
    assert find_family(family).cells.count(cells) == expected


def test_nothing_counts_nothing():
    for family in FAMILIES.values():
        nothing = CellCounts(luts=0, ffs=0, lut_rams=0, block_rams=0, dsps=0)
        assert family.cells.count({}) == nothing


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_what_a_family_says_goes_together(family):
    assert all(chip.part.family == family.name for chip in family.chips)
    if family.flow:
        assert family.chips
        assert family.placed.keys() == {kind.name for kind in CELL_KINDS}
        call = family.flow.place(PlaceOptions(chip=family.chips[0], constraints="", config=True))
        assert family.flow.config in call.outputs
        assert "a.bit" in family.flow.pack("a.bit").outputs
        assert call.tool in {tool.name for tool in family.flow.tools}
    if family.modelled:
        assert family.modelled.runs.is_file()
        assert family.modelled.model.is_file()


def test_parts():
    assert nextpnr_device("LFE5U-12F") == "--12k"
    assert nextpnr_device("LFE5UM-45F") == "--um-45k"
    assert nextpnr_device("LFE5UM5G-85F") == "--um5g-85k"
    for part in ("LFE5UM-12F", "LFE5U-85", "XC7A35T"):
        with pytest.raises(ConfigError, match=f"no part '{part}'"):
            nextpnr_device(part)
        other = dataclasses.replace(ECP5.chips[0].part, name=part)
        chip = dataclasses.replace(ECP5.chips[0], part=other)
        with pytest.raises(ConfigError, match=f"no part '{part}'"):
            Ecp5Flow().place(PlaceOptions(chip=chip))


def test_a_configuration_needs_pins_and_routes():
    with pytest.raises(ConfigError, match="a configuration needs pins and routes"):
        PlaceOptions(chip=ECP5.chips[0], config=True, out_of_context=True)
    with pytest.raises(ConfigError, match="a configuration needs pins and routes"):
        PlaceOptions(chip=ECP5.chips[0], config=True, route=False)
