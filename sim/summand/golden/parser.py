"""From the bytes of an input stream to checked commands."""

from collections.abc import Generator
from dataclasses import dataclass

from summand.golden.queue import ByteQueue
from summand.isa import CommandError, EngineConfig, ErrorCode
from summand.isa.commands import Command
from summand.isa.decoding import check_header, decode, table_beats
from summand.isa.header import Header

__all__ = ["Parser", "Taken"]


@dataclass(frozen=True)
class Taken:
    """A command, and its payload in whole beats as it came."""

    command: Command
    payload: bytes


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

    def next(self) -> Taken | None:
        """Return the next command, or None until all of it has arrived.

        Raises
        ------
        CommandError
            If the engine refuses the command; the parser must not be used again. Requantise
            parameters are not looked at.
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


def _read_command(config: EngineConfig) -> Generator[int, bytes, Taken]:
    """Yield how many bytes are needed next, and be sent them, until a command is complete."""
    header = Header.decode((yield config.header_beats * config.beat_bytes))
    check_header(header, config)
    table = yield table_beats(header, config) * config.beat_bytes
    command = decode(header, table, config)
    needed = command.payload_beats(config)
    given = header.length - table_beats(header, config)
    payload = yield min(given, needed) * config.beat_bytes
    if given != needed:
        raise CommandError(ErrorCode.LENGTH)
    return Taken(command, payload)
