"""What a walk's cycles went to."""

from dataclasses import dataclass

__all__ = ["Walked"]


@dataclass(frozen=True)
class Walked:
    """Cycles of a walk.

    Parameters
    ----------
    work, load : int
        Beats of plane words, and of scales.
    table, stream : int
        Cycles that waited for look-up tables, and for the source.
    end : int
        The walk's last cycle.
    """

    work: int
    load: int
    table: int
    stream: int
    end: int
