"""Engines that differ in rows alone, evaluated with every allocation of their front."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.explore.fronts import ModelFront, Traffic
from summand.explore.latency import Quick, Times
from summand.explore.point import Point
from summand.isa import EngineConfig
from summand.synth.estimate import Resources

__all__ = ["Evaluated"]

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluated:
    """Engines that differ in rows alone.

    Parameters
    ----------
    engine : EngineConfig
        One of them.
    rows : int array, shape ``[rows]``
        Their numbers of rows.
    resources : tuple of Resources
        What each takes.
    front : ModelFront
        Allocations.
    bits : float64 array, shape ``[points, kinds]``
        What all groups of a kind stream in a pass.
    times : Times
        Arrays of shape ``[rows, points]``.
    total : float64 array, shape ``[rows, points]``
        Seconds of the whole workload.
    """

    engine: EngineConfig
    rows: npt.NDArray[np.int64]
    resources: tuple[Resources, ...]
    front: ModelFront
    bits: _Floats
    times: Times
    total: _Floats

    @classmethod
    def of(
        cls,
        engine: EngineConfig,
        resources: Sequence[Resources],
        rows: npt.NDArray[np.int64],
        front: ModelFront,
        traffic: Traffic,
        quick: Quick,
    ) -> "Evaluated":
        """Evaluate engines of so many rows."""
        times = quick.times(engine, rows, traffic)
        return cls(
            engine=engine,
            rows=rows,
            resources=tuple(resources),
            front=front,
            bits=traffic.bits,
            times=times,
            total=times.total(quick.workload),
        )

    def point(self, row: int, place: int) -> Point:
        """Return the engine of a number of rows with an allocation of the front."""
        times = self.times
        return Point(
            engine=dataclasses.replace(self.engine, rows=int(self.rows[row])),
            picks={name: int(picks[place]) for name, picks in self.front.picks.items()},
            loss=float(self.front.loss[place]),
            bits=int(self.bits[place].sum()),
            resources=self.resources[row],
            decode_cycles=float(times.decode_cycles[row, place]),
            prefill_cycles=float(times.prefill_cycles[row, place]),
            decode_s=float(times.decode_s[row, place]),
            prefill_s=float(times.prefill_s[row, place]),
            total_s=float(self.total[row, place]),
        )
