"""Command streams, built command by command."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.golden.engine import GoldenEngine
from summand.isa import EngineConfig
from summand.isa.beats import pad
from summand.isa.commands import Cast, Fence, Gemm, Load, Requantise, Store
from summand.isa.header import HEADER_BYTES
from summand.isa.requantisation import pack_requantisation
from summand.isa.segments import SEGMENT_BYTES

__all__ = ["ProgramBuilder", "TestProgram"]


@dataclass(frozen=True)
class TestProgram:
    """A command stream and what the golden engine answers.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine it is for.
    chunks : tuple of bytes
        The input stream, each chunk whole beats.
    output : bytes
        The golden engine's output stream from reset, counters 0.
    plane_words : int
        Plane words of all GEMMs.
    """

    __test__ = False  # no test of pytest's, whatever its name says

    config: EngineConfig
    chunks: tuple[bytes, ...]
    output: bytes
    plane_words: int

    @property
    def data(self) -> bytes:
        """The input stream in one piece."""
        return b"".join(self.chunks)

    @property
    def stream_beats(self) -> int:
        """Beats of the input stream."""
        return sum(map(len, self.chunks)) // self.config.beat_bytes


class ProgramBuilder:
    """Collects commands, and runs them on a golden engine as they come.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine they are for.
    padding : random generator, optional
        Fills up beats with noise, which engines ignore, in place of zeros.
    """

    def __init__(self, config: EngineConfig, *, padding: np.random.Generator | None = None):
        self.config = config
        #: Has executed what was added so far.
        self.engine = GoldenEngine(config, cache_bytes=1 << 28)
        self._padding = padding
        self._chunks: list[bytes] = []
        self._plane_words = 0

    def _add(self, *chunks: bytes) -> None:
        self._chunks += filter(None, chunks)
        self.engine.write(chunks)

    def _pad(self, raw: bytes, used: int) -> bytes:
        """Return ``raw``, of which ``used`` bytes mean something, with its padding."""
        whole = pad(raw, self.config)
        if self._padding is None:
            return whole
        return whole[:used] + self._padding.bytes(len(whole) - used)

    def _header(self, command: Load | Cast | Requantise | Store | Fence) -> bytes:
        return self._pad(command.encode(self.config), HEADER_BYTES)

    def load(self, to_slice: int, values: npt.NDArray[np.integer]) -> None:
        """Add a LOAD of integers of shape ``[rows, slices * depth]``.

        Bits above ``act_bits`` may hold anything.
        """
        rows, elems = values.shape
        width = self.config.elem_bits // 8
        command = Load(to_slice, elems // self.config.depth, rows)
        self._add(self._header(command), values.astype(f"<i{width}").tobytes())

    def gemm(self, command: Gemm, words: bytes) -> None:
        """Add a GEMM; ``words`` are its scales and plane words in the order of the walk.

        There are none where they come from the operand memory.
        """
        raw = command.encode(self.config)
        split = self.config.header_beats * self.config.beat_bytes
        entries = len(command.segments) + len(command.borders)
        table = self._pad(raw[split:], entries * SEGMENT_BYTES)
        self._add(self._pad(raw[:split], HEADER_BYTES) + table, words)
        self._plane_words += command.slices * command.words

    def requantise(
        self,
        command: Requantise | Cast,
        mult: npt.NDArray[np.integer],
        shift: npt.NDArray[np.integer],
    ) -> None:
        """Add a REQUANTISE or a CAST; ``mult`` and ``shift`` have an entry for each column."""
        entries = pack_requantisation(mult, shift)
        self._add(self._header(command), self._pad(entries, len(entries)))

    def store(self, command: Store) -> None:
        """Add a STORE."""
        self._add(self._header(command))

    def fence(self, command: Fence) -> None:
        """Add a FENCE."""
        self._add(self._header(command))

    def raw(self, data: bytes) -> None:
        """Add bytes as they are."""
        self._add(data)

    def finish(self) -> TestProgram:
        """Return the program. The builder is spent: its engine's output has been taken."""
        return TestProgram(
            self.config,
            tuple(self._chunks),
            self.engine.read(self.engine.available),
            self._plane_words,
        )
