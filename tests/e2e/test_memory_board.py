"""A board with its memory as it is built: link, player, engine, and controller on LiteDRAM's model.

The host initialises the memory over the link, uploads weights, and plays them.
"""

import numpy as np
import pytest

from summand.boards.library import find_board
from summand.isa import EngineConfig
from summand.model import Layer
from summand.runtime import Driver, GoldenDevice, compile_layers
from summand.runtime.memory.played import PlayedDevice
from summand.runtime.simulated import open_simulated_board
from summand.summands.dense import Dense

pytestmark = [pytest.mark.sim, pytest.mark.needs("verilator", "litedram")]

CONFIG = EngineConfig(
    rows=2, cols=4, depth=32, stream_bits=128, acc_depth=256, act_depth=16, requant_depth=64
)
#: Beats a cycle that linear reads of the controller's own port reach, with a refresh of 260 ns.
ALONE = 0.4636


def test_weights_are_uploaded_once_and_played_at_the_controllers_rate():
    rng = np.random.default_rng(1)
    weights = rng.integers(-8, 8, (320, 480)).astype(np.int8)
    layer = Layer("q", 320, 480, CONFIG.act_bits, (Dense(weights, 4),), np.ones(480, np.float32))
    program = compile_layers([layer], CONFIG, held=True)
    device, line = open_simulated_board(find_board("ecpix5-85f"), CONFIG, record=True)
    with Driver(device) as driver, Driver(GoldenDevice(CONFIG)) as golden:
        size = sum(map(len, program.payloads))
        assert driver.hold([program]) == size
        for tokens in (1, 3):
            xq = rng.integers(-128, 128, (tokens, 320))
            got, want = (d.run(program, xq).outputs[0] for d in (driver, golden))
            np.testing.assert_array_equal(got, want)
        # The engine's memory of what it took says how fast beats came: those of the second call's
        # last batch end with the STORE and the FENCE.
        (payload,) = program.payloads
        beats = len(payload) // CONFIG.beat_bytes
        taken = line.beats[: -2 * CONFIG.header_beats][-beats:]
        assert beats / float(taken[-1] - taken[0] + 1) > 0.97 * ALONE

        # Another program that finds the board so does not upload it again.
        again = PlayedDevice(device._device)
        assert again.hold(program.payloads) == 0
