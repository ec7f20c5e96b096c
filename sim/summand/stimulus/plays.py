"""Streams as items: cut anywhere, parts of them written to a memory first."""

from dataclasses import dataclass

import numpy as np

from summand.isa import EngineConfig
from summand.isa.player import Item, ItemOp

__all__ = ["Play", "random_play"]


@dataclass(frozen=True)
class Play:
    """Items that make a stream.

    Parameters
    ----------
    data : bytes
        The items.
    items : int
        How many.
    checksums : tuple of bytes
        The memory's bytes that each CRC item is about, in order.
    memory : bytes
        The memory behind the last item; zeros where nothing was written.
    """

    data: bytes
    items: int
    checksums: tuple[bytes, ...]
    memory: bytes


def random_play(
    rng: np.random.Generator, stream: bytes, config: EngineConfig, memory_beats: int, longest: int
) -> Play:
    """Return items whose stream is ``stream``, in pieces of up to ``longest`` beats.

    A piece is sent as it is, or written to the memory and played at once or, if it is not
    overwritten before its turn, later. Between them come items without beats, writes that nothing
    plays, and checksums.
    """
    size = config.beat_bytes
    beats = len(stream) // size
    cuts = [0]
    while cuts[-1] < beats:
        cuts.append(min(beats, cuts[-1] + int(rng.integers(1, longest + 1))))
    pieces = [stream[a * size : b * size] for a, b in zip(cuts, cuts[1:], strict=False)]
    memory = bytearray(memory_beats * size)
    data, items, checksums = bytearray(), 0, []

    def add(op: ItemOp, count: int, address: int = 0, carried: bytes = b"") -> None:
        nonlocal items
        data.extend(Item(op, count, address).encode(config) + carried)
        items += 1

    def write(carried: bytes) -> int:
        count = len(carried) // size
        address = int(rng.integers(0, memory_beats - count + 1))
        add(ItemOp.WRITE, count, address, carried)
        memory[address * size : (address + count) * size] = carried
        return address

    def place(carried: bytes) -> None:
        """Let a piece reach the engine."""
        count = len(carried) // size
        if count > memory_beats or rng.integers(0, 3) == 0:
            add(ItemOp.LITERAL, count, 0, carried)
            return
        found = bytes(memory).find(carried)
        again = found >= 0 and found % size == 0 and rng.integers(0, 2)
        add(ItemOp.PLAY, count, found // size if again else write(carried))

    for piece in pieces:
        match int(rng.integers(0, 8)):
            case 0:
                add(op := list(ItemOp)[int(rng.integers(0, 4))], 0)
                checksums += [b""] * (op is ItemOp.CRC)
            case 1:
                write(rng.bytes(size * int(rng.integers(0, min(longest, memory_beats) + 1))))
            case 2:
                first, last = sorted(int(n) for n in rng.integers(0, memory_beats + 1, 2))
                add(ItemOp.CRC, last - first, first)
                checksums.append(bytes(memory[first * size : last * size]))
        place(piece)
    return Play(bytes(data), items, tuple(checksums), bytes(memory))
