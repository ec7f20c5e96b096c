import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import CommandError, EngineConfig, ErrorCode
from summand.isa.borders import Border
from summand.isa.commands import Cast, Command, Fence, Gemm, Load, Requantise, Store
from summand.isa.decoding import check_header, decode, table_beats
from summand.isa.header import STORED, Header, Op
from summand.isa.results import Extremes
from summand.isa.segments import Segment

from .examples import BORDERS, CONFIG, FIXED, HEADERS, SEGMENTS

SCALED = EngineConfig(
    rows=4, cols=4, depth=64, stream_bits=64, acc_depth=64, act_depth=8, scale_bits=4
)


def verdict(header: Header) -> ErrorCode:
    try:
        check_header(header, CONFIG)
    except CommandError as e:
        return e.code
    return ErrorCode.OK


def refusal(command: Command, config: EngineConfig = CONFIG) -> ErrorCode:
    try:
        command.validate(config)
    except CommandError as e:
        return e.code
    return ErrorCode.OK


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (Header(Op.LOAD, 4 * 8 * 8, 0, 8, 4), ErrorCode.OK),
        (Header(Op.LOAD, 8, 7, 1, 1), ErrorCode.OK),
        (Header(Op.LOAD, 8, 8, 1, 1), ErrorCode.ACTIVATIONS),
        (Header(Op.LOAD, 8, 0, 1, 5), ErrorCode.ROWS),
        (Header(Op.LOAD, 7, 0, 1, 1), ErrorCode.LENGTH),
        (Header(Op.LOAD, 8, 0, 1, 1, 1), ErrorCode.RESERVED),
        (Header(Op.GEMM, 1, 0, 8, 1), ErrorCode.OK),
        (Header(Op.GEMM, 16, 0, 8, 16), ErrorCode.OK),
        (Header(Op.GEMM, 15, 0, 8, 16), ErrorCode.LENGTH),
        (Header(Op.GEMM, 99, 0, 8, 17), ErrorCode.SEGMENTS),
        (Header(Op.GEMM, 99, 0, 9, 1), ErrorCode.ACTIVATIONS),
        (Header(Op.GEMM, 1, 0, 9, 1, 1), ErrorCode.RESERVED),
        (Header(Op.GEMM, 16, 0, 8, 1, flags=15), ErrorCode.OK),
        (Header(Op.GEMM, 15, 0, 8, 1, flags=15), ErrorCode.LENGTH),
        (Header(Op.GEMM, 99, 0, 9, 17, flags=16), ErrorCode.RESERVED),
        (Header(Op.LOAD, 8, 0, 1, 1, flags=1), ErrorCode.RESERVED),
        (Header(Op.REQUANTISE, 128, 0, 64, 4, 0), ErrorCode.OK),
        (Header(Op.REQUANTISE, 128, 0, 64, 4, 4), ErrorCode.OK),
        (Header(Op.REQUANTISE, 128, 0, 64, 4, 5), ErrorCode.ACTIVATIONS),
        (Header(Op.REQUANTISE, 128, 1, 64, 4, 0), ErrorCode.TILES),
        (Header(Op.REQUANTISE, 127, 0, 64, 4, 0), ErrorCode.LENGTH),
        (Header(Op.STORE, 0, 0, 64, 4, 0xFFFF, 8), ErrorCode.OK),
        (Header(Op.STORE, 0, 0, 64, 4, 0, 1), ErrorCode.OK),
        (Header(Op.STORE, 1, 0, 64, 4, 0, 1), ErrorCode.LENGTH),
        (Header(Op.STORE, 0, 0, 65, 4, 0, 1), ErrorCode.TILES),
        (Header(Op.STORE, 0, 0, 65, 5, 0, 0), ErrorCode.RESERVED),
        (Header(Op.STORE, 0, 0, 65, 5, 0, 9), ErrorCode.RESERVED),
        (Header(Op.STORE, 0, 0, 64, 4, 0xFFFF, 0x80), ErrorCode.OK),
        (Header(Op.STORE, 0, 60, 4, 4, 0, 0xC0), ErrorCode.OK),
        (Header(Op.STORE, 0, 0, 65, 5, 0, 0x40), ErrorCode.RESERVED),
        (Header(Op.STORE, 0, 0, 65, 5, 0, 0x81), ErrorCode.RESERVED),
        (Header(Op.STORE, 1, 0, 63, 5, 0, 0x80), ErrorCode.ROWS),
        (Header(Op.STORE, 1, 0, 63, 4, 0, 0x80), ErrorCode.TILES),
        (Header(Op.STORE, 1, 0, 60, 4, 0, 0x80), ErrorCode.LENGTH),
        (Header(Op.FENCE, 0, 0xFFFF), ErrorCode.OK),
        (Header(Op.FENCE, 0, 0, 1), ErrorCode.RESERVED),
        (Header(7), ErrorCode.OP),
        (Header(Op.CAST, 128, 0, 64, 0x404, 0, 60), ErrorCode.OK),
        (Header(Op.CAST, 2, 63, 1, 0x801, 248, 63), ErrorCode.OK),
        (Header(Op.CAST, 99, 1, 64, 0x904, 0, 61), ErrorCode.TILES),
        (Header(Op.CAST, 99, 0, 1, 0x905, 256, 61), ErrorCode.ROWS),
        (Header(Op.CAST, 2, 0, 1, 0x901), ErrorCode.OPERAND),
        (Header(Op.CAST, 2, 0, 1, 0x001), ErrorCode.OPERAND),
        (Header(Op.CAST, 2, 0, 1, 0x104, 0, 61), ErrorCode.OPERAND),
        (Header(Op.CAST, 99, 0, 1, 0x101, 256), ErrorCode.OPERAND),
        (Header(Op.CAST, 3, 0, 1, 0x101, 255), ErrorCode.LENGTH),
        (Header(Op.GEMM, 1, 0, 8, 1, 0xFFFF, STORED), ErrorCode.OK),
        (Header(Op.GEMM, 16, 0, 8, 1, 0, STORED | 15), ErrorCode.OK),
        (Header(Op.GEMM, 17, 0, 8, 1, 0, STORED | 15), ErrorCode.LENGTH),
        (Header(Op.GEMM, 0, 0, 8, 1, 0, STORED), ErrorCode.LENGTH),
        (Header(Op.GEMM, 1, 0, 8, 1, 0, STORED | 16), ErrorCode.RESERVED),
    ],
)
def test_headers_are_checked_against_the_engine(header, code):
    assert verdict(header) == code


