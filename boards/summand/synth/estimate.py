"""Estimates an engine's resources and clock without any tool."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from summand.families.base import FpgaFamily, ModelledCells
from summand.families.cells import CELL_KINDS, CellKind
from summand.families.parts import FpgaPart
from summand.families.registry import find_family
from summand.isa import ConfigError, EngineConfig
from summand.synth.coefficients import HeldOutError, Model, ModelError, UnknownPartError, load_model
from summand.synth.model import period_terms, structure

__all__ = ["Resources", "estimate", "fits", "modelled_cells"]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The resources and clock of an engine with its AXI ports.

    Parameters
    ----------
    luts, ffs : int
        Look-up tables and flip-flops, estimated.
    lut_rams, block_rams, dsps : int
        Memories and multipliers, exact; block RAMs may be halves.
    fmax_mhz : float or None
        Clock, estimated, out of context, on the slowest speed grade that is stored; None for
        families that are counted only, and for engines with a part of which no stored run was
        placed.
    errors : mapping of str to HeldOutError
        Of ``luts``, ``ffs`` and ``fmax_mhz``.
    """

    luts: int
    ffs: int
    lut_rams: int
    block_rams: float
    dsps: int
    fmax_mhz: float | None
    errors: Mapping[str, HeldOutError]

    def lacking(self, part: FpgaPart) -> tuple[CellKind, ...]:
        """Return the kinds of cells of which a part has too few."""
        return tuple(k for k in CELL_KINDS if getattr(self, k.name) > getattr(part, k.name))


def modelled_cells(family: FpgaFamily) -> ModelledCells:
    """Return what the model needs of a family; raises :class:`ModelError` if it has no model."""
    if family.modelled is None:
        raise ModelError(f"there is no model of resources for {family.title}")
    return family.modelled


def estimate(config: EngineConfig, family: FpgaFamily, model: Model | None = None) -> Resources:
    """Return what ``config`` takes of a family's FPGA; runs no tool, takes microseconds.

    Parameters
    ----------
    config : EngineConfig
        The engine.
    family : FpgaFamily
        The family, whose own technology the Verilog is made for.
    model : Model, optional
        Its coefficients; the family's stored ones if not given.

    Raises
    ------
    ModelError
        If there is no model of the family, or it is of other terms than this version's, or the
        engine has a part that the model does not know.
    """
    if config.operand_depth:
        raise UnknownPartError(
            f"the model of resources has no term for operand_depth ({config.operand_depth}); count "
            f"the cells with 'summand synth --no-route', or leave operand_depth out"
        )
    cells = modelled_cells(family)
    model = model or load_model(cells.model)
    clock, has = _clock(config, model), structure(config, cells)
    return Resources(
        luts=round(model.figure("luts", has.luts)),
        ffs=round(model.figure("ffs", has.ffs)),
        lut_rams=has.lut_rams,
        block_rams=has.block_rams,
        dsps=has.dsps,
        fmax_mhz=clock,
        errors={
            "luts": model.errors["luts"],
            "ffs": model.errors["ffs"],
            **({"fmax_mhz": model.errors["period_ns"]} if clock else {}),
        },
    )


def fits(config: EngineConfig, part: FpgaPart, model: Model | None = None) -> None:
    """Check by the model that an engine fits on a part.

    Families without a model pass, and engines with parts that the model does not know.

    Raises
    ------
    ConfigError
        If it does not fit: what is missing, the model's error, and which fields to lower to what.
    """
    family = find_family(part.family)
    if family.modelled is None:
        return
    try:
        lacking = _lacking(config, part, model)
    except UnknownPartError:
        return
    if not lacking:
        return
    found = estimate(config, family, model)
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


def _clock(config: EngineConfig, model: Model) -> float | None:
    """Return an engine's clock in MHz, if stored runs tell what all its parts make of it."""
    if "period_ns" not in model.coefficients:
        return None
    try:
        return 1e3 / model.figure("period_ns", period_terms(config))
    except UnknownPartError:
        return None


def _lacking(
    config: EngineConfig, part: FpgaPart, model: Model | None
) -> list[tuple[str, int, int]]:
    """Return title, cells needed and cells there of each kind that the part has too few of."""
    found = estimate(config, find_family(part.family), model)
    return [
        (kind.title, getattr(found, kind.name), getattr(part, kind.name))
        for kind in found.lacking(part)
    ]


def _reduced(config: EngineConfig, name: str, part: FpgaPart, model: Model | None) -> int | None:
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
