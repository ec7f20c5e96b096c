"""The commands of the input stream: dataclasses, their headers, encoder and decoder."""

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from summand.isa.config import EngineConfig
from summand.isa.errors import ErrorCode

__all__ = [
    "CHECK",
    "HEADER_BYTES",
    "MAX_SEGMENTS",
    "SEGMENT_BYTES",
    "CommandError",
    "Header",
    "Op",
    "Segment",
    "decode_segments",
    "fence",
    "gemm",
    "group_slices",
    "load",
    "pad",
    "requantise",
    "scale_beats",
    "segment_beats",
    "store",
    "walk_beats",
]

#: What the eight little-endian half-words of a header fold to by exclusive or.
CHECK = 0x53D5

HEADER_BYTES = 16
SEGMENT_BYTES = 8

#: Segments one GEMM may have; the engine keeps them in a 16-entry memory.
MAX_SEGMENTS = 16


class Op(enum.IntEnum):
    """Byte 0 of a command header."""

    LOAD = 1
    GEMM = 3
    REQUANTISE = 4
    STORE = 5
    FENCE = 6


class CommandError(Exception):
    """A command an engine refuses; ``code`` is what it reports."""

    def __init__(self, code: ErrorCode):
        self.code = code
        super().__init__(code.cause)


@dataclass(frozen=True)
class Header:
    """A command header: operation, flags, payload length in beats and four arguments.

    ===========  ==============  ==========  ==========  ==========
    op           a               b           c           d
    ===========  ==============  ==========  ==========  ==========
    LOAD         first slice     slices      rows        0
    GEMM         first slice     slices      segments    group
    REQUANTISE   first tile      tiles       rows        to slice
    STORE        first tile      tiles       rows        tag
    FENCE        tag             0           0           0
    ===========  ==============  ==========  ==========  ==========

    ``flags`` is 0 in every operation. A GEMM's group, the slices that share scales, is 0 (all of
    them) in an engine without scales.
    """

    op: int
    length: int = 0
    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0
    flags: int = 0

    _FORMAT = struct.Struct("<BBHIHHHH")

    def encode(self, config: EngineConfig) -> bytes:
        """Return the header with its checksum, padded to whole beats."""
        fields = (self.length, self.a, self.b, self.c, self.d)
        bare = self._FORMAT.pack(self.op, self.flags, 0, *fields)
        check = CHECK ^ _fold(bare)
        return pad(self._FORMAT.pack(self.op, self.flags, check, *fields), config)

    @classmethod
    def decode(cls, raw: bytes) -> "Header":
        """Read 16 bytes; raises :class:`CommandError` with ``CHECK``."""
        if _fold(raw[:HEADER_BYTES]) != CHECK:
            raise CommandError(ErrorCode.CHECK)
        op, flags, _, length, a, b, c, d = cls._FORMAT.unpack(raw[:HEADER_BYTES])
        return cls(op=op, flags=flags, length=length, a=a, b=b, c=c, d=d)

    def validate(self, config: EngineConfig) -> None:
        """Raise :class:`CommandError` if ``config``'s engine refuses this header.

        A GEMM's segments and its length are checked where its payload is read.
        """
        if self.op not in _USED:
            raise CommandError(ErrorCode.OP)
        unused = {"a", "b", "c", "d"} - set(_USED[Op(self.op)])
        if self.op == Op.GEMM and not config.scale_bits:
            unused.add("d")
        if self.flags or any(getattr(self, name) for name in unused):
            raise CommandError(ErrorCode.RESERVED)
        check = {
            Op.LOAD: self._validate_load,
            Op.GEMM: self._validate_gemm,
            Op.REQUANTISE: self._validate_requantise,
            Op.STORE: self._validate_store,
            Op.FENCE: self._validate_fence,
        }
        check[Op(self.op)](config)

    def _validate_load(self, config: EngineConfig) -> None:
        self._validate_rows(config)
        self._validate_slices(config)
        self._validate_length(self.c * self.b * config.slice_words)

    def _validate_gemm(self, config: EngineConfig) -> None:
        self._validate_slices(config)
        if not 1 <= self.c <= MAX_SEGMENTS:
            raise CommandError(ErrorCode.SEGMENTS)
        if self.length < segment_beats(self.c, config):
            raise CommandError(ErrorCode.LENGTH)

    def _validate_requantise(self, config: EngineConfig) -> None:
        self._validate_rows(config)
        self._validate_tiles(config)
        features = self.b * config.cols
        if features > config.requant_depth:
            raise CommandError(ErrorCode.TILES)
        words = -(-features // config.beat_elems)
        if self.d * config.slice_words + words > config.act_depth * config.slice_words:
            raise CommandError(ErrorCode.ACTIVATIONS)
        self._validate_length(-(-features * 4 // config.beat_bytes))

    def _validate_store(self, config: EngineConfig) -> None:
        self._validate_rows(config)
        self._validate_tiles(config)
        self._validate_length(0)

    def _validate_fence(self, config: EngineConfig) -> None:
        self._validate_length(0)

    def _validate_rows(self, config: EngineConfig) -> None:
        if not 1 <= self.c <= config.rows:
            raise CommandError(ErrorCode.ROWS)

    def _validate_slices(self, config: EngineConfig) -> None:
        if self.b < 1 or self.a + self.b > config.act_depth:
            raise CommandError(ErrorCode.ACTIVATIONS)

    def _validate_tiles(self, config: EngineConfig) -> None:
        if self.b < 1 or self.a + self.b > config.acc_depth:
            raise CommandError(ErrorCode.TILES)

    def _validate_length(self, beats: int) -> None:
        if self.length != beats:
            raise CommandError(ErrorCode.LENGTH)


_USED = {
    Op.LOAD: "abc",
    Op.GEMM: "abcd",
    Op.REQUANTISE: "abcd",
    Op.STORE: "abcd",
    Op.FENCE: "a",
}


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A run of output tiles of one width within a GEMM's walk.

    Parameters
    ----------
    tile : int
        First accumulator tile; not before the end of the segment before.
    tiles : int
        Tiles of ``cols`` output features.
    planes : int
        Bit-planes of each weight, 1 to 8.
    clear : bool
        Start from zero at the command's first slice instead of adding to what is there.
    shift : bool
        Shift the accumulators left by ``config.shift`` before the command's first slice adds.
    scaled : bool
        Multiply slice sums by the group's scales.
    """

    tile: int
    tiles: int
    planes: int
    clear: bool = False
    shift: bool = False
    scaled: bool = False

    _FORMAT = struct.Struct("<HHBBH")

    def encode(self) -> bytes:
        """Return the 8-byte descriptor."""
        flags = self.clear | self.shift << 1 | self.scaled << 2
        return self._FORMAT.pack(self.tile, self.tiles, self.planes, flags, 0)

    @classmethod
    def decode(cls, raw: bytes, config: EngineConfig, *, after: int = 0) -> "Segment":
        """Read and check a descriptor; raises :class:`CommandError`.

        ``after`` is the end of the segment before: tiles ascend and never come twice, because an
        accumulator cannot be added to again before its last addition has been written.
        """
        tile, tiles, planes, flags, reserved = cls._FORMAT.unpack(raw)
        allowed = 1 | bool(config.shift) << 1 | bool(config.scale_bits) << 2
        if flags & ~allowed or reserved:
            raise CommandError(ErrorCode.RESERVED)
        if tiles < 1 or tile < after or tile + tiles > config.acc_depth:
            raise CommandError(ErrorCode.TILES)
        if not 1 <= planes <= 8:
            raise CommandError(ErrorCode.SEGMENTS)
        return cls(
            tile=tile,
            tiles=tiles,
            planes=planes,
            clear=bool(flags & 1),
            shift=bool(flags & 2),
            scaled=bool(flags & 4),
        )

    @property
    def end(self) -> int:
        """The tile after the last."""
        return self.tile + self.tiles

    @property
    def words(self) -> int:
        """Plane words this segment takes in every slice."""
        return self.tiles * self.planes


def _fold(raw: bytes) -> int:
    value = 0
    for (half,) in struct.iter_unpack("<H", raw):
        value ^= half
    return value


def pad(raw: bytes, config: EngineConfig) -> bytes:
    """Return ``raw`` with zero bytes up to a whole number of beats."""
    return raw + bytes(-len(raw) % config.beat_bytes)


def segment_beats(count: int, config: EngineConfig) -> int:
    """Return the beats of a table of ``count`` segments."""
    return -(-count * SEGMENT_BYTES // config.beat_bytes)


def scale_beats(segments: Sequence[Segment], config: EngineConfig) -> int:
    """Return the beats of one group's scales: of the scaled segments' tiles, in order."""
    tiles = sum(s.tiles for s in segments if s.scaled)
    return -(-tiles // config.scale_tiles) if tiles else 0


def group_slices(slices: int, group: int) -> list[int]:
    """Return the slices of each group of a walk; a ``group`` of 0 is the whole walk."""
    step = group or slices
    return [min(step, slices - first) for first in range(0, slices, step)]


def walk_beats(
    slices: int, segments: Sequence[Segment], group: int, config: EngineConfig
) -> list[int]:
    """Return the beats of each group of a walk: its scales, and its plane words."""
    words = sum(s.words for s in segments)
    scales = scale_beats(segments, config)
    return [scales + n * words * config.plane_beats for n in group_slices(slices, group)]


def decode_segments(raw: bytes, count: int, config: EngineConfig) -> tuple[Segment, ...]:
    """Read and check a table of ``count`` segments; raises :class:`CommandError`."""
    segments: list[Segment] = []
    for i in range(0, count * SEGMENT_BYTES, SEGMENT_BYTES):
        after = segments[-1].end if segments else 0
        segments.append(Segment.decode(raw[i : i + SEGMENT_BYTES], config, after=after))
    return tuple(segments)


def load(config: EngineConfig, *, to_slice: int, slices: int, rows: int) -> bytes:
    """Return a LOAD header; ``rows * slices * slice_words`` beats of activations follow."""
    length = rows * slices * config.slice_words
    return Header(Op.LOAD, length, to_slice, slices, rows).encode(config)


def gemm(
    config: EngineConfig,
    *,
    from_slice: int,
    slices: int,
    segments: tuple[Segment, ...],
    group: int = 0,
) -> bytes:
    """Return a GEMM header and its segment table; the walk's scales and plane words follow."""
    length = segment_beats(len(segments), config) + sum(walk_beats(slices, segments, group, config))
    table = b"".join(s.encode() for s in segments)
    header = Header(Op.GEMM, length, from_slice, slices, len(segments), group)
    return header.encode(config) + pad(table, config)


def requantise(config: EngineConfig, *, tile: int, tiles: int, rows: int, to_slice: int) -> bytes:
    """Return a REQUANTISE header; four bytes an output feature follow, padded to beats."""
    length = -(-tiles * config.cols * 4 // config.beat_bytes)
    return Header(Op.REQUANTISE, length, tile, tiles, rows, to_slice).encode(config)


def store(config: EngineConfig, *, tile: int, tiles: int, rows: int, tag: int = 0) -> bytes:
    """Return a STORE command."""
    return Header(Op.STORE, 0, tile, tiles, rows, tag).encode(config)


def fence(config: EngineConfig, *, tag: int = 0) -> bytes:
    """Return a FENCE command."""
    return Header(Op.FENCE, 0, tag).encode(config)