@FIXED
@given(HEADERS)
def test_any_header_is_accepted_or_refused(header):
    assert verdict(header) in ErrorCode


ONE = (Segment(tile=0, tiles=1, planes=1),)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Load(7, 1, 4), ErrorCode.OK),
        (Load(8, 1, 5), ErrorCode.ROWS),
        (Load(8, 1, 4), ErrorCode.ACTIVATIONS),
        (Gemm(0, 8, ONE), ErrorCode.OK),
        (Gemm(0, 9, (), 1), ErrorCode.RESERVED),
        (Gemm(0, 9, ()), ErrorCode.ACTIVATIONS),
        (Gemm(0, 8, ()), ErrorCode.SEGMENTS),
        (Gemm(0, 8, tuple(Segment(tile=n, tiles=1, planes=1) for n in range(17))), 7),
        (Gemm(0, 8, ONE * 2), ErrorCode.TILES),
        (Gemm(0, 8, (Segment(tile=0, tiles=1, planes=9),)), ErrorCode.SEGMENTS),
        (Gemm(0, 8, (Segment(tile=0, tiles=1, planes=9, scaled=True),)), ErrorCode.RESERVED),
        (Gemm(0, 8, ONE, from_word=248), ErrorCode.OK),
        (Gemm(0, 8, ONE, from_word=249), ErrorCode.OPERAND),
        (Gemm(0, 8, ONE, 1, from_word=0), ErrorCode.RESERVED),
        (Gemm(0, 8, (Segment(tile=0, tiles=1, planes=1, kept=1),), from_word=256), 3),
        (Gemm(0, 8, ONE * 2, from_word=256), ErrorCode.TILES),
        (Gemm(0, 8, ONE, borders=(Border(8, 1),), from_word=256), ErrorCode.RESERVED),
        (Cast(0, 64, 4, 4, 0, 60), ErrorCode.OK),
        (Cast(0, 64, 4, 4, 1), ErrorCode.OPERAND),
        (Cast(0, 65, 5, 9, 0), ErrorCode.ROWS),
        (Cast(0, 65, 4, 9, 0), ErrorCode.TILES),
        (Cast(0, 1, 4, 0, 0), ErrorCode.OPERAND),
        (Requantise(0, 64, 4, 4), ErrorCode.OK),
        (Requantise(0, 65, 5, 9), ErrorCode.ROWS),
        (Requantise(0, 65, 4, 9), ErrorCode.TILES),
        (Requantise(0, 64, 4, 5), ErrorCode.ACTIVATIONS),
        (Store(63, 1, 4, 0xFFFF, 8), ErrorCode.OK),
        (Store(64, 1, 0, limbs=1), ErrorCode.ROWS),
        (Store(64, 1, 4, limbs=1), ErrorCode.TILES),
        (Store(64, 1, 0), ErrorCode.RESERVED),
        (Store(64, 1, 0, limbs=9), ErrorCode.RESERVED),
        (Store(60, 4, 4, 0xFFFF, extremes=Extremes.LEAST), ErrorCode.OK),
        (Store(64, 1, 0, limbs=1, extremes=Extremes.LEAST), ErrorCode.RESERVED),
        (Store(60, 3, 5, extremes=Extremes.GREATEST), ErrorCode.ROWS),
        (Store(60, 3, 4, extremes=Extremes.GREATEST), ErrorCode.TILES),
        (Fence(0xFFFF), ErrorCode.OK),
    ],
)
def test_commands_are_checked_against_the_engine(command, code):
    assert refusal(command) == code


