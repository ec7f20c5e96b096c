"""What a board's file may say of its Ethernet."""

from dataclasses import asdict
from importlib.resources import files

import pytest

from summand.boards.ethernet.record import BoardEthernet
from summand.boards.library import find_board
from summand.isa import ConfigError

TABLE = """
[ethernet]
ip_address = "10.1.2.3"
mac_address = "02:00:00:00:00:01"
port = 4000
tx_delay_ns = 1.5
rx_delay_ns = 0.0
source = "mine"
"""


@pytest.fixture
def mine(tmp_path):
    """Return a board whose table is a text."""
    library = files("summand.boards") / "library"
    text = (library / "ecpix5-85f.toml").read_text()
    text = text[: text.index("[ethernet]")]

    def write(table):
        path = tmp_path / "mine.toml"
        path.write_text(text + table)
        return find_board(str(path))

    return write


def test_a_table(mine):
    assert asdict(mine(TABLE).networked()) == {
        "ip_address": "10.1.2.3",
        "mac_address": "02:00:00:00:00:01",
        "port": 4000,
        "tx_delay_ns": 1.5,
        "rx_delay_ns": 0.0,
        "pulled_up": (),
        "source": "mine",
    }


def test_the_addresses_have_defaults():
    """Those that the documentation gives."""
    board = BoardEthernet(tx_delay_ns=0.0, rx_delay_ns=2.0, source="mine")
    assert (board.ip_address, board.mac_address, board.port) == (
        "192.168.1.50",
        "10:e2:d5:00:00:00",
        2000,
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"10.1.2.3"', '"board.lan"', "ip_address must be an IPv4 address: .*'board.lan'"),
        ('"10.1.2.3"', '"::1"', "ip_address must be an IPv4 address"),
        ('"10.1.2.3"', '"10.1.2"', "ip_address must be an IPv4 address"),
        ('"10.1.2.3"', '"127.0.0.1"', "ip_address must be one of a single host, not 127.0.0.1"),
        ('"10.1.2.3"', '"224.0.0.1"', "ip_address must be one of a single host"),
        ('"10.1.2.3"', '"255.255.255.255"', "ip_address must be one of a single host"),
        ('"10.1.2.3"', '"0.0.0.0"', "ip_address must be one of a single host"),
        (
            '"10.1.2.3"',
            "167837955",
            "ethernet.ip_address is 167837955: input should be a valid str",
        ),
        ("00:01", "00", "mac_address must be like 10:e2:d5:00:00:00, not '02:00:00:00:00'"),
        ('"02:', '"0G:', "mac_address must be like 10:e2:d5:00:00:00"),
        ('"02:', '"03:', "mac_address must be one of a single host, not 03:00:00:00:00:01"),
        ("4000", "0", "ethernet.port is 0: input should be greater than 0"),
        ("4000", "65536", "ethernet.port is 65536: input should be less than 65536"),
        ("1.5", "3.2", "ethernet.tx_delay_ns is 3.2: input should be less than 3.2"),
        ("1.5", "-0.5", "ethernet.tx_delay_ns is -0.5: input should be greater than or equal"),
        ("rx_delay_ns = 0.0\n", "", "ethernet.rx_delay_ns is missing"),
        ("port =", "ports =", "ethernet.ports is not known; there are ip_address, mac_address, "),
        ('source = "mine"', 'source = ""', "ethernet.source is ''"),
        ("port", 'pulled_up = ["tx_data"]\nport', r"ethernet.pulled_up.0 is 'tx_data'"),
    ],
)
def test_bad_tables(mine, old, new, said):
    assert old in TABLE
    with pytest.raises(ConfigError, match=rf"mine\.toml: .*{said}"):
        mine(TABLE.replace(old, new, 1))


def test_a_board_without_a_table(mine):
    with pytest.raises(ConfigError, match=r"the file of mine has no \[ethernet\], its .*: build"):
        mine("").networked()
