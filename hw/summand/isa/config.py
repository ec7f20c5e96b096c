"""The engine's build-time choices, and what follows from them."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from summand.isa.errors import ConfigError
from summand.isa.limits import (
    BIN_TILES,
    DIGIT_BITS,
    DSP_BITS,
    FIELDS,
    LIMB_BITS,
    OPERAND_DEPTH,
    PLANES,
    SPARSE_BLOCKS,
)

__all__ = ["EngineConfig"]

#: Fields that came after the first engines were made.
_LATER = (
    "half_steps",
    "border_shift",
    "sparse_block",
    "operand_depth",
    "digit_bits",
    "limb_bits",
    "bin_tiles",
)


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Sizes of one engine. Every field is a build-time choice; the rest follows.

    Parameters
    ----------
    rows : int
        Tokens computed in parallel, 1 to 64. All rows share each plane word.
    cols : int
        Output features computed in parallel, a power of two, 1 to 64.
    depth : int
        Input features in one K-slice, a power of two, 8 to 256.
    stream_bits : int
        Width of the input and output streams, a power of two, 32 to 512.
    act_bits : int
        Width of an activation, 4 to 10.
    acc_bits : int
        Width of an accumulator, 16 to 32. Wraps; the compiler proves that it cannot.
    acc_depth : int
        Accumulators of one column, a power of two: ``acc_depth * cols`` outputs are held a row.
    act_depth : int
        K-slices of activations held a row, a power of two.
    requant_depth : int
        Output features one REQUANTISE may name, a power of two.
    table_share : int
        Look-up tables filled in turn by one writer: fewer writers, longer loads.
    shift : int
        How far a segment's shift flag moves the accumulators to the left; 0 builds no shifter.
    scale_bits : int
        Width of the unsigned group scales that multiply a scaled segment's slice sums, up to 8;
        0 builds no multipliers.
    half_steps : bool
        Whether a segment's weights may be half-step: ``2 * q + 1`` in place of ``q``.
    border_shift : int
        The most that a border within a walk shifts the accumulators to the left, up to 7; 0 builds
        no borders.
    sparse_block : int
        Weights of consecutive inputs that are a block of a sparse segment, of which a few are kept:
        4, 8 or 16; 0 builds no decoder.
    operand_depth : int
        Plane words of a memory on the chip, which CASTs make of accumulators and GEMMs read; a
        power of two, 256 to 65536. 0 builds none.
    digit_bits : int
        Planes of a weight that DSP blocks multiply at once, 2 or 4; 0 looks planes up in tables
        instead.
    limb_bits : int
        Bits of the limbs in which a STORE sends as much of each accumulator as it is told to: 4 or
        8. 0 sends 32 bits of each.
    bin_tiles : int
        Tiles of a bin, of which a STORE can send the two greatest or least accumulators alone; 0
        without bins.
    """

    rows: int = 1
    cols: int = 4
    depth: int = 64
    stream_bits: int = 256
    act_bits: int = 8
    acc_bits: int = 32
    acc_depth: int = 1024
    act_depth: int = 64
    requant_depth: int = 256
    table_share: int = 1
    shift: int = 0
    scale_bits: int = 0
    half_steps: bool = False
    border_shift: int = 0
    sparse_block: int = 0
    operand_depth: int = 0
    digit_bits: int = 0
    limb_bits: int = 0
    bin_tiles: int = 0

    def __post_init__(self):
        for name, allowed in FIELDS.items():
            allowed.check(name, getattr(self, name))
        if not isinstance(self.half_steps, bool):
            raise ConfigError(f"half_steps must be true or false, not {self.half_steps!r}")
        for name, choices in (
            ("sparse_block", SPARSE_BLOCKS),
            ("digit_bits", DIGIT_BITS),
            ("limb_bits", LIMB_BITS),
        ):
            value = getattr(self, name)
            if type(value) is not int or value not in choices:
                *some, last = choices
                raise ConfigError(
                    f"{name} must be {', '.join(map(str, some))} or {last}, not {value!r}"
                )
        for name, allowed in (("operand_depth", OPERAND_DEPTH), ("bin_tiles", BIN_TILES)):
            value = getattr(self, name)
            if type(value) is not int or (value and value not in allowed):
                raise ConfigError(f"{name} must be 0 or a power of two, {allowed}, not {value!r}")
        if self.plane_bits < self.stream_bits:
            raise ConfigError(
                f"cols * depth ({self.plane_bits}) must be at least stream_bits "
                f"({self.stream_bits}); raise cols or depth, or narrow the stream"
            )
        if self.depth * self.elem_bits < self.stream_bits:
            raise ConfigError(
                f"depth ({self.depth}) must be at least the {self.beat_elems} activations of one "
                f"beat; raise depth or narrow the stream"
            )
        if self.table_share > self.slice_words:
            raise ConfigError(
                f"table_share ({self.table_share}) must be at most the {self.slice_words} beats "
                f"of a slice; lower it, raise depth or narrow the stream"
            )
        if self.table_share > self.tables:
            raise ConfigError(
                f"table_share ({self.table_share}) must be at most the {self.tables} tables of a "
                f"column; lower it or raise depth"
            )
        if self.digit_bits and self.table_share != 1:
            raise ConfigError(
                f"table_share ({self.table_share}) must be 1 with digit_bits ({self.digit_bits}), "
                f"because DSP blocks have no tables"
            )
        if self.digit_bits and self.act_bits + 2 * self.digit_bits + 1 > DSP_BITS:
            most = DSP_BITS - 1 - 2 * self.digit_bits
            raise ConfigError(
                f"act_bits ({self.act_bits}) must be at most {most} with digit_bits "
                f"({self.digit_bits}), so that a DSP block has room for two columns' digits; "
                f"lower act_bits or digit_bits"
            )
        if self.requant_depth < self.cols:
            raise ConfigError(
                f"requant_depth ({self.requant_depth}) must be at least cols ({self.cols})"
            )
        if self.cols * self.scale_bits > self.stream_bits:
            raise ConfigError(
                f"one tile's scales, cols * scale_bits ({self.cols * self.scale_bits} bits), must "
                f"fit a beat of stream_bits ({self.stream_bits}); lower scale_bits or cols"
            )
        if self.cols * self.limb_bits > self.stream_bits:
            raise ConfigError(
                f"a limb of a tile, cols * limb_bits ({self.cols * self.limb_bits} bits), must fit "
                f"a beat of stream_bits ({self.stream_bits}); lower limb_bits or cols"
            )
        if self.bin_tiles > self.acc_depth:
            raise ConfigError(
                f"bin_tiles ({self.bin_tiles}) must be at most acc_depth ({self.acc_depth}); "
                f"lower it or raise acc_depth"
            )
        if self.bin_tiles * self.cols == 1:
            raise ConfigError(
                f"bin_tiles ({self.bin_tiles}) must be at least 2 with one column, so that a bin "
                f"has two accumulators"
            )
        if self.sparse_block > self.depth:
            raise ConfigError(
                f"sparse_block ({self.sparse_block}) must be at most depth ({self.depth}); "
                f"lower it or raise depth"
            )
        if self.sparse_block and self.plane_beats > self.sparse_block:
            raise ConfigError(
                f"a plane word's beats, cols * depth / stream_bits ({self.plane_beats}), must be "
                f"at most sparse_block ({self.sparse_block}); raise it or stream_bits, or lower "
                f"cols or depth"
            )
        if self.slice_sum_bits > self.acc_bits:
            raise ConfigError(
                f"acc_bits ({self.acc_bits}) must hold one slice's {self.slice_sum_bits}-bit sum; "
                f"raise acc_bits, or lower depth or act_bits"
            )

    @property
    def plane_bits(self) -> int:
        """Bits of a plane word: one bit of ``depth`` weights for each of ``cols`` outputs."""
        return self.cols * self.depth

    @property
    def plane_beats(self) -> int:
        """Stream beats that make a plane word."""
        return self.plane_bits // self.stream_bits

    @property
    def beat_bytes(self) -> int:
        """Bytes of a stream beat."""
        return self.stream_bits // 8

    @property
    def header_beats(self) -> int:
        """Beats of a command or packet header (16 bytes, padded)."""
        return max(1, 128 // self.stream_bits)

    @property
    def elem_bits(self) -> int:
        """Bits an activation takes in the stream: 8 or 16."""
        return 8 if self.act_bits <= 8 else 16

    @property
    def beat_elems(self) -> int:
        """Activations in a beat, and in a word of the activation memory."""
        return self.stream_bits // self.elem_bits

    @property
    def slice_words(self) -> int:
        """Words of activation memory (and beats of a LOAD) in one K-slice of one row."""
        return self.depth // self.beat_elems

    @property
    def tables(self) -> int:
        """Look-up tables in a column: one for every four activations of a slice."""
        return self.depth // 4

    @property
    def scale_tiles(self) -> int:
        """Tiles whose scales share a beat; 0 without scales."""
        return self.stream_bits // (self.cols * self.scale_bits) if self.scale_bits else 0

    @property
    def beat_chunks(self) -> int:
        """Chunks of sparse segments in a beat, each a bit of every block; 0 without a decoder."""
        return self.sparse_block // self.plane_beats

    @property
    def acc_limbs(self) -> int:
        """Limbs of a whole accumulator; 0 without limbs."""
        return -(-self.acc_bits // self.limb_bits) if self.limb_bits else 0

    @property
    def bin_size(self) -> int:
        """Accumulators of a bin; 0 without bins."""
        return self.bin_tiles * self.cols

    @property
    def slice_sum_bits(self) -> int:
        """Width that holds one slice's sum of weights of the most planes, half-step or not."""
        return self.act_bits + PLANES.high + (self.depth - 1).bit_length()

    @property
    def act_min(self) -> int:
        """Smallest activation."""
        return -(1 << (self.act_bits - 1))

    @property
    def act_max(self) -> int:
        """Largest activation."""
        return (1 << (self.act_bits - 1)) - 1

    @property
    def digest(self) -> str:
        """16 hex digits that name this configuration, the same in every process and version.

        Fields of :data:`_LATER` count only where they are in use, so that engines without them keep
        the digest that they had before there were such fields.
        """
        fields = dataclasses.asdict(self)
        for name in _LATER:
            if not fields[name]:
                del fields[name]
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the fields as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_dict(cls, raw: Any) -> "EngineConfig":
        """Build a configuration, refusing fields it does not have."""
        if not isinstance(raw, dict):
            raise ConfigError(f"an engine configuration is a JSON object, not {type(raw).__name__}")
        known = {f.name for f in dataclasses.fields(cls)}
        if extra := sorted(raw.keys() - known):
            raise ConfigError(
                f"an engine configuration has no {', '.join(extra)}; "
                f"it has {', '.join(sorted(known))}"
            )
        return cls(**raw)

    @classmethod
    def from_json(cls, text: str) -> "EngineConfig":
        """Parse JSON text."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as e:  # also numbers of thousands of digits
            raise ConfigError(f"not JSON: {e}") from None
        return cls.from_dict(raw)

    @classmethod
    def load(cls, path: Path) -> "EngineConfig":
        """Read a JSON file; errors name the file."""
        try:
            return cls.from_json(path.read_text())
        except (OSError, UnicodeDecodeError) as e:
            raise ConfigError(f"cannot read {path}: {e}") from None
        except ConfigError as e:
            raise ConfigError(f"{path}: {e}") from None
