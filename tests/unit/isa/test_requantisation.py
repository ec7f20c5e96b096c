import struct

import numpy as np
import pytest

from summand.isa import CommandError, ErrorCode
from summand.isa.requantisation import pack_requantisation, unpack_requantisation


def test_round_trip_with_anything_behind():
    mult, shift = np.array([0, 1, 1000, 0xFFFF]), np.array([1, 47, 10, 24])
    raw = pack_requantisation(mult, shift)
    assert raw == b"".join(
        struct.pack("<HBB", m, s, 0) for m, s in zip(mult.tolist(), shift.tolist(), strict=True)
    )
    for got, want in zip(unpack_requantisation(raw + b"\xff" * 16, 4), (mult, shift), strict=True):
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("shift", "zero"), [(0, 0), (48, 0), (255, 0), (1, 1)])
def test_bad_entries_are_refused(shift, zero):
    raw = struct.pack("<HBBHBB", 1, 1, 0, 1, shift, zero)
    with pytest.raises(CommandError) as caught:
        unpack_requantisation(raw, 2)
    assert caught.value.code == ErrorCode.REQUANTISE
    unpack_requantisation(raw, 1)
