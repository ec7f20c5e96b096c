"""The law predicts exactly the usage that the driver reports."""

import dataclasses
from unittest import mock

import numpy as np
import pytest

from summand.bench import Law
from summand.isa.packets import Counters
from summand.runtime import Driver, GoldenDevice, Usage, compile_layers, open_device

PARTS = [["head"], ["blocks.0.q", "blocks.0.k"], ["blocks.0.o"]]


@pytest.fixture
def programs(engine, layers):
    return [compile_layers([layers[name] for name in part], engine) for part in PARTS]


def tokens_for(program, count: int):
    return np.random.default_rng(count).integers(-128, 128, (count, program.in_features))


@pytest.mark.sim
def test_equals_the_simulated_verilog(engine, programs):
    law = Law(engine)
    with Driver(open_device("sim", engine)) as driver:
        for count in (1, 2, 5, 8):
            for program in programs:
                usage = driver.run(program, tokens_for(program, count)).usage
                assert usage == law.usage(program, count)
        assert law.total(driver.calls) == driver.usage


@pytest.mark.sim
def test_equals_the_simulated_verilog_if_calls_are_fenced_in_between(engine, programs):
    with (
        mock.patch("summand.runtime.driver.FENCE_BEATS", 2_000),
        mock.patch("summand.bench.law.FENCE_BEATS", 2_000),
        Driver(open_device("sim", engine)) as driver,
    ):
        for program in programs:
            usage = driver.run(program, tokens_for(program, 7)).usage
            assert usage == Law(engine).usage(program, 7)


def test_all_but_cycles_equals_what_an_untimed_device_gives(engine, programs):
    with Driver(GoldenDevice(engine)) as driver:
        for program in programs:
            usage = driver.run(program, tokens_for(program, 3)).usage
            modelled = Law(engine).usage(program, 3)
            assert dataclasses.replace(modelled, counters=Counters()) == usage


def test_no_tokens_cost_nothing(engine, programs):
    assert Law(engine).usage(programs[0], 0) == Usage(calls=1)
    with Driver(GoldenDevice(engine)) as driver:
        assert driver.run(programs[0], tokens_for(programs[0], 0)).usage == Usage(calls=1)


def test_total_adds_up_calls(engine, programs):
    law = Law(engine)
    a, b, _ = programs
    total = law.total({(a, 1): 2, (a, 3): 1, (b, 2): 4})
    one, three = law.usage(a, 1), law.usage(a, 3)
    assert total[a.name] == one + one + three
    assert total[b.name] == sum([law.usage(b, 2)] * 4, Usage())
    assert law.total({}) == {}
