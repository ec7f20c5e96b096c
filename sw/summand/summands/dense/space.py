"""The dense summands among which an allocation chooses."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from summand.isa import EngineConfig
from summand.summands.choosing import SummandSpace, refuse
from summand.summands.errors import SolveError
from summand.summands.patterns import NO_PATTERN, check_engine, fits

__all__ = ["DenseSpace"]


@dataclass(frozen=True, kw_only=True)
class DenseSpace(SummandSpace):
    """The dense summands that layers may get.

    Parameters
    ----------
    bits, head_bits : tuple of int
        Of a weight, of the output head's.
        With half-step weights 1 bit is worth trying too: they are -1 and 1, not -1 and 0.
    groups : tuple of int
        Input features that share a scale.
    sparsity : tuple of str
        Patterns; the head keeps all weights.
    """

    bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    head_bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    groups: tuple[int, ...] = (32, 64, 128)
    sparsity: tuple[str, ...] = (NO_PATTERN,)

    varied = ("bits", "head_bits", "group", "sparsity")

    def __post_init__(self):
        if 0 in self.bits:
            raise SolveError("allocation needs a dense summand: bits must be 1 to 8, not 0")

    @classmethod
    def of(cls, options: Any, fixed: Collection[str], engine: EngineConfig | None) -> "DenseSpace":
        """Return what layers may get; groups that the engine cannot have are left out."""
        groups = cls.groups
        if engine is not None:
            groups = tuple(engine.depth * i for i in (1, 2, 4)) if engine.scale_bits else (0,)
        least = (1,) if options.half_step else ()
        sparsity = (options.sparsity,)
        if "sparsity" not in fixed and not (options.half_step and "half_step" in fixed):
            sparsity = _patterns(engine)
        return cls(
            bits=(options.bits,) if "bits" in fixed else (*least, *cls.bits),
            head_bits=(options.head_bits,) if "head_bits" in fixed else (*least, *cls.head_bits),
            groups=(options.group,) if "group" in fixed else groups,
            sparsity=sparsity,
        )

    @classmethod
    def adopted(cls, options: Any, engine: EngineConfig) -> Mapping[str, int]:
        """Return the width of scales, and half-step weights where the engine has them."""
        scale_bits = engine.scale_bits or options.scale_bits
        half_step = engine.half_steps and options.sparsity == NO_PATTERN
        return {"scale_bits": scale_bits, "half_step": half_step}

    @classmethod
    def check(cls, options: Any, fixed: Collection[str], engine: EngineConfig) -> None:
        """Raise :class:`SolveError` for what the engine does not have."""
        check_engine(options, "sparsity", engine)
        if options.half_step and not engine.half_steps:
            refuse(options, "half_step", "off on an engine without half_steps")
        if engine.scale_bits and options.scale_bits > engine.scale_bits:
            refuse(options, "scale_bits", f"at most the engine's, {engine.scale_bits}")
        if "group" not in fixed:
            return
        if options.group and not engine.scale_bits:
            refuse(options, "group", "0 on an engine without scale_bits")
        if options.group % engine.depth:
            refuse(options, "group", f"a multiple of the engine's depth, {engine.depth}")

    def variants(
        self, in_features: int, out_features: int, *, head: bool
    ) -> Iterator[Mapping[str, int | str]]:
        """Yield widths, groups and patterns; those that the inputs are no blocks of are left out.

        A pattern that is the only one is kept, and refused when the layer is checked. Weights of a
        pattern are not half-step.
        """
        patterns = [s for s in self.sparsity if len(self.sparsity) == 1 or fits(s, in_features)]
        for bits in self.head_bits if head else self.bits:
            for group in self.groups:
                for sparsity in patterns[:1] if head else patterns:
                    whole = {} if sparsity == NO_PATTERN else {"half_step": False}
                    each = {"bits": bits, "head_bits": bits, "group": group, "sparsity": sparsity}
                    yield each | whole


def _patterns(engine: EngineConfig | None) -> tuple[str, ...]:
    """Return all weights, and a quarter, a half and three quarters of an engine's blocks."""
    block = 0 if engine is None else engine.sparse_block
    if not block:
        return (NO_PATTERN,)
    return (NO_PATTERN, *(f"{block * i // 4}:{block}" for i in (1, 2, 3)))
