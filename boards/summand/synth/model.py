"""What an engine takes of an ECP5 and how fast it is, estimated from stored runs.

Memories and multipliers follow from the configuration and are exact. Look-up tables, flip-flops
and the clock are sums of structural terms whose coefficients :mod:`summand.synth.fit` fits to the
stored runs; the errors that go with them are of runs that the fit has not seen.
"""

import dataclasses
import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from summand.boards.parts import ECP5_85F, Part
from summand.isa import ConfigError, EngineConfig, SummandError
from summand.isa.structure import (
    JOINED_ROWS,
    Memory,
    MemoryKind,
    act_addr_bits,
    joints,
    memories,
    products,
    tile_bits,
)
from summand.rtl.ram import ECP5_SHAPES
from summand.synth.targets import CELL_KINDS

__all__ = [
    "MODEL",
    "Error",
    "Model",
    "ModelError",
    "Resources",
    "block_rams",
    "dsps",
    "estimate",
    "ff_terms",
    "fits",
    "load_model",
    "lut_rams",
    "lut_terms",
    "period_terms",
]

#: The package's own model; written by ``python -m summand.synth.fit``.
MODEL = Path(__file__).with_name("model.json")

#: Bits of an ECP5 LUT RAM's word; it has 16 of them.
_LUT_RAM_BITS = 4


class ModelError(SummandError):
    """A model that cannot be read, or of other terms than this version's."""


@dataclass(frozen=True, kw_only=True)
class Error:
    """Relative errors on runs that the fit has not seen, each left out in turn."""

    mean: float
    worst: float
    runs: int

    def __str__(self) -> str:
        return f"{self.mean:.1%} on average, {self.worst:.1%} at worst, on {self.runs} held-out"


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What an engine with its AXI ports takes of an ECP5.

    Parameters
    ----------
    luts, ffs : int
        Estimated TRELLIS_COMB and TRELLIS_FF.
    lut_rams, block_rams, dsps : int
        TRELLIS_RAMW, DP16KD and MULT18X18D; exact.
    fmax_mhz : float
        Estimated, out of context, on speed grade 6.
    errors : mapping of str to Error
        Of ``luts``, ``ffs`` and ``fmax_mhz``.
    """

    luts: int
    ffs: int
    lut_rams: int
    block_rams: int
    dsps: int
    fmax_mhz: float
    errors: Mapping[str, Error]


@dataclass(frozen=True, kw_only=True)
class Model:
    """Coefficients of the terms, by figure and term, and errors by figure.

    The figures are ``luts``, ``ffs`` and ``period_ns``.
    """

    coefficients: Mapping[str, Mapping[str, float]]
    errors: Mapping[str, Error]

    def to_json(self) -> str:
        """Return it as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Model":
        """Parse JSON text; raises :class:`ModelError`."""
        try:
            raw = json.loads(text)
            errors = {name: Error(**error) for name, error in raw["errors"].items()}
            return cls(coefficients=raw["coefficients"], errors=errors)
        except (ValueError, TypeError, KeyError, AttributeError) as e:
            raise ModelError(f"not a model of resources: {e}") from None

    def figure(self, name: str, terms: Mapping[str, float]) -> float:
        """Return the sum of ``terms`` with the coefficients of a figure."""
        found = self.coefficients.get(name, {})
        if found.keys() != terms.keys():
            raise ModelError(
                f"the model's terms of {name} are not this version's; "
                "fit it again: python -m summand.synth.fit"
            )
        return sum(found[term] * value for term, value in terms.items())


@functools.cache
def load_model(path: Path = MODEL) -> Model:
    """Return a fitted model; raises :class:`ModelError` that names the file."""
    try:
        return Model.from_json(path.read_text())
    except OSError as e:
        raise ModelError(f"cannot read {path}: {e.strerror}") from None
    except ModelError as e:
        raise ModelError(f"{path}: {e}") from None


def estimate(config: EngineConfig, model: Model | None = None) -> Resources:
    """Return what ``config`` takes; microseconds, no tool is run."""
    model = model or load_model()
    luts = model.figure("luts", lut_terms(config))
    return Resources(
        luts=round(luts),
        ffs=round(model.figure("ffs", ff_terms(config))),
        lut_rams=lut_rams(config),
        block_rams=block_rams(config),
        dsps=dsps(config),
        fmax_mhz=1e3 / model.figure("period_ns", period_terms(config)),
        errors={
            "luts": model.errors["luts"],
            "ffs": model.errors["ffs"],
            "fmax_mhz": model.errors["period_ns"],
        },
    )


def fits(config: EngineConfig, part: Part = ECP5_85F, model: Model | None = None) -> None:
    """See whether an engine fits on a part, by the model.

    Raises
    ------
    ConfigError
        If it does not: what it lacks, the model's error, and which fields to lower to what.
    """
    lacking = _lacking(config, part, model)
    if not lacking:
        return
    found = estimate(config, model)
    needs = ", ".join(f"{have:,} {what} of {there:,}" for what, have, there in lacking)
    ways = [
        f"{name} from {getattr(config, name)} to {value}"
        for name in ("rows", "cols", "depth", "acc_depth", "act_depth")
        if (value := _reduced(config, name, part, model)) is not None
    ]
    remedy = "lower " + ", or ".join(ways) if ways else "lower rows, cols and depth"
    raise ConfigError(
        f"the engine does not fit the {part.name}, by the model: it takes {needs} "
        f"(look-up tables are {found.errors['luts']} runs); {remedy}"
    )


