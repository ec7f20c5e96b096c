"""Engines, and any headers and segments."""

from hypothesis import settings
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.isa.borders import Border
from summand.isa.header import Header
from summand.isa.segments import Segment

FIXED = settings(deadline=None, derandomize=True, max_examples=300)
NARROW = EngineConfig(cols=1, depth=32, stream_bits=32)
WIDE = EngineConfig(cols=8, depth=64, stream_bits=512)
CONFIG = EngineConfig(
    rows=4,
    cols=4,
    depth=64,
    stream_bits=64,
    acc_depth=64,
    act_depth=8,
    shift=2,
    half_steps=True,
    border_shift=3,
    sparse_block=8,
    operand_depth=256,
    limb_bits=4,
    bin_tiles=4,
)

HALF = st.integers(0, 0xFFFF)
HEADERS = st.builds(
    Header,
    op=st.integers(0, 255),
    length=st.integers(0, 0xFFFFFFFF),
    a=HALF,
    b=HALF,
    c=HALF,
    d=HALF,
    flags=st.integers(0, 255),
)

_DENSE = st.builds(
    Segment,
    tile=st.integers(0, 31),
    tiles=st.integers(1, 32),
    planes=st.integers(1, 8),
    clear=st.booleans(),
    shift=st.booleans(),
    half_step=st.booleans(),
)

BORDERS = st.builds(Border, slice=st.integers(0, 9), shift=st.integers(1, 3))
_SPARSE = st.builds(
    Segment,
    tile=st.integers(0, 31),
    tiles=st.integers(1, 32),
    planes=st.integers(1, 8),
    clear=st.booleans(),
    shift=st.booleans(),
    kept=st.integers(1, 7),
)
SEGMENTS = _DENSE | _SPARSE
