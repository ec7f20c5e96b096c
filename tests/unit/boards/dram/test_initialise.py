import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.boards.dram.commands import Command
from summand.boards.dram.initialise import DramError, initialise
from summand.boards.dram.levelling import LaneSetting, best_setting

from .phy_model import BITSLIPS, DELAYS, SEQUENCE, Eye, PhyModel, controller


def row(bitslip, text):
    """Return what ``best_setting`` takes: a character a delay, ``x`` where it works."""
    return {(bitslip, delay): c == "x" for delay, c in enumerate(text)}


@pytest.mark.parametrize(
    ("works", "bitslip", "delay", "window"),
    [
        (row(0, "..xxx..."), 0, 3, 3),
        (row(1, "x......."), 1, 0, 1),
        (row(0, "xx.xxxx."), 0, 4, 4),
        (row(0, "..xx....") | row(2, "...xxxxx"), 2, 5, 5),
        (row(0, "xx......") | row(1, "......xx"), 0, 0, 2),
    ],
)
def test_the_middle_of_the_longest_window_is_best(works, bitslip, delay, window):
    assert best_setting(works) == LaneSetting(bitslip=bitslip, delay=delay, window=window)


def test_windows_of_two_bitslips_are_not_one():
    """The last delay of one bitslip and the first of the next are no neighbours."""
    setting = best_setting(row(0, "......xx") | row(1, "xxx....."))
    assert setting == LaneSetting(bitslip=1, delay=1, window=3)


def test_no_window_is_no_setting():
    assert best_setting(row(0, "........")) is None


@st.composite
def eyes(draw):
    first = draw(st.integers(0, DELAYS - 1))
    last = draw(st.integers(first, DELAYS - 1))
    return Eye(draw(st.integers(0, BITSLIPS - 1)), first, last)


@given(low=eyes(), high=eyes(), seed=st.integers(0, 99))
def test_every_lane_is_set_to_the_middle_of_its_eye(low, high, seed):
    made = controller()
    model = PhyModel(made, [low, high], seed=seed)
    settings = initialise(made, model, "a board")
    for lane, eye in enumerate((low, high)):
        middle = (eye.first + eye.last) // 2
        assert (model.bitslips[lane], model.delays[lane]) == (eye.bitslip, middle)
        window = eye.last - eye.first + 1
        assert settings[lane] == LaneSetting(bitslip=eye.bitslip, delay=middle, window=window)
    assert model.values["phy_dly_sel"] == 0


def test_the_sequence_is_played_before_anything_else_and_the_memory_given_last():
    made = controller()
    model = PhyModel(made, [Eye(0, 2, 4), Eye(1, 3, 5)])
    initialise(made, model, "a board")
    names = [name for name, _ in model.log]
    controls = [value for name, value in model.log if name == "core_dfii_control"]
    assert controls == [0b1110, 0, 0b1000, 0b1110, 1]
    assert model.modes == {1: 0x320}
    commands = [value for name, value in model.log if name == "core_dfii_pi0_command"]
    assert commands[:2] == [Command.precharge(), SEQUENCE[-1].value]
    assert names.index("core_dfii_pi0_command") < names.index("phy_dly_sel")
    assert model.log[-2:] == [("core_dfii_control", 1), ("status_done", 1)]
    waits = [cycles for name, cycles in model.log if name == "wait"]
    assert waits[1] == 200  # 200 us at 1 MHz
    assert waits[2] == SEQUENCE[0].cycles
    assert waits[3] == 512


def test_a_lane_without_a_window_is_named():
    made = controller()
    model = PhyModel(made, [Eye(0, 2, 4), Eye(0, 2, 4)], dead=[1])
    with pytest.raises(DramError, match="my-board: .* byte lane 1 .* none of 32 settings; check"):
        initialise(made, model, "my-board")
    assert not model.values["status_done"]


def test_without_levels_to_set_a_memory_that_is_wrong_is_named():
    made = controller()
    plain = {n: r for n, r in made.registers.items() if not n.startswith("phy")}
    model = PhyModel(made, [Eye(0, 0, 7), Eye(0, 0, 7)], dead=[0])
    with pytest.raises(DramError, match="my-board: .* comes back wrong on byte lane 0; check"):
        initialise(controller(registers=plain), model, "my-board")
    assert not model.values["status_done"]
    model.dead.clear()
    assert initialise(controller(registers=plain), model, "my-board") == []
    assert model.values["status_done"]
