"""What the device of a SoC does when nothing moves; tests/cosim/test_litex.py has the rest."""

import pytest

from summand.boards.soc.places import EnginePlaces
from summand.isa import EngineConfig
from summand.runtime.errors import DeviceTimeout
from summand.runtime.litex import LitexDevice

CONFIG = EngineConfig(cols=4, depth=16, stream_bits=64, acc_depth=16, act_depth=2)
NAMES = ("base", "length", "enable", "done", "offset")


class Stuck:
    """A bus on which nothing is ever done, and its clock."""

    def __init__(self):
        self.now = 0.0
        self.longest = 0

    def read(self, addr: int, length: int) -> list[int]:
        self.now += 0.5
        return [0] * length

    def write(self, addr: int, datas: list[int]) -> None:
        self.longest = max(self.longest, len(datas))


def open_device(bus: Stuck) -> LitexDevice:
    names = [f"{half}_{name}" for half in ("reader", "writer") for name in NAMES]
    places = EnginePlaces(
        registers=0,
        sent=0x1000,
        received=0x2000,
        buffer_bytes=1024,
        dma={name: 0x3000 + 8 * n for n, name in enumerate([*names, "taken"])},
    )
    return LitexDevice(CONFIG, bus, places, clock=lambda: bus.now)


def test_an_engine_that_takes_nothing_is_told():
    bus = Stuck()
    device = open_device(bus)
    device.write([bytes(1024)])
    with pytest.raises(DeviceTimeout, match="taken nothing for 60 s; reset it"):
        device.write([bytes(8)])
    assert bus.longest == 128  # words, which a server's packet has room for


def test_output_that_does_not_come_is_told():
    with pytest.raises(DeviceTimeout, match="gave 0 of 16 bytes within 3 s"):
        open_device(Stuck()).read(16, 3)
