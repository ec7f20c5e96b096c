import random

import pytest

from summand.isa import EngineConfig
from summand.rtl.collect import Collector
from summand.testing.streams import trace


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6, 7, 10])
def test_each_row_is_as_far_as_its_number(rows):
    """One result reaches the front in each cycle, from rows in any order."""
    rng = random.Random(rows)
    config = EngineConfig(rows=rows, cols=2, depth=16, stream_bits=32, acc_bits=16, act_bits=4)
    want = [(rng.randrange(rows), [rng.randint(-99, 99) for _ in range(2)]) for _ in range(60)]
    quiet = {"valid": 0, "acc": [0, 0]}
    inputs = [{"i": [dict(quiet) for _ in range(rows)]} for _ in range(len(want) + 2 * rows)]
    for cycle, (row, acc) in enumerate(want):
        inputs[cycle + rows - row]["i"][row] = {"valid": 1, "acc": acc}
    found = trace(Collector(config), inputs, ["o"])
    # A result of row n takes n + 1 cycles to the front, so all arrive in order from rows + 1 on.
    seen = [list(o.acc) for (o,) in found if o.valid]
    assert seen == [acc for _, acc in want]
    first = next(n for n, (o,) in enumerate(found) if o.valid)
    assert first == rows + 1
    after = [bool(o.valid) for (o,) in found[first:]]
    assert after == [n < len(want) for n in range(len(after))]
