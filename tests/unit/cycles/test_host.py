"""A host that reads the answers to what it has sent before it sends more."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.cycles import Stalls, Timeline, read_commands
from summand.isa import EngineConfig
from summand.isa.commands import Fence, Load, Store
from summand.isa.packets import status_packet_bytes
from summand.stimulus.programs import random_program

CONFIGS = [
    EngineConfig(rows=2, cols=2, depth=16, stream_bits=32, acc_depth=16, act_depth=4, shift=4),
    EngineConfig(rows=1, cols=4, depth=64, stream_bits=256, acc_depth=32, act_depth=8),
]


def spent(commands, config, *, waits, stalls=None):
    """Return the cost of the commands if the host waits before each of those numbered ``waits``."""
    timeline = Timeline(config, stalls=stalls)
    for i, command in enumerate(commands):
        if i in waits:
            timeline.await_host()
        timeline.run(command)
    return timeline.spent


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(CONFIGS), st.sets(st.integers(0, 11)))
def test_waiting_leaves_the_work_and_parts_add_up(seed, config, waits):
    """Waiting may even save cycles, because words that come later leave slots to a drain."""
    program = random_program(np.random.default_rng(seed), config, commands=12)
    commands = list(read_commands(program.chunks, config))
    free, late = spent(commands, config, waits=()), spent(commands, config, waits=waits)
    for cost in (free, late):
        assert cost.cycles == sum(dataclasses.astuple(cost)) - cost.cycles
    assert (late.work, late.load, late.header) == (free.work, free.load, free.header)
    stalls = Stalls(offered=np.ones(0, bool), ready=np.ones(0, bool))
    assert spent(commands, config, waits=waits, stalls=stalls) == late


@pytest.mark.parametrize("config", CONFIGS)
def test_nothing_to_wait_for_costs_nothing(config):
    commands = [Load(0, 1, 1), Load(0, 1, 1)]
    assert spent(commands, config, waits={1}) == spent(commands, config, waits=())


@pytest.mark.parametrize("config", CONFIGS)
def test_the_next_beat_is_seen_two_cycles_after_the_last_has_left(config):
    """One cycle to offer it, one for the register that the front reads."""
    timeline = Timeline(config)
    timeline.run(Store(0, 4, 1))
    timeline.await_host()
    left = timeline.finish()  # the last beat is at the output
    before = timeline.spent
    timeline.run(Fence())
    assert timeline.spent.stream - before.stream == left + 2 - before.cycles


@pytest.mark.parametrize("config", CONFIGS)
def test_fences_heard_one_by_one_take_the_same(config):
    timeline = Timeline(config)
    ends = []
    for _ in range(5):
        timeline.run(Fence())
        timeline.await_host()
        ends.append(timeline.cycle)
    steps = set(np.diff(ends))
    assert len(steps) == 1
    assert steps.pop() > status_packet_bytes(config) // config.beat_bytes
