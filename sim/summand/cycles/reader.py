"""The commands of a stream, their payloads skipped: all that time depends on."""

from collections.abc import Iterable, Iterator

from summand.isa import CommandError, EngineConfig, ErrorCode, StreamError, SummandError
from summand.isa.commands import Command
from summand.isa.decoding import check_header, decode, table_beats
from summand.isa.header import Header

__all__ = ["read_commands"]


def read_commands(chunks: Iterable[bytes | memoryview], config: EngineConfig) -> Iterator[Command]:
    """Yield the commands of an input stream, cut anywhere.

    Raises
    ------
    StreamError
        Where an engine would refuse a command, but for the parameters of a REQUANTISE.
    SummandError
        If the stream ends within a command.
    """
    reader = _Reader(chunks)
    index = 0
    while raw := reader.take(config.header_beats * config.beat_bytes, or_none=True):
        try:
            yield _read_command(Header.decode(raw), reader, config)
        except CommandError as e:
            raise StreamError(e.code, index) from None
        index += 1


def _read_command(header: Header, reader: "_Reader", config: EngineConfig) -> Command:
    check_header(header, config)
    table = reader.take(table_beats(header, config) * config.beat_bytes)
    command = decode(header, table, config)
    needed = command.payload_beats(config)
    given = header.length - table_beats(header, config)
    reader.skip(min(given, needed) * config.beat_bytes)
    if given != needed:
        raise CommandError(ErrorCode.LENGTH)
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
