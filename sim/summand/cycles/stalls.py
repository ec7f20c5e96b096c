"""When the source offers and the sink takes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Stalls"]


@dataclass(frozen=True, eq=False)
class Stalls:
    """Handshakes seen from outside, a value a cycle from the first after reset on.

    What lies beyond an array's end counts as offered, or ready.

    Parameters
    ----------
    offered : bool array, shape ``[cycles]``
        The source's ``valid``.
    ready : bool array, shape ``[cycles]``
        The sink's ``ready``.
    """

    offered: npt.NDArray[np.bool_]
    ready: npt.NDArray[np.bool_]

    @classmethod
    def of_trace(cls, trace: npt.NDArray[np.uint8], reset_cycles: int) -> "Stalls":
        """Read a simulator's trace: bit 0 input valid, bit 3 output ready.

        ``reset_cycles`` is how many of its cycles the engine was held in reset.
        """
        seen = trace[reset_cycles:]
        return cls(offered=seen & 1 != 0, ready=seen & 8 != 0)


class NextTrue:
    """Answers when a condition next holds, from its value in each cycle."""

    def __init__(self, values: npt.NDArray[np.bool_]):
        index = np.where(values, np.arange(len(values)), len(values))
        self._next: list[int] = np.minimum.accumulate(index[::-1])[::-1].tolist()

    def __call__(self, cycle: int) -> int:
        """Return the first cycle from ``cycle`` on in which it holds."""
        return self._next[cycle] if cycle < len(self._next) else cycle
