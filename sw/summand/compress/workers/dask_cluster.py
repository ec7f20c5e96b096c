"""Jobs on a Dask cluster: given out as workers become free, and given up when none is left."""

import importlib
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from summand.compress.errors import CompressError

__all__ = ["DaskCluster"]

_In = TypeVar("_In")
_Out = TypeVar("_Out")

#: Seconds that a scheduler has to answer.
_ANSWER_S = 10

#: Seconds between looks at the workers that there are.
_LOOK_S = 2


class DaskCluster:
    """The cluster that ``DASK_SCHEDULER_ADDRESS`` names, or one started here without. A context.

    Parameters
    ----------
    patience_s : float
        Seconds that work waits without any worker, and that one started here has to come up.

    Raises
    ------
    CompressError
        On entry, if the scheduler does not answer, or no cluster comes up here.
    """

    def __init__(self, *, patience_s: float = 60):
        self._patience_s = patience_s
        self._progress = threading.Event()

    def __enter__(self) -> "DaskCluster":
        distributed: Any = importlib.import_module("distributed")
        dask: Any = importlib.import_module("dask")
        address = dask.config.get("scheduler-address", None)
        where: dict[str, Any] = {"address": address, "timeout": _ANSWER_S}
        if not address:
            # Any port for its pages: Dask's own may be another cluster's, which it would warn of.
            where = {"death_timeout": self._patience_s, "dashboard_address": ":0"}
        try:
            self._client = distributed.Client(set_as_default=False, **where)
        except (OSError, RuntimeError, ValueError) as e:
            if address:
                raise CompressError(
                    f"no Dask scheduler answers at {address}; start one (dask scheduler), correct "
                    f"DASK_SCHEDULER_ADDRESS, or leave it out for a cluster on this machine"
                ) from None
            raise CompressError(
                f"no Dask cluster comes up on this machine: {e}; use threads or loky"
            ) from None
        self._killed_worker = distributed.KilledWorker
        self._where = f"at {address}" if address else "on this machine"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def map(self, work: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
        """Yield ``work`` of every item in order; items are taken as workers become free.

        Raises
        ------
        CompressError
            If there is no worker for too long, workers die of the same item again and again, or
            the scheduler is lost.
        """
        rest, given = iter(items), deque[Any]()
        seen = time.monotonic()
        try:
            while True:
                if cores := self._cores():
                    seen = time.monotonic()
                elif time.monotonic() > seen + self._patience_s:
                    raise CompressError(
                        f"the Dask cluster {self._where} has had no worker for "
                        f"{self._patience_s:g} s; start some (dask worker) and run the same again"
                    )
                self._give(work, rest, given, max(1, cores))
                if not given:
                    return
                if given[0].done():
                    yield self._result(given.popleft())
                    seen = time.monotonic()
                else:
                    self._wait()
        finally:
            if given and self._client.status == "running":
                self._client.cancel(list(given))

    def _give(
        self, work: Callable[[_In], _Out], rest: Iterator[_In], given: deque[Any], cores: int
    ) -> None:
        """Give out items while there are cores free, a few ahead of the first that is not done."""
        while len(given) < 2 * cores and sum(not job.done() for job in given) < cores:
            for item in islice(rest, 1):
                with self._reached(), warnings.catch_warnings():
                    # A job takes its weights with it.
                    warnings.filterwarnings("ignore", message="Sending large graph")
                    job = self._client.submit(work, item, pure=False)
                job.add_done_callback(lambda _: self._progress.set())
                given.append(job)
                break
            else:
                return

    def _wait(self) -> None:
        """Wait until another job is done, or it is time to look at the workers."""
        self._progress.wait(_LOOK_S)
        self._progress.clear()

    def _result(self, job: Any) -> Any:
        try:
            return job.result()
        except self._killed_worker:
            raise CompressError(
                f"workers of the Dask cluster {self._where} died, most likely for lack of memory; "
                f"give them more"
            ) from None
        except CancelledError:
            raise self._lost() from None

    def _cores(self) -> int:
        with self._reached():
            return sum(self._client.ncores().values())

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Tell that the scheduler is lost where what runs inside finds out."""
        try:
            yield
        except (CancelledError, OSError):
            raise self._lost() from None

    def _lost(self) -> CompressError:
        return CompressError(
            f"the Dask cluster {self._where} does not answer any more; run the same again when it "
            f"is back"
        )
