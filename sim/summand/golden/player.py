"""The golden player: makes a golden engine's stream of items and a memory."""

import zlib
from collections.abc import Sequence

import numpy as np

from summand.golden.engine import GoldenEngine
from summand.golden.queue import ByteQueue
from summand.isa import EngineConfig, SummandError
from summand.isa.player import Item, ItemError, ItemOp, Refusal
from summand.isa.registers import PLAYER_REGISTERS, Access, register

__all__ = ["GoldenPlayer"]


class GoldenPlayer:
    """Does what a player with its engine and its memory does, bit for bit, without time.

    Equal PLAYs give the engine the same ``bytes`` object until their beats are written again, so
    that it decodes weights once.

    Parameters
    ----------
    config : :class:`~summand.isa.EngineConfig`
        The engine.
    memory_beats : int
        The memory's size. It costs what is written of it.
    """

    def __init__(self, config: EngineConfig, memory_beats: int):
        self.config = config
        self.engine = GoldenEngine(config)
        self._beats = memory_beats
        self._memory = np.zeros(memory_beats * config.beat_bytes, np.uint8)
        self._played: dict[tuple[int, int], bytes] = {}
        self._input = ByteQueue()
        kept = (r.name for r in PLAYER_REGISTERS if r.access is Access.RW)
        self._kept = dict.fromkeys(kept, 0)
        self._reset()

    def _reset(self) -> None:
        self._input.clear()
        self._item: Item | None = None
        self._left = 0  # bytes of the item that have not come
        self._error = Refusal.OK
        self._items = self._crc = 0

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Take the next bytes of items, cut anywhere, and carry out what has come."""
        if self._error:
            return  # everything is discarded until reset
        for chunk in chunks:
            self._input.append(chunk)
        try:
            while self._step():
                pass
        except ItemError as e:
            self._error = e.code
            self._input.clear()

    @property
    def available(self) -> int:
        """Bytes of the engine's output waiting to be read."""
        return self.engine.available

    def read(self, nbytes: int) -> bytes:
        """Take ``nbytes`` of the engine's output, or all there is if that is less."""
        return self.engine.read(nbytes)

    def read_register(self, name: str) -> int:
        """Return a register of the engine or of the player by its name."""
        values = {
            "player_status": self._error << 8 | (self._item is not None),
            "player_items": self._items & 0xFFFFFFFF,
            "player_crc": self._crc,
            "memory_beats": self._beats,
            **self._kept,
        }
        return values[name] if name in values else self.engine.read_register(name)

    def write_register(self, name: str, value: int) -> None:
        """Write a register; ``reset`` resets both and leaves the memory and what it holds."""
        if name in self._kept:
            self._kept[name] = value & 0xFFFFFFFF
            return
        if register(name) in PLAYER_REGISTERS and register(name).access is Access.RO:
            raise SummandError(f"register {name} is read only")
        self.engine.write_register(name, value)
        if value & 1:
            self._reset()

    def _step(self) -> bool:
        """Do what the bytes that are there allow; returns whether there may be more to do."""
        config = self.config
        if self._item is None:
            head_bytes = config.header_beats * config.beat_bytes
            if len(self._input) < head_bytes:
                return False
            self._item = Item.decode(self._input.take(head_bytes), self._beats)
            self._left = self._item.carried * config.beat_bytes
            self._begin(self._item)
        elif self._left:
            # Whole beats move on as they come.
            size = min(self._left, len(self._input) // config.beat_bytes * config.beat_bytes)
            if not size:
                return False
            self._carry(self._item, self._input.take(size))
            self._left -= size
        if self._item and not self._left:
            self._item = None
            self._items += 1
        return True

    def _begin(self, item: Item) -> None:
        at = self._slice(item.address, item.beats)
        match item.op:
            case ItemOp.PLAY if item.beats:
                key = item.address, item.beats
                if key not in self._played:
                    self._played[key] = self._memory[at].tobytes()
                self.engine.write([self._played[key]])
            case ItemOp.CRC:
                self._crc = zlib.crc32(self._memory[at].data)

    def _carry(self, item: Item, raw: bytes) -> None:
        if item.op == ItemOp.LITERAL:
            self.engine.write([raw])
            return
        beats = len(raw) // self.config.beat_bytes
        first = item.address + item.beats - self._left // self.config.beat_bytes
        self._memory[self._slice(first, beats)] = np.frombuffer(raw, np.uint8)
        for address, count in list(self._played):
            if address < first + beats and first < address + count:
                del self._played[address, count]

    def _slice(self, address: int, beats: int) -> slice:
        size = self.config.beat_bytes
        return slice(address * size, (address + beats) * size)
