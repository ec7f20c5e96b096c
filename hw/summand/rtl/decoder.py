"""A command header: its fields, and whether this engine can do what it says."""

from typing import Any

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig, ErrorCode
from summand.isa.header import CHECK, STORED, Op, operations
from summand.isa.latencies import DECODER_LATENCY
from summand.isa.limits import BORDERS, PLANES, SEGMENTS
from summand.isa.segments import SEGMENT_BYTES
from summand.rtl.compare import exceeds

__all__ = ["Decoder", "HeaderLayout"]


class HeaderLayout(data.StructLayout):
    """The sixteen bytes of a header in the stream; see :class:`summand.isa.header.Header`."""

    def __init__(self):
        super().__init__(
            {"op": 8, "flags": 8, "check": 16, "length": 32, "a": 16, "b": 16, "c": 16, "d": 16}
        )


class Decoder(wiring.Component):
    """Check a header as :func:`summand.isa.decoding.check_header` does. :attr:`LATENCY` cycles.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        Sizes.

    Members
    -------
    header : ``In(HeaderLayout)``
        A header, steady for :attr:`LATENCY` cycles.
    op : ``Out(1)`` for each command, by name
        The header is this command's.
    error : ``Out(8)``
        Error code of the first check that fails, or 0.
    reach : ``Out(17)``
        ``a + b``, the end of the command's slices or tiles.
    area : ``Out``
        ``b * c``, its slices or tiles times its rows, if both are in range; a CAST's rows are the
        low byte of ``c``.
    """

    #: Cycles from a header to its error code.
    LATENCY = DECODER_LATENCY

    header: Any
    op: Any
    error: Signal
    reach: Signal
    area: Signal

    def __init__(self, config: EngineConfig):
        self.config = config
        self.row_bits = config.rows.bit_length()
        self.span_bits = max(config.act_depth, config.acc_depth).bit_length()
        super().__init__(
            {
                "header": In(HeaderLayout()),
                "op": Out(data.StructLayout({op.name: 1 for op in operations(config)})),
                "error": Out(8),
                "reach": Out(17),
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

        # Stage 1: narrow tests, and the parts of sums and products.
        fold = Const(CHECK, 16)
        for half in range(8):
            fold = fold ^ h.as_value().word_select(half, 16)
        is_op = {op: self.op[op.name] for op in operations(cfg)}
        m.d.sync += [is_op[op].eq(h.op == op) for op in operations(cfg)]
        fold = registered("fold", fold)
        flags = registered("flags", h.flags.any())
        borders = h.flags[: STORED.bit_length() - 1] if cfg.operand_depth else h.flags
        if cfg.border_shift:  # of a GEMM they are the number of borders
            flags = Mux(is_op[Op.GEMM], registered("many", exceeds(borders, BORDERS.high)), flags)
        elif cfg.operand_depth:
            flags = Mux(is_op[Op.GEMM], registered("many", borders.any()), flags)
        if cfg.limb_bits:  # of a STORE they are its limbs
            bad_limbs = (h.flags == 0) | exceeds(h.flags, cfg.acc_limbs)
            flags = Mux(is_op[Op.STORE], registered("bad_limbs", bad_limbs), flags)
        bad_bins: Value | None = None
        if cfg.bin_tiles:  # or which accumulators of a bin it sends
            extremes = registered("extremes", h.flags[-1]) & is_op[Op.STORE]
            flags = Mux(extremes, registered("more_flags", h.flags[:-2].any()), flags)
            unbinned = registered("unbinned", (h.b & (cfg.bin_tiles - 1)).any())
            bad_bins = extremes & unbinned
        has_b = registered("has_b", h.b.any())
        has_c = registered("has_c", h.c.any())
        has_d = registered("has_d", h.d.any())
        rows = registered("rows", (h.c == 0) | exceeds(h.c, cfg.rows))
        m.d.sync += self.reach.eq(h.a + h.b)
        none = registered("none", h.b == 0)
        segments = registered("segments", (h.c == 0) | exceeds(h.c, SEGMENTS.high))
        deep = registered("deep", exceeds(h.b, cfg.requant_depth // cfg.cols))
        features = h.b * cfg.cols
        t_words = registered("t_words", ceil_div(features, cfg.beat_elems))
        entries = h.c[:5] + h.flags[:4] if cfg.border_shift else h.c[:5]
        per_beat = cfg.beat_bytes // SEGMENT_BYTES
        if per_beat:
            seg_beats = ceil_div(entries, per_beat)
        else:
            seg_beats = entries * (SEGMENT_BYTES // cfg.beat_bytes)
        # Adders, because a DSP block without registers would be slower.
        span = h.b[: self.span_bits]
        parts = [registered(f"part_{n}", Mux(h.c[n], span, 0)) for n in range(self.row_bits)]
        fixed = Signal(32)
        with m.Switch(h.op):
            with m.Case(Op.GEMM):
                m.d.sync += fixed.eq(seg_beats)
            with m.Case(Op.REQUANTISE, *((Op.CAST,) if cfg.operand_depth else ())):
                m.d.sync += fixed.eq(ceil_div(features * 4, cfg.beat_bytes))
            with m.Default():
                m.d.sync += fixed.eq(0)

        # Stage 2: compare, and add up.
        check = registered("check", fold.any())
        m.d.sync += self.area.eq(sum((part << n for n, part in enumerate(parts)), C(0)))
        acts = registered("acts", none | exceeds(self.reach, cfg.act_depth))
        tiles = registered("tiles", none | exceeds(self.reach, cfg.acc_depth))
        t_end = registered("t_end", h.d * cfg.slice_words + t_words)
        uses_d = is_op[Op.REQUANTISE] | is_op[Op.STORE] | (is_op[Op.GEMM] & bool(cfg.scale_bits))
        longer = is_op[Op.GEMM]  # words follow that the header does not tell of
        if cfg.operand_depth:
            stored = registered("stored", h.flags[-1]) & is_op[Op.GEMM]
            uses_d |= is_op[Op.CAST] | stored
            flags &= ~is_op[Op.CAST]
            longer &= ~stored
        unused = (has_d & ~uses_d) | ((has_b | has_c) & is_op[Op.FENCE])
        reserved = registered("reserved", flags | unused)
        few = len(seg_beats)  # bits; a GEMM's payload is no shorter than its segments
        short = registered("short", ~h.length[few:].any() & (h.length[:few] < fixed[:few]))
        differs = registered("differs", h.length != fixed)

        # Stage 3: compare the sums of stage 2.
        t_acts = registered("t_acts", exceeds(t_end, cfg.act_depth * cfg.slice_words))
        length = registered("length", Mux(longer, short, differs))
        load = registered("load", h.length != self.area * cfg.slice_words)

        # Stage 4: the first that fails.
        has_rows = is_op[Op.LOAD] | is_op[Op.REQUANTISE] | is_op[Op.STORE]
        has_acts = is_op[Op.LOAD] | is_op[Op.GEMM]
        has_tiles = is_op[Op.REQUANTISE] | is_op[Op.STORE]
        has_parameters = is_op[Op.REQUANTISE]
        bad_rows = has_rows & rows
        operand = ()
        if cfg.operand_depth:
            has_tiles |= is_op[Op.CAST]
            has_parameters |= is_op[Op.CAST]
            cast_rows, place = self._cast_checks(m, registered, span)
            bad_rows |= is_op[Op.CAST] & cast_rows
            operand = ((is_op[Op.CAST] & place, ErrorCode.OPERAND),)
        bad_tiles = has_tiles & tiles | has_parameters & deep
        if bad_bins is not None:
            bad_tiles |= bad_bins
        ladder = (
            (check, ErrorCode.CHECK),
            (~Cat(is_op.values()).any(), ErrorCode.OP),
            (reserved, ErrorCode.RESERVED),
            (bad_rows, ErrorCode.ROWS),
            (has_acts & acts, ErrorCode.ACTIVATIONS),
            (bad_tiles, ErrorCode.TILES),
            (is_op[Op.REQUANTISE] & t_acts, ErrorCode.ACTIVATIONS),
            *operand,
            (is_op[Op.GEMM] & segments, ErrorCode.SEGMENTS),
            (Mux(is_op[Op.LOAD], load, length), ErrorCode.LENGTH),
        )
        code = Const(ErrorCode.OK, 8)
        for fails, error in reversed(ladder):
            code = Mux(fails, error, code)
        m.d.sync += self.error.eq(code)

        return m

    def _cast_checks(self, m: Module, registered: Any, span: Value) -> tuple[Value, Value]:
        """Return whether a CAST's rows are bad, and whether what it says of the operand is.

        ``registered`` names a value and registers it; ``span`` is the tiles.
        """
        cfg, h = self.config, self.header
        rows, planes = h.c[:8], h.c[8:]
        bad_rows = registered("cast_rows", (rows == 0) | exceeds(rows, cfg.rows))

        # Stage 1.
        bad_planes = registered("cast_planes", (planes == 0) | exceeds(planes, PLANES.high))
        lanes = registered("lanes", h.flags + rows)
        # Eight planes are none of the lower bits, so the words' end is two sums of two, and theirs.
        few = Mux(planes[0], span, 0) + (Mux(planes[1], span, 0) << 1)
        many = Mux(planes[3], span << 3, Mux(planes[2], span << 2, 0)) + h.d
        few, many = registered("few_words", few), registered("many_words", many)
        # Stage 2.
        bad_planes = registered("bad_planes", bad_planes | exceeds(lanes, cfg.depth))
        end = registered("words_end", few + many)
        # Stage 3.
        return bad_rows, registered("place", bad_planes | exceeds(end, cfg.operand_depth))
