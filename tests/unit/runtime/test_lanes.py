import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.runtime.lanes import Lanes
from summand.summands.errors import LayerError


class Doubling:
    """Layers that double and negate, and keep how many rows came together."""

    def __init__(self):
        self.batches: list[list[float]] = []

    def __call__(self, rows):
        self.batches.append(rows[:, 0].tolist())
        if np.isnan(rows).any():
            raise LayerError("activations must be finite")
        return 2 * rows, -rows


def row(value: float) -> np.ndarray:
    return np.full((1, 3), value, np.float32)


def test_outside_of_a_run_layers_are_computed_at_once():
    layers = Doubling()
    doubled, negated = Lanes().compute(layers, row(3))
    assert doubled[0, 0] == 6
    assert negated[0, 0] == -3
    assert layers.batches == [[3]]


@given(st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=6))
def test_calls_in_step_share_layers_and_get_their_own_results(plans):
    """Each call goes through layers of its own choice; a round computes each of them once."""
    lanes, layers = Lanes(), [Doubling() for _ in range(3)]
    order: list[tuple[int, int]] = []

    def call(lane):
        value = float(lane + 1)
        for step, choice in enumerate(plans[lane]):
            doubled, negated = lanes.compute(layers[choice], row(value))
            assert negated[0, 0] == -value
            value = float(doubled[0, 0])
            order.append((step, lane))
        return value

    ended = lanes.run([lambda lane=lane: call(lane) for lane in range(len(plans))])
    assert [e.get() for e in ended] == [(i + 1) * 2.0 ** len(p) for i, p in enumerate(plans)]
    assert order == sorted(order)
    rounds = zip(*([*plan, *[None] * (6 - len(plan))] for plan in plans), strict=True)
    wanted = sum(len(set(choices) - {None}) for choices in rounds)
    assert sum(len(layer.batches) for layer in layers) == wanted


def test_a_call_that_fails_leaves_the_others_alone():
    lanes, layers = Lanes(), Doubling()

    def call(value):
        lanes.compute(layers, row(value))
        if value == 2:
            raise IndexError("two")
        return lanes.compute(layers, row(value))[0][0, 0]

    ended = lanes.run([lambda v=v: call(v) for v in (1, 2, 3)])
    assert [e.value for e in ended] == [2, None, 6]
    with pytest.raises(IndexError, match="two"):
        ended[1].get()
    assert layers.batches == [[1, 2, 3], [1, 3]]


def test_tokens_that_a_layer_refuses_are_their_own_calls_error():
    lanes, layers = Lanes(), Doubling()
    ended = lanes.run([lambda v=v: lanes.compute(layers, row(v))[0][0, 0] for v in (1, np.nan, 3)])
    assert [e.value for e in ended] == [2, None, 6]
    assert isinstance(ended[1].error, LayerError)


@pytest.mark.parametrize("error", [OSError("the cable is out"), KeyboardInterrupt()])
def test_what_ends_the_engine_ends_all_calls(error):
    lanes, left = Lanes(), []

    def broken(rows):
        raise error

    def call(lane):
        try:
            return lanes.compute(broken, row(lane))
        finally:
            left.append(lane)

    with pytest.raises(type(error)):
        lanes.run([lambda lane=lane: call(lane) for lane in range(3)])
    assert left == [0, 1, 2]
    # The next run is not disturbed.
    assert lanes.run([lambda: lanes.compute(Doubling(), row(1))[0][0, 0]])[0].get() == 2


def test_an_interrupt_in_a_call_ends_all():
    lanes, left = Lanes(), []

    def call(lane):
        try:
            lanes.compute(Doubling(), row(lane))
            if lane == 1:
                raise KeyboardInterrupt
            lanes.compute(Doubling(), row(lane))
        finally:
            left.append(lane)

    with pytest.raises(KeyboardInterrupt):
        lanes.run([lambda lane=lane: call(lane) for lane in range(3)])
    assert sorted(left) == [0, 1, 2]


def test_runs_are_not_nested():
    lanes = Lanes()
    (ended,) = lanes.run([lambda: lanes.run([])])
    with pytest.raises(RuntimeError, match="cannot run further calls"):
        ended.get()
