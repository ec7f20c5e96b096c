"""Low-rank summands: two quantised factors, as in ITERA-LLM (arXiv 2505.08981)."""

from typing import TYPE_CHECKING

from summand.summands.base import Kind
from summand.summands.lowrank.disk import LowRankEntry
from summand.summands.lowrank.stream import factors
from summand.summands.lowrank.term import LowRank

if TYPE_CHECKING:
    from summand.summands.lowrank.torch import LowRankTwin

__all__ = ["LOW_RANK", "LowRank", "LowRankEntry"]


def _twin(summand: LowRank, act_bits: int) -> "LowRankTwin":
    from summand.summands.lowrank.torch import LowRankTwin

    return LowRankTwin(summand, act_bits)


LOW_RANK = Kind(name="low_rank", summand=LowRank, entry=LowRankEntry, operands=factors, twin=_twin)
