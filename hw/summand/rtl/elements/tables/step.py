"""One step of the table writers."""

from amaranth.lib import data
from amaranth.utils import ceil_log2

from summand.isa import EngineConfig

__all__ = ["ENTRIES", "Step", "gray_steps"]

#: Entries of a table: sums of the subsets of four activations.
ENTRIES = 16


class Step(data.StructLayout):
    """One step of all table writers of a row, in Gray code order.

    Members
    -------
    valid : 1
        Step.
    last : 1
        It is the table's last step; the next one starts from zero.
    select : 2
        Activation to add to the sum.
    negate : 1
        Subtract it instead.
    entry : 4
        Table entry that the sum is written to.
    zero : 1
        Write 0 instead of a sum; with :attr:`last`.
    share : ``log2(table_share)``
        Which of a writer's tables is written.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "valid": 1,
                "last": 1,
                "select": 2,
                "negate": 1,
                "entry": 4,
                "zero": 1,
                "share": max(1, ceil_log2(config.table_share)),
            }
        )


def gray_steps() -> list[dict[str, int]]:
    """Return the fields ``last``, ``select``, ``negate`` and ``entry`` of each step.

    There is a step for every entry but entry 0, which is 0 from a reset on. Entry ``e`` holds the
    sum of the activations whose bit is set in ``e``. In Gray code order each sum differs from the
    one before by one activation, so a step is one addition.
    """
    steps = []
    for i in range(1, ENTRIES):
        entry = i ^ (i >> 1)
        select = (i & -i).bit_length() - 1
        steps.append(
            {
                "last": i == ENTRIES - 1,
                "select": select,
                "negate": not entry >> select & 1,
                "entry": entry,
            }
        )
    return steps
