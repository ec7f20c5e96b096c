"""Errors for people, and error codes on the wire."""

import enum

__all__ = ["CommandError", "ConfigError", "ErrorCode", "StreamError", "SummandError"]


class SummandError(Exception):
    """Something a user can put right; the text names the cause and the remedy."""


class ConfigError(SummandError, ValueError):
    """A configuration that cannot exist."""


class ErrorCode(enum.IntEnum):
    """Why an engine stopped, as in byte 1 of a STATUS packet and in the STATUS register.

    The golden model and the gateware report the first check that fails, in the order that
    ``docs/stream.md`` gives.
    """

    OK = 0
    #: The eight header half-words do not fold to :data:`~summand.isa.header.CHECK`.
    CHECK = 1
    #: No such operation.
    OP = 2
    #: A reserved field or flag is set, or the operation needs a feature this engine lacks.
    RESERVED = 3
    #: Token rows are 0 or more than the engine's.
    ROWS = 4
    #: Activation slices are none or reach beyond the activation memory.
    ACTIVATIONS = 5
    #: Output tiles are none, reach beyond the accumulators, or come before a segment's end.
    TILES = 6
    #: Segments are none or too many, or a segment has planes outside 1 to 8.
    SEGMENTS = 7
    #: A requantise parameter is bad: its shift is out of range, or its pad byte is set.
    REQUANTISE = 8
    #: The length field is not what the command needs.
    LENGTH = 9
    #: The operand memory has no such words or bits, or a CAST's planes are outside 1 to 8.
    OPERAND = 10

    @property
    def cause(self) -> str:
        """A sentence for people: what was wrong with the command."""
        return _CAUSES[self]


_CAUSES = {
    ErrorCode.OK: "no error",
    ErrorCode.CHECK: "a header's checksum does not match; the stream was corrupted or cut short",
    ErrorCode.OP: "a header names an operation that does not exist",
    ErrorCode.RESERVED: "a command sets a reserved field or uses a feature this engine lacks",
    ErrorCode.ROWS: "a command addresses more token rows than the engine has, or none",
    ErrorCode.ACTIVATIONS: "a command reaches beyond the activation memory, or names no slice",
    ErrorCode.TILES: "a command reaches beyond the accumulators, names no tile, or a tile twice",
    ErrorCode.SEGMENTS: "a GEMM has no segment, too many, or one with planes outside 1 to 8",
    ErrorCode.REQUANTISE: "a requantise parameter is out of range",
    ErrorCode.LENGTH: "a header's length is not what its command needs",
    ErrorCode.OPERAND: "a command reaches beyond the operand memory, or casts to no 1 to 8 planes",
}


class CommandError(Exception):
    """A command that an engine refuses; ``code`` is what it reports."""

    def __init__(self, code: ErrorCode):
        self.code = code
        super().__init__(code.cause)


class StreamError(SummandError):
    """An engine refused a command; ``code`` says why and ``command`` which, counted from 0."""

    def __init__(self, code: ErrorCode, command: int):
        self.code = code
        self.command = command
        super().__init__(
            f"the engine stopped at command {command} with error {code.value} ({code.name}): "
            f"{code.cause}; reset the device and send the stream again"
        )
