"""Boards on the network: what is refused, and LiteEth's core."""

import importlib.util
from dataclasses import replace

import pytest

from summand.boards.ethernet.core import (
    ETHERNET_MODULE,
    RGMII_PADS,
    SIMULATED_PADS,
    EthernetConfig,
    EthernetTop,
    generate_ethernet,
)
from summand.boards.udp_top import UdpLinkConfig
from summand.isa import ConfigError, EngineConfig, SummandError
from summand.rtl.emit import emit_verilog

CONFIG = EngineConfig(rows=1, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4)
ETHERNET = EthernetConfig(clock_hz=50_000_000)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("clock_hz", 25_000_000, "must be at least 31250000, not 25000000"),
        ("ip_address", "board.lan", "must be an IPv4 address: .*'board.lan'"),
        ("ip_address", "::1", "must be an IPv4 address"),
        ("mac_address", "10:e2:d5:00:00", "must be like 10:e2:d5:00:00:00, not '10:e2:d5:00:00'"),
        ("port", 0, "must be 1 to 65535, not 0"),
        ("port", 65536, "must be 1 to 65535, not 65536"),
        ("rx_delay_s", 3.2e-9, "must be at least 0 and below 3.2e-9, not 3.2e-09"),
        ("tx_delay_s", -1e-9, "must be at least 0"),
    ],
)
def test_bad_values_are_refused(field, value, why):
    with pytest.raises(ConfigError, match=f"{field} {why}"):
        replace(ETHERNET, **{field: value})


def test_a_missing_liteeth(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "liteeth" else find(name)
    )
    with pytest.raises(SummandError, match=r"needs \w+; pip install .*\[litex\]"):
        generate_ethernet(ETHERNET, device="LFE5UM5G-85F-8BG554C")


@pytest.mark.needs("liteeth")
@pytest.mark.parametrize(("simulated", "pads"), [(False, RGMII_PADS), (True, SIMULATED_PADS)])
def test_a_core_has_the_tops_ports(simulated, pads):
    """Equal calls give equal text, which names no day."""
    core = generate_ethernet(ETHERNET, device="LFE5UM5G-85F-8BG554C", simulated=simulated)
    assert core == generate_ethernet(ETHERNET, device="LFE5UM5G-85F-8BG554C", simulated=simulated)
    assert "//" not in core
    top = EthernetTop(CONFIG, link=UdpLinkConfig(), simulated=simulated)
    verilog = emit_verilog(top, name="summand_board", config=CONFIG)
    head = core[core.index(f"module {ETHERNET_MODULE}") : core.index(");")]
    instance = verilog[verilog.index(f"{ETHERNET_MODULE} ") :]
    instance = instance[: instance.index(");")]
    for name in (*pads, "clk", "rst", "source_data", "sink_last_be"):
        assert f" {name}" in head
        assert f".{name}(" in instance