def test_groups_are_for_engines_with_scales():
    segments = (Segment(tile=0, tiles=1, planes=1, scaled=True),)
    assert refusal(Gemm(0, 8, segments, 2), SCALED) == ErrorCode.OK


def test_an_engine_without_an_operand_has_neither_casts_nor_stored_weights():
    without = EngineConfig()
    assert refusal(Gemm(0, 1, ONE, from_word=0), without) == ErrorCode.RESERVED
    assert refusal(Cast(0, 1, 1, 1, 0), without) == ErrorCode.OP
    for header, code in (
        (Header(Op.CAST, 1, 0, 1, 0x101), ErrorCode.OP),
        (Header(Op.GEMM, 1, 0, 1, 1, 0, STORED), ErrorCode.RESERVED),
    ):
        with pytest.raises(CommandError) as refused:
            check_header(header, without)
        assert refused.value.code == code


def test_a_requantise_names_no_more_features_than_its_memory_holds():
    assert refusal(Requantise(0, 4, 1, 0), EngineConfig(requant_depth=16)) == ErrorCode.OK
    assert refusal(Requantise(0, 5, 1, 0), EngineConfig(requant_depth=16)) == ErrorCode.TILES


def _slice(border: Border) -> int:
    return border.slice


@st.composite
def commands(draw: st.DrawFn) -> Command:
    """Draw any command that fits its header, good or bad."""
    half, small = st.integers(0, 0xFFFF), st.integers(0, 9)
    segments = st.lists(SEGMENTS, max_size=17).map(tuple)
    borders = st.lists(BORDERS, max_size=2).map(lambda some: tuple(sorted(some, key=_slice)))
    return draw(
        st.one_of(
            st.builds(Load, small, small, small),
            st.builds(Gemm, small, small, segments, st.sampled_from([0, 0, 1]), borders),
            st.builds(Gemm, small, small, segments, borders=borders, from_word=st.integers(0, 300)),
            st.builds(Requantise, st.integers(0, 70), st.integers(0, 70), small, small),
            st.builds(
                Cast,
                st.integers(0, 70),
                st.integers(0, 70),
                small,
                small,
                st.integers(0, 300),
                st.integers(0, 70),
            ),
            st.builds(Store, st.integers(0, 70), st.integers(0, 70), small, half, small),
            st.builds(
                Store,
                st.integers(0, 70),
                st.integers(0, 70),
                small,
                extremes=st.sampled_from(Extremes),
            ),
            st.builds(Fence, half),
        )
    )


