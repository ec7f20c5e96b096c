"""The cost of reading a prompt, as ever and by way of pseudo-tokens, by the cost law."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from summand.bench.law import Law
from summand.decompose.programs import Programs, outline
from summand.isa import EngineConfig
from summand.model import SummandModel
from summand.model.decomposition import Decomposition
from summand.runtime import Usage
from summand.runtime.program import role_of

__all__ = ["PromptCost", "prompt_cost"]


@dataclass(frozen=True, kw_only=True)
class PromptCost:
    """Costs of a prompt in all layers of blocks; a head sees the last token only.

    Parameters
    ----------
    tokens : int
        Of the prompt.
    plain : Usage
        As ever.
    replaced : Usage
        As ever, of the groups whose inputs are decomposed: a part of ``plain``.
    parts : mapping of str to Usage
        What these cost instead: first tokens, sketches, products, pseudo-tokens, expansions.
    """

    tokens: int
    plain: Usage
    replaced: Usage
    parts: Mapping[str, Usage]

    @property
    def cycles(self) -> int:
        """Cycles with decompositions."""
        instead = sum(part.counters.cycles for part in self.parts.values())
        return self.plain.counters.cycles - self.replaced.counters.cycles + instead

    @property
    def share(self) -> float:
        """Cycles with decompositions as a share of those without."""
        return self.cycles / self.plain.counters.cycles

    @property
    def shares(self) -> dict[str, float]:
        """The parts' cycles as shares of what they replace."""
        before = self.replaced.counters.cycles
        return {name: part.counters.cycles / before for name, part in self.parts.items()}


def prompt_cost(
    source: SummandModel,
    decompositions: Sequence[Decomposition],
    config: EngineConfig,
    tokens: int,
) -> PromptCost:
    """Return what a model's prompt costs; the host's part of it takes no cycles.

    Raises
    ------
    CompileError
        If the engine cannot compute it.
    """
    found = {each.layers: each for each in decompositions}
    law, plain, replaced = Law(config), Usage(), Usage()
    parts: dict[str, Usage] = {}
    for names in source.groups:
        if role_of(names[0]) == names[0]:
            continue
        sizes = tuple(source.entry(name).sizes for name in names)
        program = outline(names, sizes, config)
        cost = law.usage(program, tokens)
        plain += cost
        if (of := found.get(names)) is None:
            continue
        replaced += cost
        for each, rows in Programs(program, of).calls(tokens):
            part = "first tokens" if each is program else each.name.rpartition(" ")[2]
            parts[part] = parts.get(part, Usage()) + law.usage(each, rows)
    return PromptCost(tokens=tokens, plain=plain, replaced=replaced, parts=parts)
