"""Finding a matrix's rows in another, whose rows were put into another order."""

import numpy as np
import numpy.typing as npt

__all__ = ["find_rows"]


def find_rows(
    wanted: npt.NDArray[np.float32], stored: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64] | None:
    """Return where each row of ``wanted`` is in ``stored``; None unless all are, bit for bit.

    Tools that convert checkpoints put the rows of some matrices into the order that their rotary
    embedding wants.
    """
    if wanted.shape != stored.shape:
        return None
    if np.array_equal(wanted, stored):
        return np.arange(len(wanted))
    places = {row.tobytes(): i for i, row in enumerate(np.ascontiguousarray(stored))}
    found = [places.get(row.tobytes(), -1) for row in np.ascontiguousarray(wanted)]
    return None if -1 in found else np.array(found)
