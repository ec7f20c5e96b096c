"""Items: what goes to a player, which makes an engine's stream of them."""

import enum
import struct
from dataclasses import dataclass

from summand.isa.beats import pad
from summand.isa.config import EngineConfig
from summand.isa.header import HEADER_BYTES, fold
from summand.isa.player.refusals import ItemError, Refusal

__all__ = ["ITEM_CHECK", "MOST_BEATS", "Item", "ItemOp"]

#: What the eight little-endian half-words of an item fold to by exclusive or.
ITEM_CHECK = 0xB10C

#: The most beats of an item, and of a memory.
MOST_BEATS = 2**32 - 1


class ItemOp(enum.IntEnum):
    """Byte 0 of an item."""

    #: The beats that follow go to the engine.
    LITERAL = 0x81
    #: Beats of the memory go to the engine.
    PLAY = 0x82
    #: The beats that follow go to the memory.
    WRITE = 0x83
    #: The checksum of beats of the memory goes to a register.
    CRC = 0x84


@dataclass(frozen=True)
class Item:
    """An item's head: 16 bytes, padded to whole beats.

    Parameters
    ----------
    op : int
        The operation.
    beats : int
        How many beats it is about; 0 does nothing.
    address : int
        The first one's place in the memory, in beats; 0 in a LITERAL.
    """

    op: int
    beats: int
    address: int = 0

    _FORMAT = struct.Struct("<BBHIII")

    @property
    def carried(self) -> int:
        """Beats that follow the head."""
        return self.beats if self.op in (ItemOp.LITERAL, ItemOp.WRITE) else 0

    def encode(self, config: EngineConfig) -> bytes:
        """Return the head with its checksum, padded to whole beats."""
        check = ITEM_CHECK ^ fold(self._FORMAT.pack(self.op, 0, 0, self.beats, self.address, 0))
        raw = self._FORMAT.pack(self.op, 0, check, self.beats, self.address, 0)
        return pad(raw, config)

    @classmethod
    def decode(cls, raw: bytes, memory_beats: int) -> "Item":
        """Read 16 bytes for a memory of ``memory_beats``.

        Raises
        ------
        ItemError
            With the first check that fails, in the order of :class:`Refusal`.
        """
        if fold(raw[:HEADER_BYTES]) != ITEM_CHECK:
            raise ItemError(Refusal.CHECK)
        op, flags, _, beats, address, more = cls._FORMAT.unpack(raw[:HEADER_BYTES])
        if op not in set(ItemOp):
            raise ItemError(Refusal.OP)
        if flags or more or (op == ItemOp.LITERAL and address):
            raise ItemError(Refusal.RESERVED)
        if op != ItemOp.LITERAL and address + beats > memory_beats:
            raise ItemError(Refusal.ADDRESS)
        return cls(op, beats, address)
