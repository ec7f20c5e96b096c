"""A command header: its fields, and whether this engine can do what it says."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig, ErrorCode
from summand.isa.ops import CHECK, MAX_SEGMENTS, SEGMENT_BYTES, Op

__all__ = ["Decoder", "HeaderLayout"]


class HeaderLayout(data.StructLayout):
    """The sixteen bytes of a header in the stream; see :class:`summand.isa.ops.Header`."""

    def __init__(self):
        super().__init__(
            {"op": 8, "flags": 8, "check": 16, "length": 32, "a": 16, "b": 16, "c": 16, "d": 16}
        )


class Decoder(wiring.Component):
    """Check a header as :meth:`summand.isa.ops.Header.validate` does. :attr:`LATENCY` cycles.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    header : ``In(HeaderLayout)``
        Steady while it is looked at.
    error : ``Out(8)``
        The first check that fails, or 0.
    area : ``Out``
        ``b * c``: slices or tiles times rows. Right where those are in range.
    """

    #: Cycles from a header to its error code.
    LATENCY = 3

    header: Any
    error: Signal
    area: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        self.row_bits = config.rows.bit_length()
        self.span_bits = max(config.act_depth, config.acc_depth).bit_length()
        super().__init__(
            {
                "header": In(HeaderLayout()),
                "error": Out(8),
                "area": Out(self.row_bits + self.span_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cfg = self.config
        h = self.header

        def registered(name, value):
            flag = Signal.like(value, name=name)
            m.d.sync += flag.eq(value)
            return flag

        def ceil_div(value, by):  # `by` is a power of two
            return (value + (by - 1)) >> (by.bit_length() - 1)

        # Stage 1: every sum, product and narrow test.
        fold = Const(CHECK, 16)
        for half in range(8):
            fold = fold ^ h.as_value().word_select(half, 16)
        is_op = {op: registered(f"is_{op.name.lower()}", h.op == op) for op in Op}
        check = registered("check", fold.any())
        uses_d = [Op.REQUANTISE, Op.STORE] + [Op.GEMM] * bool(cfg.scale_bits)
        unused_d = ~h.op.matches(*uses_d) & h.d.any()
        unused_bc = (h.op == Op.FENCE) & (h.b.any() | h.c.any())
        reserved = registered("reserved", h.flags.any() | unused_d | unused_bc)
        rows = registered("rows", (h.c == 0) | (h.c > cfg.rows))
        reach = registered("reach", h.a + h.b)
        none = registered("none", h.b == 0)
        segments = registered("segments", (h.c == 0) | (h.c > MAX_SEGMENTS))
        deep = registered("deep", h.b > cfg.requant_depth // cfg.cols)
        features = h.b * cfg.cols
        t_end = registered("t_end", h.d * cfg.slice_words + ceil_div(features, cfg.beat_elems))
        per_beat = cfg.beat_bytes // SEGMENT_BYTES
        if per_beat:
            seg_beats = ceil_div(h.c[:5], per_beat)
        else:
            seg_beats = h.c[:5] * (SEGMENT_BYTES // cfg.beat_bytes)
        area = h.c[: self.row_bits] * h.b[: self.span_bits]
        m.d.sync += self.area.eq(area)
        fixed = Signal(32)
        with m.Switch(h.op):
            with m.Case(Op.GEMM):
                m.d.sync += fixed.eq(seg_beats)
            with m.Case(Op.REQUANTISE):
                m.d.sync += fixed.eq(ceil_div(features * 4, cfg.beat_bytes))
            with m.Default():
                m.d.sync += fixed.eq(0)

        # Stage 2: compare.
        need = Mux(is_op[Op.LOAD], self.area * cfg.slice_words, fixed)
        acts = registered("acts", none | (reach > cfg.act_depth))
        tiles = registered("tiles", none | (reach > cfg.acc_depth))
        t_acts = registered("t_acts", t_end > cfg.act_depth * cfg.slice_words)
        length = registered("length", Mux(is_op[Op.GEMM], h.length < fixed, h.length != need))

        # Stage 3: the first that fails.
        has_rows = is_op[Op.LOAD] | is_op[Op.REQUANTISE] | is_op[Op.STORE]
        has_acts = is_op[Op.LOAD] | is_op[Op.GEMM]
        has_tiles = is_op[Op.REQUANTISE] | is_op[Op.STORE]
        ladder = (
            (check, ErrorCode.CHECK),
            (~Cat(is_op.values()).any(), ErrorCode.OP),
            (reserved, ErrorCode.RESERVED),
            (has_rows & rows, ErrorCode.ROWS),
            (has_acts & acts, ErrorCode.ACTIVATIONS),
            (has_tiles & tiles | is_op[Op.REQUANTISE] & deep, ErrorCode.TILES),
            (is_op[Op.REQUANTISE] & t_acts, ErrorCode.ACTIVATIONS),
            (is_op[Op.GEMM] & segments, ErrorCode.SEGMENTS),
            (length, ErrorCode.LENGTH),
        )
        code = Const(ErrorCode.OK, 8)
        for fails, error in reversed(ladder):
            code = Mux(fails, error, code)
        m.d.sync += self.error.eq(code)

        return m
