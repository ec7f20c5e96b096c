import pytest

from summand.rtl.stream import Beat, StreamBuffer, StreamRegister
from summand.testing.streams import STALLS, run_stream

REGISTERS = pytest.mark.parametrize("register", [StreamRegister, StreamBuffer])


@REGISTERS
@pytest.mark.parametrize("stalls", STALLS, ids=str)
def test_beats_leave_as_they_came(stalls, register):
    beats = [{"data": 37 * n % 256, "last": n % 5 == 4} for n in range(100)]
    flow = run_stream(register(Beat(8)), beats, len(beats), stalls=stalls, max_cycles=1500)
    assert [{"data": b.data, "last": b.last} for b in flow.beats] == beats


@REGISTERS
def test_a_beat_a_cycle_after_the_latency(register):
    flow = run_stream(register(8), range(50), 50)
    assert flow.sent == list(range(50))
    assert flow.arrived == [n + register.LATENCY for n in range(50)]
