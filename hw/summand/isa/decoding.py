"""From a header, and a GEMM's segment table, to a command.

A reader of a stream takes a header, checks it, takes :func:`table_beats` beats and decodes both.
Then the command's payload follows.
"""

from dataclasses import replace

from summand.isa.borders import decode_borders
from summand.isa.checks import (
    check_border_count,
    check_group,
    check_operand,
    check_segment_count,
    check_slices,
    check_stored,
)
from summand.isa.commands import Cast, Command, Fence, Gemm, Load, Requantise, Store
from summand.isa.config import EngineConfig
from summand.isa.errors import CommandError, ErrorCode
from summand.isa.header import STORED, Header, Op, operations
from summand.isa.results import Extremes
from summand.isa.segments import decode_segments, segment_beats

__all__ = ["check_header", "decode", "table_beats"]


def check_header(header: Header, config: EngineConfig) -> None:
    """Raise :class:`~summand.isa.CommandError` if the engine refuses this header.

    :func:`decode` checks a GEMM's segments and borders, and the words of a stored one. The length
    of any other is compared with them only when the payload has been taken: the lesser of what the
    length says and what the command needs.
    """
    if header.op not in operations(config):
        raise CommandError(ErrorCode.OP)
    if header.op == Op.GEMM:
        _check_gemm(header, config)
        return
    command = _without_table(header)
    needed = command.header(config)
    if header != replace(needed, length=header.length):  # a field that has no meaning is not 0
        raise CommandError(ErrorCode.RESERVED)
    command.validate(config)
    if header.length != needed.length:
        raise CommandError(ErrorCode.LENGTH)


def table_beats(header: Header, config: EngineConfig) -> int:
    """Return the beats of the segment table after a header: 0 for all but a GEMM's."""
    return segment_beats(header.c + _borders(header), config) if header.op == Op.GEMM else 0


def decode(header: Header, table: bytes, config: EngineConfig) -> Command:
    """Return the command of a header that :func:`check_header` accepts.

    Parameters
    ----------
    header : Header
        The command's.
    table : bytes
        Its segment table with the borders, of :func:`table_beats` beats.
    config : EngineConfig
        The engine whose stream it is.

    Raises
    ------
    CommandError
        If the engine refuses a segment or a border, or words of the operand memory.
    """
    if header.op != Op.GEMM:
        return _without_table(header)
    stored = _stored(header)
    segments = decode_segments(table, header.c, config, stored=stored)
    borders = decode_borders(table, _borders(header), header.b, segments, config)
    if not stored:
        return Gemm(header.a, header.b, segments, header.d, borders)
    gemm = Gemm(header.a, header.b, segments, borders=borders, from_word=header.d)
    check_operand(header.d, gemm.slices * gemm.words, config)
    return gemm


def _check_gemm(header: Header, config: EngineConfig) -> None:
    stored = _stored(header)
    check_border_count(_borders(header), config)
    check_stored(stored, config)
    if not stored:
        check_group(header.d, config)
    check_slices(header.a, header.b, config)
    check_segment_count(header.c)
    table = table_beats(header, config)
    if header.length < table or (stored and header.length > table):
        raise CommandError(ErrorCode.LENGTH)


def _stored(header: Header) -> bool:
    """Return whether a GEMM's plane words come from the operand memory."""
    return bool(header.flags & STORED)


def _borders(header: Header) -> int:
    """Return the number of a GEMM's borders."""
    return header.flags & ~STORED


def _sent(header: Header) -> tuple[int, Extremes]:
    """Return the limbs of a STORE, and which accumulators of a bin it sends."""
    if not header.flags & Extremes.GREATEST:
        return header.flags, Extremes.NONE
    return header.flags & ~Extremes.LEAST, Extremes(header.flags & Extremes.LEAST)


def _without_table(header: Header) -> Load | Cast | Requantise | Store | Fence:
    """Return the command of any header but a GEMM's."""
    match header.op:
        case Op.LOAD:
            return Load(header.a, header.b, header.c)
        case Op.CAST:
            planes, rows = divmod(header.c, 256)
            return Cast(header.a, header.b, rows, planes, header.d, header.flags)
        case Op.REQUANTISE:
            return Requantise(header.a, header.b, header.c, header.d)
        case Op.STORE:
            return Store(header.a, header.b, header.c, header.d, *_sent(header))
        case _:
            return Fence(header.a)
