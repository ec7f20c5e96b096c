"""An engine, and the fields of its commands as they are in the stream."""

import struct
from collections.abc import Iterator

from summand.isa import EngineConfig
from summand.isa.header import HEADER_BYTES, STORED, Header, Op
from summand.stimulus.builder import TestProgram

__all__ = ["CONFIG", "ENDS", "WIDEST", "fields", "headers"]

CONFIG = EngineConfig(
    rows=3,
    cols=4,
    depth=16,
    stream_bits=64,
    acc_depth=16,
    act_depth=4,
    requant_depth=16,
    shift=2,
    scale_bits=4,
    half_steps=True,
    border_shift=3,
    sparse_block=8,
    operand_depth=256,
    limb_bits=4,
    bin_tiles=4,
)

#: The least and the most that each field of a command of that engine may be.
ENDS = {
    "LOAD length": (2, 24),
    "LOAD a": (0, 3),
    "LOAD b": (1, 4),
    "LOAD c": (1, 3),
    "LOAD d": (0, 0),
    "CAST length": (2, 8),
    "CAST a": (0, 15),
    "CAST b": (1, 4),
    "CAST rows": (1, 3),
    "CAST planes": (1, 8),
    "CAST d": (0, 255),
    "CAST flags": (0, 15),
    "GEMM borders": (0, 4),
    "GEMM word": (0, 255),
    "GEMM a": (0, 3),
    "GEMM b": (1, 4),
    "GEMM c": (1, 16),
    "GEMM d": (0, 0xFFFF),
    "REQUANTISE length": (2, 8),
    "REQUANTISE a": (0, 15),
    "REQUANTISE b": (1, 4),
    "REQUANTISE c": (1, 3),
    "REQUANTISE d": (0, 3),
    "STORE length": (0, 0),
    "STORE a": (0, 15),
    "STORE b": (1, 16),
    "STORE c": (1, 3),
    "STORE d": (0, 0xFFFF),
    "STORE flags": (1, 0xC0),
    "FENCE length": (0, 0),
    "FENCE a": (0, 0xFFFF),
    "FENCE b": (0, 0),
    "FENCE c": (0, 0),
    "FENCE d": (0, 0),
    "segment tile": (0, 15),
    "segment tiles": (1, 16),
    "segment planes": (1, 8),
    "segment flags": (0, 15),
    "border slice": (0, 3),
    "border shift": (1, 3),
    "segment kept": (0, 7),
    "entry mult": (0, 0xFFFF),
    "entry shift": (1, 47),
}

#: The most that fits a field, where it is not an argument's half-word.
WIDEST = {"length": 0xFFFFFFFF, "planes": 0xFF, "flags": 0xFF, "kept": 0xFF, "shift": 0xFF}


def headers(program: TestProgram) -> list[tuple[Header, bytes]]:
    """Return the program's headers, each with the bytes after it up to the next."""
    data, cfg, found = program.data, program.config, []
    while data:
        header = Header.decode(data[:HEADER_BYTES])
        start = cfg.header_beats * cfg.beat_bytes
        end = start + header.length * cfg.beat_bytes
        found.append((header, data[start:end]))
        data = data[end:]
    return found


def fields(header: Header, payload: bytes) -> Iterator[tuple[str, int]]:
    """Yield what a command and the tables in its payload say, field by field."""
    op = Op(header.op)
    for name in ("flags", "length", "a", "b", "c", "d"):
        yield f"{op.name} {name}", getattr(header, name)
    if op == Op.CAST:
        yield from (("CAST rows", header.c % 256), ("CAST planes", header.c // 256))
    if op == Op.GEMM:
        end, borders = header.c * 8, header.flags & ~STORED
        yield "GEMM borders", borders
        if header.flags & STORED:
            yield "GEMM word", header.d
        for entry in struct.iter_unpack("<HHBBBB", payload[:end]):
            for name, value in zip(
                ("tile", "tiles", "planes", "flags", "kept"), entry, strict=False
            ):
                yield f"segment {name}", value
        for place, shift in struct.iter_unpack("<HB5x", payload[end : end + borders * 8]):
            yield from (("border slice", place), ("border shift", shift))
    if op in (Op.REQUANTISE, Op.CAST):
        for mult, shift, _ in struct.iter_unpack("<HBB", payload[: header.b * CONFIG.cols * 4]):
            yield from (("entry mult", mult), ("entry shift", shift))
