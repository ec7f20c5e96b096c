"""Cycles of an allocation on an engine by the cost law, which equals the engine's counters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass

from summand.bench.law import Law
from summand.decompose.programs import outline
from summand.explore.workload import Workload
from summand.isa import EngineConfig
from summand.schedule.terms import Sizes

__all__ = ["Counted", "count_cycles"]


@dataclass(frozen=True)
class Counted:
    """Cycles and beats of all layers.

    Parameters
    ----------
    decode_cycles, decode_beats : int
        Of a pass that writes a token of each text.
    prefill_cycles, prefill_beats : int
        Of reading a prompt of each text.
    """

    decode_cycles: int
    decode_beats: int
    prefill_cycles: int
    prefill_beats: int

    def __add__(self, other: "Counted") -> "Counted":
        return Counted(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def count_cycles(
    engine: EngineConfig,
    groups: Sequence[Sequence[str]],
    heads: Sequence[bool],
    sizes: Mapping[str, Sizes],
    workload: Workload,
    progress: Callable[[int, int], None] | None = None,
) -> list[Counted]:
    """Return what each group of layers takes; groups of equal sizes are counted once.

    ``heads`` says which of them are the output head. All of its results come back. ``progress`` is
    told how many of all groups are counted.

    Raises
    ------
    CompileError
        If the engine cannot compute a layer.
    """
    law = Law(engine)
    known: dict[tuple[bool, tuple[Sizes, ...]], Counted] = {}
    found: list[Counted] = []
    for group, head in zip(groups, heads, strict=True):
        layers = tuple(sizes[name] for name in group)
        if (head, layers) not in known:
            program = outline(tuple(group), layers, engine)
            decode = law.usage(program, workload.batch)
            prefill = law.usage(program, workload.read(head=head))
            known[head, layers] = Counted(
                decode.counters.cycles, decode.beats, prefill.counters.cycles, prefill.beats
            )
        found.append(known[head, layers])
        if progress:
            progress(len(found), len(groups))
    return found
