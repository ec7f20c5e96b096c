import pytest

from summand.cosim.streams import STALLS, run_stream
from summand.rtl.stream import Beat, StreamRegister


@pytest.mark.parametrize("stalls", STALLS, ids=str)
def test_beats_leave_as_they_came(stalls):
    beats = [{"data": 37 * n % 256, "last": n % 5 == 4} for n in range(100)]
    flow = run_stream(StreamRegister(Beat(8)), beats, len(beats), stalls=stalls, max_cycles=1500)
    assert [{"data": b.data, "last": b.last} for b in flow.beats] == beats


def test_a_beat_a_cycle_after_the_latency():
    flow = run_stream(StreamRegister(8), range(50), 50)
    assert flow.sent == list(range(50))
    assert flow.arrived == [n + StreamRegister.LATENCY for n in range(50)]
