"""Runs several calls of a model in step, so that their layers share passes over the weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from greenlet import getcurrent, greenlet

from summand.summands.errors import LayerError

__all__ = ["Ended", "Lanes"]

_Rows = npt.NDArray[np.float32]
#: Computes layers for tokens ``[M, K]``; each token's results depend on that token alone.
_Compute = Callable[[_Rows], tuple[_Rows, ...]]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Ended(Generic[_Value]):
    """A call that has ended: its value, or what it raised."""

    value: _Value | None = None
    error: Exception | None = None

    def get(self) -> _Value:
        """Return the value, or raise what the call raised."""
        if self.error is not None:
            raise self.error
        assert self.value is not None
        return self.value


@dataclass(frozen=True)
class _Request:
    """What a lane waits for: layers, and the tokens that they are to be computed for."""

    compute: _Compute
    rows: _Rows


class _Lane(Generic[_Value]):
    """A call that stops whenever it needs an engine."""

    def __init__(self, call: Callable[[], _Value]):
        self._task = greenlet(lambda: _ended(call))
        #: What it waits for; None before it begins and after it has ended.
        self.request: _Request | None = None
        #: How it ended.
        self.ended: Ended[_Value] | None = None

    def go_on(self, results: "tuple[_Rows, ...] | None" = None) -> None:
        """Run until the next request or the end."""
        self._settle(self._task.switch(results) if self._task else self._task.switch())

    def fail(self, error: Exception) -> None:
        """Raise ``error`` where the lane waits, and run on from there."""
        self._settle(self._task.throw(error))

    def close(self) -> None:
        """Abandon the call where it is."""
        if self._task:
            self._task.throw()

    def _settle(self, got: "_Request | Ended[_Value]") -> None:
        waits = isinstance(got, _Request)
        self.request, self.ended = (got, None) if waits else (None, got)


class Lanes:
    """Runs calls of a model in step: each alone, but for the layers that an engine computes.

    Everything that a call does in floating point is done for this call only, in the shapes and the
    order that it has when nothing runs beside it. Only integers of several calls meet, in
    accumulators that do not depend on each other. So a call's value is the same, bit for bit,
    whichever calls run beside it.

    The calls take turns in one thread, each in a greenlet. A call goes on until it needs an
    engine; when all wait, the engine computes all that wait for the same layers in one pass, and
    they go on in the order in which they were given.
    """

    def __init__(self):
        self._hub: greenlet | None = None

    def compute(self, compute: _Compute, rows: _Rows) -> tuple[_Rows, ...]:
        """Return ``compute(rows)``, which calls in step share.

        Parameters
        ----------
        compute : callable
            Computes layers for tokens ``[M, K]``, each by itself: one array ``[M, N]`` a layer.
        rows : float32 array, shape ``[M, K]``
            The tokens of the call that is running.
        """
        if self._hub is None or getcurrent() is self._hub:
            return compute(rows)
        return self._hub.switch(_Request(compute, rows))

    def run(self, calls: Sequence[Callable[[], _Value]]) -> list[Ended[_Value]]:
        """Run ``calls`` in step; returns how each ended.

        A call may use what earlier ones have done up to the same layers. An exception of one call
        leaves the others alone. One of the engine ends all and is raised here, and so is what is
        no ``Exception``, such as an interrupt.

        Raises
        ------
        RuntimeError
            If called by one of the calls.
        """
        if self._hub is not None:
            raise RuntimeError("lanes that run already cannot run further calls")
        lanes = [_Lane(call) for call in calls]
        self._hub = getcurrent()
        try:
            for lane in lanes:
                lane.go_on()
            while waiting := [lane for lane in lanes if lane.request is not None]:
                answers = _answers([lane.request for lane in waiting if lane.request])
                for lane, answer in zip(waiting, answers, strict=True):
                    if isinstance(answer, Exception):
                        lane.fail(answer)
                    else:
                        lane.go_on(answer)
        finally:
            self._hub = None
            for lane in lanes:
                lane.close()
        return [lane.ended for lane in lanes if lane.ended is not None]


def _ended(call: Callable[[], _Value]) -> Ended[_Value]:
    try:
        return Ended(value=call())
    except Exception as e:
        return Ended(error=e)


def _answers(requests: Sequence[_Request]) -> list["tuple[_Rows, ...] | Exception"]:
    """Return the results of each request, or why its tokens cannot be computed."""
    answers: dict[int, tuple[_Rows, ...] | Exception] = {}
    by_layers: dict[_Compute, list[int]] = {}
    for i, request in enumerate(requests):
        by_layers.setdefault(request.compute, []).append(i)
    for compute, places in by_layers.items():
        rows = [requests[i].rows for i in places]
        answers.update(zip(places, _together(compute, rows), strict=True))
    return [answers[i] for i in range(len(requests))]


def _together(compute: _Compute, rows: Sequence[_Rows]) -> list["tuple[_Rows, ...] | Exception"]:
    """Compute layers once for the tokens of several requests; one by one if some are refused."""
    try:
        results = compute(np.concatenate(rows))
    except LayerError as e:  # of tokens that are no numbers
        return [e] if len(rows) == 1 else [_together(compute, [row])[0] for row in rows]
    ends = np.cumsum([len(row) for row in rows])[:-1]
    return list(zip(*(np.split(result, ends) for result in results), strict=True))