@settings(FIXED, max_examples=1000)
@given(commands())
def test_what_is_decoded_is_what_was_encoded_and_refused_alike(command):
    raw = command.encode(CONFIG)
    split = CONFIG.header_beats * CONFIG.beat_bytes
    header = Header.decode(raw[:split])
    assert header == command.header(CONFIG)
    try:
        check_header(header, CONFIG)
        size = table_beats(header, CONFIG) * CONFIG.beat_bytes
        assert len(raw) == split + size
        assert decode(header, raw[split:], CONFIG) == command
        refused = ErrorCode.OK
    except CommandError as e:
        refused = e.code
    assert refused == refusal(command)


@pytest.mark.parametrize(
    ("command", "beats"),
    [
        (Load(0, 2, 3), 2 * 3 * 8),
        (Gemm(0, 8, (Segment(tile=0, tiles=3, planes=2),)), 8 * 6 * 4),
        (Gemm(0, 8, (Segment(tile=0, tiles=3, planes=2),), from_word=9), 0),
        (Requantise(0, 3, 4, 0), 6),
        (Cast(0, 3, 4, 8, 0), 6),
        (Store(0, 3, 4, limbs=5), 0),
        (Fence(), 0),
    ],
)
def test_payloads_have_the_size_that_the_header_says(command, beats):
    assert command.payload_beats(CONFIG) == beats
    table = len(command.encode(CONFIG)) // CONFIG.beat_bytes - CONFIG.header_beats
    assert command.header(CONFIG).length == table + beats


@pytest.mark.parametrize(("group", "groups"), [(0, 1), (1, 8), (3, 3), (8, 1), (9, 1)])
def test_scales_come_with_every_group(group, groups):
    """Five tiles of four scales, four tiles in a beat."""
    segments = (Segment(tile=0, tiles=5, planes=1, scaled=True), *ONE)
    words = Gemm(0, 8, (Segment(tile=0, tiles=6, planes=1),)).payload_beats(SCALED)
    assert Gemm(0, 8, segments, group).payload_beats(SCALED) == words + 2 * groups


def test_gemm_touches_its_tiles_only():
    segments = (Segment(tile=0, tiles=3, planes=2), Segment(tile=5, tiles=1, planes=7))
    gemm = Gemm(1, 2, segments)
    assert gemm.words == 13
    assert [gemm.touches(t, t + 1) for t in range(7)] == [1, 1, 1, 0, 0, 1, 0]
    assert not gemm.touches(3, 5)


def test_an_engine_without_limbs_sends_whole_accumulators_only():
    assert refusal(Store(0, 1, 1), EngineConfig()) == ErrorCode.OK
    assert refusal(Store(0, 1, 1, limbs=1), EngineConfig()) == ErrorCode.RESERVED


@pytest.mark.parametrize("fields", [{}, {"limb_bits": 4}])
@pytest.mark.parametrize("extremes", [Extremes.GREATEST, Extremes.LEAST])
def test_an_engine_without_bins_sends_no_extremes(fields, extremes):
    store = Store(0, 4, 1, extremes=extremes)
    assert refusal(store, EngineConfig(**fields)) == ErrorCode.RESERVED
    assert refusal(store, EngineConfig(bin_tiles=4, **fields)) == ErrorCode.OK
