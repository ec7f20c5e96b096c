"""From the bytes of an input stream to checked commands."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.golden.arithmetic import wrap
from summand.golden.queue import ByteQueue
from summand.isa import EngineConfig, ErrorCode
from summand.isa.ops import (
    CommandError,
    Header,
    Op,
    Segment,
    decode_segments,
    segment_beats,
    walk_beats,
)

__all__ = ["Command", "Fence", "Gemm", "Load", "Parser", "Requantise", "Store"]


@dataclass(frozen=True, eq=False)
class Load:
    """Activations, int16 of shape ``[rows, slices * depth]``, for slice ``to_slice`` on."""

    to_slice: int
    values: npt.NDArray[np.int16]


@dataclass(frozen=True)
class Gemm:
    """A walk over ``slices`` slices; ``words`` are its scales and plane words as they came."""

    from_slice: int
    slices: int
    segments: tuple[Segment, ...]
    group: int
    words: bytes


@dataclass(frozen=True, eq=False)
class Requantise:
    """Accumulators to activations; ``mult`` and ``shift`` are int64, one a column."""

    tile: int
    tiles: int
    rows: int
    to_slice: int
    mult: npt.NDArray[np.int64]
    shift: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Store:
    """Accumulators to the output stream."""

    tile: int
    tiles: int
    rows: int
    tag: int


@dataclass(frozen=True)
class Fence:
    """A completion packet."""

    tag: int


Command = Load | Gemm | Requantise | Store | Fence


class Parser:
    """Cuts an input stream into commands, and refuses what an engine refuses.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine whose stream it is.
    queue : :class:`~summand.golden.queue.ByteQueue`
        Where the stream's bytes arrive.
    """

    def __init__(self, config: EngineConfig, queue: ByteQueue):
        self._config = config
        self._queue = queue
        self._begin()

    def _begin(self) -> None:
        self._reader = _read_command(self._config)
        self._need = next(self._reader)
        self._inside = False

    @property
    def inside(self) -> bool:
        """Whether a command's header has been taken and the rest of it has not."""
        return self._inside

    def next(self) -> Command | None:
        """Return the next command, or None until all of it has arrived.

        Raises
        ------
        CommandError
            If the engine refuses the command; the parser must not be used again.
        """
        while len(self._queue) >= self._need:
            raw = self._queue.take(self._need)
            self._inside = True
            try:
                self._need = self._reader.send(raw)
            except StopIteration as done:
                self._begin()
                return done.value
        return None


#: Yields how many bytes it needs next, is sent them, and returns what it has read.
_Reader = Generator[int, bytes, Command]


def _read_command(config: EngineConfig) -> _Reader:
    header = Header.decode((yield config.header_beats * config.beat_bytes))
    header.validate(config)
    match Op(header.op):
        case Op.LOAD:
            payload = yield header.length * config.beat_bytes
            return Load(header.a, _activations(payload, header.c, config))
        case Op.GEMM:
            return (yield from _read_gemm(header, config))
        case Op.REQUANTISE:
            payload = yield header.length * config.beat_bytes
            mult, shift = _requantise_parameters(payload, header.b * config.cols)
            return Requantise(header.a, header.b, header.c, header.d, mult, shift)
        case Op.STORE:
            return Store(header.a, header.b, header.c, header.d)
        case Op.FENCE:
            return Fence(header.a)


def _read_gemm(header: Header, config: EngineConfig) -> _Reader:
    table_beats = segment_beats(header.c, config)
    table = yield table_beats * config.beat_bytes
    segments = decode_segments(table, header.c, config)
    word_beats = sum(walk_beats(header.b, segments, header.d, config))
    words = yield min(header.length - table_beats, word_beats) * config.beat_bytes
    if header.length != table_beats + word_beats:
        raise CommandError(ErrorCode.LENGTH)
    return Gemm(header.a, header.b, segments, header.d, words)


def _activations(payload: bytes, rows: int, config: EngineConfig) -> npt.NDArray[np.int16]:
    """Read a LOAD's payload; the bits above ``act_bits`` are ignored."""
    raw = np.frombuffer(payload, np.dtype(f"<i{config.elem_bits // 8}")).astype(np.int64)
    return wrap(raw, config.act_bits).astype(np.int16).reshape(rows, -1)


def _requantise_parameters(
    payload: bytes, features: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    fields = np.dtype([("mult", "<u2"), ("shift", "u1"), ("zero", "u1")])
    entries = np.frombuffer(payload, fields, count=features)
    shift = entries["shift"].astype(np.int64)
    if ((shift < 1) | (shift > 47) | (entries["zero"] != 0)).any():
        raise CommandError(ErrorCode.REQUANTISE)
    return entries["mult"].astype(np.int64), shift
