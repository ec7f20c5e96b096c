import dataclasses
import random

from summand.cosim.streams import trace
from summand.isa.packets import Counters
from summand.rtl.counters import CountersLayout, CycleCounters

NAMES = [f.name for f in dataclasses.fields(Counters)]


def test_every_cycle_is_counted_once_under_its_name():
    """The parts add up to ``cycles`` in every cycle, a fixed number of cycles behind."""
    rng = random.Random(1)
    spent = [rng.choice(NAMES[1:]) for _ in range(300)]
    rows = trace(CycleCounters(), [{"activity": {name: 1}} for name in spent], ["count"])
    behind = len(spent) - rows[-1][0].cycles
    assert behind == 2
    for cycle, (count,) in enumerate(rows):
        seen = spent[: max(0, cycle + 1 - behind)]
        assert count.cycles == len(seen)
        assert [count[n] for n in NAMES[1:]] == [seen.count(n) for n in NAMES[1:]]


def test_the_layout_is_the_order_of_the_packet():
    names = [name for name, _ in CountersLayout()]
    assert names == NAMES
