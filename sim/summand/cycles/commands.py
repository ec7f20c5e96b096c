"""Commands without their payloads: all that time depends on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from summand.isa import EngineConfig, StreamError, SummandError
from summand.isa.ops import CommandError, Header, Op, Segment, decode_segments, segment_beats

__all__ = ["Command", "Fence", "Gemm", "Load", "Requantise", "Store", "read_commands"]


@dataclass(frozen=True)
class Load:
    """Activations of ``rows`` tokens for ``slices`` slices."""

    slices: int
    rows: int


@dataclass(frozen=True)
class Gemm:
    """A walk over ``slices`` activation slices from ``from_slice`` on, with scales a ``group``."""

    from_slice: int
    slices: int
    segments: tuple[Segment, ...]
    group: int = 0

    @property
    def words(self) -> int:
        """Plane words of one slice."""
        return sum(s.words for s in self.segments)

    def touches(self, low: int, high: int) -> bool:
        """Whether a segment has one of the tiles ``low <= t < high``."""
        return any(s.tile < high and s.end > low for s in self.segments)


@dataclass(frozen=True)
class Requantise:
    """Accumulator tiles to activations, from slice ``to_slice`` on."""

    tile: int
    tiles: int
    rows: int
    to_slice: int


@dataclass(frozen=True)
class Store:
    """Accumulator tiles to the output stream."""

    tile: int
    tiles: int
    rows: int


@dataclass(frozen=True)
class Fence:
    """A completion packet with the counters."""


Command = Load | Gemm | Requantise | Store | Fence


def read_commands(chunks: Iterable[bytes | memoryview], config: EngineConfig) -> Iterator[Command]:
    """Yield the commands of an input stream, cut anywhere.

    Raises
    ------
    StreamError
        Where an engine would refuse a header or a segment.
    SummandError
        If the stream ends within a command.
    """
    reader = _Reader(chunks)
    index = 0
    while raw := reader.take(config.header_beats * config.beat_bytes, or_none=True):
        try:
            header = Header.decode(raw)
            header.validate(config)
            yield _read_command(header, reader, config)
        except CommandError as e:
            raise StreamError(e.code, index) from None
        index += 1


def _read_command(header: Header, reader: "_Reader", config: EngineConfig) -> Command:
    payload = header.length
    command: Command
    match Op(header.op):
        case Op.LOAD:
            command = Load(header.b, header.c)
        case Op.GEMM:
            beats = segment_beats(header.c, config)
            table = reader.take(beats * config.beat_bytes)
            payload -= beats
            segments = decode_segments(table, header.c, config)
            command = Gemm(header.a, header.b, segments, header.d)
        case Op.REQUANTISE:
            command = Requantise(header.a, header.b, header.c, header.d)
        case Op.STORE:
            command = Store(header.a, header.b, header.c)
        case Op.FENCE:
            command = Fence()
    reader.skip(payload * config.beat_bytes)
    return command


class _Reader:
    """Takes bytes from chunks; payloads are skipped without a copy."""

    def __init__(self, chunks: Iterable[bytes | memoryview]):
        self._chunks = iter(chunks)
        self._chunk = memoryview(b"")

    def take(self, size: int, *, or_none: bool = False) -> bytes:
        """Return the next ``size`` bytes, or none where the stream ends and that is allowed."""
        parts: list[memoryview] = []
        missing = size
        while missing and self._more():
            parts.append(self._chunk[:missing])
            self._chunk = self._chunk[missing:]
            missing -= len(parts[-1])
        if missing and (parts or not or_none):
            raise SummandError(f"the stream ends {missing} bytes before its last command does")
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes."""
        while size:
            if not self._more():
                raise SummandError(f"the stream ends {size} bytes before its last command does")
            step = min(size, len(self._chunk))
            self._chunk = self._chunk[step:]
            size -= step

    def _more(self) -> bool:
        while not len(self._chunk):
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._chunk = memoryview(chunk).cast("B")
        return True
