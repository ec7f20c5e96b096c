"""LiteEth's core of a board on the network."""

import functools
import importlib.util
import re
from dataclasses import replace

import pytest

from summand.boards.ethernet.core import (
    ETHERNET_MODULE,
    RGMII_PADS,
    SIMULATED_PADS,
    generate_ethernet,
)
from summand.boards.ethernet.gateware import EthernetTop
from summand.boards.library import find_board
from summand.boards.udp_top import UdpLinkConfig
from summand.isa import ConfigError, EngineConfig, SummandError
from summand.rtl.emit import emit_verilog

CONFIG = EngineConfig(rows=1, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4)
BOARD = find_board("ecpix5-85f")
ETHERNET = BOARD.networked()
CLOCK_HZ = 50_000_000


def test_a_clock_too_slow_is_refused():
    with pytest.raises(ConfigError, match="clock_hz must be at least 31250000, not 31249999: the"):
        generate_ethernet(ETHERNET, BOARD.chip, clock_hz=31_249_999)


def test_a_missing_liteeth(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "liteeth" else find(name)
    )
    with pytest.raises(SummandError, match=r"needs \w+; pip install .*\[litex\]"):
        generate_ethernet(ETHERNET, BOARD.chip, clock_hz=CLOCK_HZ)


@pytest.mark.needs("liteeth")
@pytest.mark.parametrize(("simulated", "pads"), [(False, RGMII_PADS), (True, SIMULATED_PADS)])
def test_a_core_has_the_tops_ports(simulated, pads):
    """Equal calls give equal text, which names no day."""
    asked = functools.partial(
        generate_ethernet, ETHERNET, BOARD.chip, clock_hz=CLOCK_HZ, simulated=simulated
    )
    core = asked()
    assert core == asked()
    assert "//" not in core
    top = EthernetTop(CONFIG, link=UdpLinkConfig(), simulated=simulated)
    verilog = emit_verilog(top, name="summand_board", config=CONFIG)
    head = core[core.index(f"module {ETHERNET_MODULE}") : core.index(");")]
    instance = verilog[verilog.index(f"{ETHERNET_MODULE} ") :]
    instance = instance[: instance.index(");")]
    for name in (*pads, "clk", "rst", "source_data", "sink_last_be"):
        assert f" {name}" in head
        assert f".{name}(" in instance


@pytest.mark.needs("liteeth")
def test_what_the_file_says_is_in_the_core():
    """Delays in steps of 25 ps, and addresses."""
    mine = replace(
        ETHERNET, ip_address="10.1.2.3", mac_address="02:00:00:ab:cd:ef", tx_delay_ns=1.2
    )
    for ethernet, delay, mac, ip in (
        (ETHERNET, 80, 0x10E2D5000000, 0xC0A80132),
        (mine, 48, 0x020000ABCDEF, 0x0A010203),
    ):
        core = generate_ethernet(ethernet, BOARD.chip, clock_hz=CLOCK_HZ)
        delays = {int(n) for n in re.findall(r"\.DEL_VALUE \(\d+'d(\d+)\)", core)}
        assert delays == {0, delay}
        for number in (mac, ip):
            assert re.search(rf"\d'd{number}\b", core)
