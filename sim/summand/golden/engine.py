"""The golden engine: executes command streams."""

from collections.abc import Sequence

import numpy as np

from summand.golden.arithmetic import accumulate, exact_product, requantise, wrap
from summand.golden.operand import Operand
from summand.golden.parser import Parser, Taken
from summand.golden.queue import ByteQueue
from summand.golden.weights import WeightCache, decode_walk
from summand.isa import CommandError, EngineConfig, ErrorCode, SummandError
from summand.isa.beats import pad
from summand.isa.borders import stretches
from summand.isa.commands import Cast, Fence, Gemm, Load, Requantise, Store
from summand.isa.packets import Counters, Kind, PacketHeader
from summand.isa.registers import IDENTITY, REGISTERS, STREAM_VERSION, Access
from summand.isa.requantisation import unpack_requantisation
from summand.isa.results import pack_extremes, pack_results

__all__ = ["GoldenEngine"]


class GoldenEngine:
    """Does what an engine of ``config`` does, bit for bit, without a notion of time.

    It has no clock, so every cycle counter reads 0, in its registers and in STATUS packets alike
    (:func:`~summand.golden.packets.without_counters` makes an engine's output comparable). Memory
    is zero at first and survives a soft reset; a program must not rely on either.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine.
    cache_bytes : int
        Memory for decoded weights, 2 GiB by default; a matrix takes four bytes a weight. A model
        that exceeds it is decoded anew for every token.
    """

    def __init__(self, config: EngineConfig, *, cache_bytes: int = 2 << 30):
        self.config = config
        #: int16 of shape ``[rows, act_depth * depth]``.
        self.activations = np.zeros((config.rows, config.act_depth * config.depth), np.int16)
        #: int32 of shape ``[rows, acc_depth * cols]``.
        self.accumulators = np.zeros((config.rows, config.acc_depth * config.cols), np.int32)
        #: Plane words that CASTs have made.
        self.operand = Operand(config)
        self._weights = WeightCache(config, cache_bytes)
        self._input = ByteQueue()
        self._output = ByteQueue()
        self._reset()

    def _reset(self) -> None:
        self._input.clear()
        self._output.clear()
        self._parser = Parser(self.config, self._input)
        self._error = ErrorCode.OK
        self._commands = 0  # finished, and the refused one

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Take the next bytes of the input stream, cut anywhere, and execute what is complete.

        ``bytes`` are kept by reference. A GEMM whose plane words come again, best as the same
        ``bytes`` object in a chunk of its own, is not decoded again.
        """
        if self._error:
            return  # everything is discarded until reset
        for chunk in chunks:
            self._input.append(chunk)
        self._run()

    @property
    def available(self) -> int:
        """Bytes of output waiting to be read."""
        return len(self._output)

    def read(self, nbytes: int) -> bytes:
        """Take ``nbytes`` of output, or all there is if that is less."""
        return self._output.take(min(nbytes, len(self._output)))

    def read_register(self, name: str) -> int:
        """Return a register by its name in :mod:`summand.isa.registers`."""
        _known(name)
        digest = int(self.config.digest, 16)
        values = {
            "identity": IDENTITY,
            "version": STREAM_VERSION,
            "digest_lo": digest & 0xFFFFFFFF,
            "digest_hi": digest >> 32,
            "status": self._error << 8 | (self._parser.inside or len(self._input) > 0),
            "commands": (self._commands + self._parser.inside) & 0xFFFFFFFF,
        }
        return values.get(name, 0)  # pulses, and counters of cycles: there are none

    def write_register(self, name: str, value: int) -> None:
        """Write a register; ``reset`` with bit 0 set is the only one that acts."""
        if _known(name) is Access.RO:
            raise SummandError(f"register {name} is read only; only reset can be written")
        if value & 1:
            self._reset()

    def _run(self) -> None:
        try:
            while (taken := self._parser.next()) is not None:
                self._execute(taken)
                self._commands += 1
        except CommandError as e:
            self._error = e.code
            self._emit_status(0)
            self._input.clear()
            self._parser = Parser(self.config, self._input)
            self._commands += 1

    def _execute(self, taken: Taken) -> None:
        match taken.command:
            case Load() as command:
                self._load(command, taken.payload)
            case Cast() as command:
                self._cast(command, taken.payload)
            case Gemm() as command:
                self._gemm(command, taken.payload)
            case Requantise() as command:
                self._requantise(command, taken.payload)
            case Store() as command:
                self._store(command)
            case Fence(tag):
                self._emit_status(tag)

    def _load(self, command: Load, payload: bytes) -> None:
        cfg = self.config
        first, elems = command.to_slice * cfg.depth, command.slices * cfg.depth
        raw = np.frombuffer(payload, np.dtype(f"<i{cfg.elem_bits // 8}")).astype(np.int64)
        # The bits above `act_bits` are ignored.
        values = wrap(raw, cfg.act_bits).reshape(command.rows, elems)
        self.activations[: command.rows, first : first + elems] = values

    def _gemm(self, command: Gemm, words: bytes) -> None:
        cfg = self.config
        first = command.from_slice * cfg.depth
        x = self.activations[:, first : first + command.slices * cfg.depth]
        if command.from_word is None:
            w = self._weights.get(words, command.slices, command.segments, command.group)
        else:
            words = self.operand.read(command.from_word, command.slices * command.words)
            w = decode_walk(words, command.slices, command.segments, 0, cfg)
        bits = max(s.planes + s.half_step + cfg.scale_bits * s.scaled for s in command.segments)
        for part in stretches(command.slices, command.borders):
            k = slice(part.start * cfg.depth, part.stop * cfg.depth)
            sums = exact_product(x[:, k], w[k], act_bits=cfg.act_bits, bits=bits)
            column = 0
            for s in command.segments:
                width = s.tiles * cfg.cols
                acc = self.accumulators[:, s.tile * cfg.cols :][:, :width]
                acc[:] = accumulate(
                    acc,
                    sums[:, column : column + width],
                    clear=s.clear and not part.start,
                    shift=part.shift or (cfg.shift if s.shift and not part.start else 0),
                    acc_bits=cfg.acc_bits,
                )
                column += width

    def _requantise(self, command: Requantise, payload: bytes) -> None:
        cfg = self.config
        features = command.tiles * cfg.cols
        mult, shift = unpack_requantisation(payload, features)
        acc = self.accumulators[: command.rows, command.tile * cfg.cols :][:, :features]
        first = command.to_slice * cfg.depth
        words = -(-features // cfg.beat_elems)
        out = self.activations[: command.rows, first : first + words * cfg.beat_elems]
        out[:, :features] = requantise(acc, mult, shift, cfg.act_bits)
        out[:, features:] = 0

    def _cast(self, command: Cast, payload: bytes) -> None:
        cfg = self.config
        features = command.tiles * cfg.cols
        mult, shift = unpack_requantisation(payload, features)
        acc = self.accumulators[: command.rows, command.tile * cfg.cols :][:, :features]
        weights = requantise(acc, mult, shift, command.planes)
        self.operand.write(command.to_word, command.lane, weights, command.planes)

    def _store(self, command: Store) -> None:
        cfg = self.config
        first = command.tile * cfg.cols
        acc = self.accumulators[: command.rows, first : first + command.tiles * cfg.cols]
        if command.extremes:
            payload = pack_extremes(acc, command.extremes, cfg)
        else:
            payload = pack_results(acc, command.limbs, cfg)
        self._emit(Kind.DATA, command.tag, payload)

    def _emit_status(self, tag: int) -> None:
        self._emit(Kind.STATUS, tag, Counters().encode())

    def _emit(self, kind: Kind, tag: int, payload: bytes) -> None:
        padded = pad(payload, self.config)
        beats = len(padded) // self.config.beat_bytes
        header = PacketHeader(kind, self._error, tag, beats, self._commands & 0xFFFFFFFF)
        self._output.append(header.encode(self.config))
        self._output.append(padded)


def _known(name: str) -> Access:
    for register in REGISTERS:
        if register.name == name:
            return register.access
    names = ", ".join(r.name for r in REGISTERS)
    raise SummandError(f"an engine has no register {name!r}; it has {names}")
