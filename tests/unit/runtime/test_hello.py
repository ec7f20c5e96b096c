"""The first talk with a device."""

from typing import Any

import pytest

from summand.isa import EngineConfig
from summand.isa.registers import IDENTITY, STREAM_VERSION
from summand.runtime import Driver
from summand.runtime.device import GoldenDevice
from summand.runtime.hello import say_hello
from summand.stimulus.engines import CORNERS


@pytest.mark.parametrize("name", CORNERS)
def test_every_engine_can_be_greeted(name):
    config = CORNERS[name]
    with Driver(GoldenDevice(config)) as driver:
        hello = say_hello(driver)
    assert (hello.identity, hello.version) == (IDENTITY, STREAM_VERSION)
    assert hello.digest == config.digest
    assert hello.round_trip_s > 0
    assert hello.comparison.exact
    assert hello.comparison.usage.tokens == config.rows
    assert hello.comparison.usage.calls == 1


class _Wrong(GoldenDevice):
    """An engine whose first row's last column adds one when results leave."""

    def __init__(self, config: EngineConfig):
        super().__init__(config)
        engine: Any = self._engine
        store = engine._store

        def wrong(command):
            engine.accumulators[0, config.cols] += 1
            store(command)

        engine._store = wrong


def test_a_wrong_bit_is_found():
    """In the second tile, whose first column alone is used."""
    with Driver(_Wrong(CORNERS["smallest"])) as driver:
        comparison = say_hello(driver).comparison
    assert not comparison.exact
    assert any("differ from the golden model" in text for text in comparison.wrong)
