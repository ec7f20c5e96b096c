"""A transceiver at a board's pins."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from amaranth import *

from summand.boards.ethernet.core import ETHERNET_MODULE, RGMII_PADS
from summand.boards.ethernet.gateware import LiteEth
from summand.boards.ethernet.pads import request_pads
from summand.boards.library import find_board
from summand.isa import ConfigError

BOARD = find_board("ecpix5-85f")

#: Of the ECPIX-5: LiteEth's pads, the platform's, and their pins.
PINS = {
    "rgmii_clocks_rx": ("rx_clk", ["E11"]),
    "rgmii_clocks_tx": ("tx_clk", ["A12"]),
    "rgmii_rst_n": ("rst", ["C13"]),
    "rgmii_rx_ctl": ("rx_ctrl", ["A11"]),
    "rgmii_rx_data": ("rx_data", ["B11", "A10", "B10", "A9"]),
    "rgmii_tx_ctl": ("tx_ctrl", ["C9"]),
    "rgmii_tx_data": ("tx_data", ["D8", "C8", "B8", "A8"]),
}


class Top(Elaboratable):
    """A board's transceiver at its pads, with nobody to use it."""

    def __init__(self, ethernet):
        self.ethernet = ethernet

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.ethernet = LiteEth(request_pads(platform, self.ethernet))
        return m


def _planned(ethernet):
    plan = BOARD.platform().prepare(Top(ethernet), name="top", emit_src=False, debug_verilog=True)
    return plan.files["top.lpf"], plan.files["top.debug.v"]


@pytest.mark.needs("amaranth-boards")
def test_the_transceiver_is_at_its_pins():
    constraints, verilog = _planned(BOARD.networked())
    assert PINS.keys() == RGMII_PADS.keys()
    sites = dict(re.findall(r'LOCATE COMP "eth_rgmii_0__(\S+)" SITE "(\w+)"', constraints))
    instance = verilog.partition(f"{ETHERNET_MODULE} ")[2].partition(");\n")[0]
    joined = dict(re.findall(r"\.(rgmii_\w+)\(eth_rgmii_0__(\w+)__io\)", instance))
    assert joined == {name: pin for name, (pin, _) in PINS.items()}
    for pin, where in PINS.values():
        bits = [f"{pin}__io"] if len(where) == 1 else [f"{pin}__io[{n}]" for n in range(4)]
        assert [sites.pop(bit) for bit in bits] == where
    assert not sites
    assert 'FREQUENCY PORT "eth_rgmii_0__rx_clk__io" 125000000.0 HZ;' in constraints


@pytest.mark.needs("amaranth-boards")
def test_pads_are_pulled_up_where_the_file_says_so():
    def pulled(ethernet):
        lines = _planned(ethernet)[0].splitlines()
        rgmii = [line for line in lines if 'IOBUF PORT "eth_rgmii_0' in line]
        assert len(rgmii) == 13
        assert all("IO_TYPE=LVCMOS33" in line for line in rgmii)
        up = [line.split('"')[1] for line in rgmii if "PULLMODE=UP" in line]
        return [name.removeprefix("eth_rgmii_0__") for name in up]

    ethernet = BOARD.networked()
    assert pulled(ethernet) == [f"rx_data__io[{n}]" for n in range(4)]
    assert pulled(replace(ethernet, pulled_up=("rx_ctl",))) == ["rx_ctrl__io"]
    assert pulled(replace(ethernet, pulled_up=())) == []


def test_what_a_platform_lacks_is_named():
    platform = SimpleNamespace(resources={})
    with pytest.raises(ConfigError, match="the platform has no resource eth_rgmii"):
        request_pads(platform, BOARD.networked())
    pins = SimpleNamespace(**{pin: SimpleNamespace(io=pin) for pin, _ in PINS.values()})
    del pins.tx_ctrl
    platform = SimpleNamespace(
        resources={("eth_rgmii", 0): pins}, request=lambda name, number, dir: pins
    )
    with pytest.raises(ConfigError, match="the platform's resource eth_rgmii has no tx_ctrl"):
        request_pads(platform, BOARD.networked())
