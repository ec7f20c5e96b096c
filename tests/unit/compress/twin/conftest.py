import numpy as np

from summand.summands.base import Summand
from summand.summands.registry import entry_of, kind_of


def differing(old: Summand, new: Summand) -> set[str]:
    """Return the names of the tensors in which two summands of the same sizes differ."""
    assert entry_of(new) == entry_of(old)
    before, after = (kind_of(summand).entry.tensors(summand) for summand in (old, new))
    assert before.keys() == after.keys()
    return {name for name in before if not np.array_equal(before[name], after[name])}