def lut_rams(config: EngineConfig) -> int:
    """Return the LUT RAMs of 16 x 4 bits: look-up tables, and the ring of segments."""
    return sum(
        memory.count * _ceil(memory.width, _LUT_RAM_BITS)
        for memory in memories(config)
        if memory.kind is MemoryKind.LUT
    )


def block_rams(config: EngineConfig) -> int:
    """Return the block RAMs: accumulators, activations, parameters, drained tiles, scales."""
    return sum(
        memory.count * _blocks(memory)
        for memory in memories(config)
        if memory.kind is MemoryKind.BLOCK
    )


def dsps(config: EngineConfig) -> int:
    """Return the multipliers: the requantiser's, and scalers."""
    return sum(product.count * product.blocks for product in products(config))


def lut_terms(config: EngineConfig) -> dict[str, float]:
    """Return the terms of an engine's look-up tables."""
    rows, columns = config.rows, config.rows * config.cols
    return {
        "lut_rams": lut_rams(config),
        "trees": columns * (_tree_bits(config) + config.tables - 1),
        "columns": columns * (config.slice_sum_bits + config.acc_bits)
        + _ceil(rows - 1, JOINED_ROWS) * config.cols * config.acc_bits,  # results joined
        "shifters": columns * config.acc_bits * (config.shift > 0),
        "writers": rows * config.tables // config.table_share * (config.act_bits + 2),
        "scales": config.scale_bits > 0,  # their products are in DSP blocks
        "rows": rows,
        "tile": config.cols * config.acc_bits,
        "stream": config.stream_bits,
        "addresses": tile_bits(config) + act_addr_bits(config),
        "constant": 1,
    }


def ff_terms(config: EngineConfig) -> dict[str, float]:
    """Return the terms of an engine's flip-flops."""
    rows, columns = config.rows, config.rows * config.cols
    tables = config.tables * (config.act_bits + 2) + _tree_bits(config)
    return {
        "words": rows * config.plane_bits,
        "tables": columns * tables,
        "columns": columns * (2 * config.slice_sum_bits + 3 * config.acc_bits)
        + _collected(config) * config.cols * config.acc_bits,
        "writers": rows * (config.tables // config.table_share * (2 * config.act_bits + 2))
        + rows * config.depth // config.table_share * config.act_bits,
        "scales": _scale_bits(config),
        "rows": rows,
        "tile": config.cols * config.acc_bits,
        "stream": config.stream_bits,
        "gatherer": config.plane_bits,
        "addresses": tile_bits(config) + act_addr_bits(config),
        "constant": 1,
    }


def period_terms(config: EngineConfig) -> dict[str, float]:
    """Return the terms of an engine's clock period."""
    return {
        "size": math.sqrt(config.rows * config.plane_bits) / 32,
        "constant": 1,
    }


def _blocks(memory: Memory) -> int:
    for width, depth in ECP5_SHAPES:
        if memory.depth <= depth:
            return _ceil(memory.width, width)
    return memory.width * _ceil(memory.depth, ECP5_SHAPES[-1][1])


def _tree_bits(config: EngineConfig) -> int:
    """Return the bits of a column's adder tree."""
    bits, count, width = 0, config.tables // 2, config.act_bits + 3
    while count:
        bits += count * width
        count, width = count // 2, width + 1
    return bits


def _collected(config: EngineConfig) -> int:
    """Return the registers in which results come from all rows to the front."""
    groups = joints(config)
    return sum(1 + k * (k - 1) // 2 for k in groups) + 2 * (len(groups) - 1)


def _scale_bits(config: EngineConfig) -> int:
    """Return the bits of scales on their way, of their products, and of where they are kept."""
    if not config.scale_bits:
        return 0
    return 64 + config.rows * config.cols * (config.slice_sum_bits + 2 * config.scale_bits)


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def _lacking(config: EngineConfig, part: Part, model: Model | None) -> list[tuple[str, int, int]]:
    found = estimate(config, model)
    return [
        (kind.title, needed, there)
        for kind in CELL_KINDS
        if (needed := getattr(found, kind.name)) > (there := getattr(part, kind.name))
    ]


def _reduced(config: EngineConfig, name: str, part: Part, model: Model | None) -> int | None:
    """Return the largest smaller value of a field with which the engine fits, if there is one."""
    value = getattr(config, name)
    while value > 1:
        value = value - 1 if name == "rows" else value // 2
        try:
            smaller = dataclasses.replace(config, **{name: value})
        except ConfigError:
            return None
        if not _lacking(smaller, part, model):
            return value
    return None
