"""Independent jobs, one core each: on threads, on processes, or on a cluster."""

import importlib
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import torch

from summand.compress.errors import CompressError
from summand.compress.workers.dask_cluster import DaskCluster
from summand.isa.distribution import install_command

__all__ = ["EXECUTORS", "Workers", "in_parallel"]

_In = TypeVar("_In")
_Out = TypeVar("_Out")

#: Where jobs can run, each with the module that it needs.
EXECUTORS = {"threads": "joblib", "loky": "joblib", "dask": "distributed", "ray": "ray"}


class Workers:
    """Who does the work: threads, processes, or a cluster. Use as a context.

    Each worker keeps its own torch operations to itself: cutting every operation up among all
    cores costs more in waiting for each other, many times more when other programs use them too.
    Results do not depend on the number of workers, nor on where they are.

    Parameters
    ----------
    executor : str
        ``threads``; ``loky``, for processes; ``dask`` and ``ray``, for the cluster that
        ``DASK_SCHEDULER_ADDRESS`` or ``RAY_ADDRESS`` names, or for one started here without.
    count : int, optional
        Threads or processes at work at a time: as many as torch has threads. A cluster has its
        own.

    Raises
    ------
    CompressError
        If there is no such executor, or its package is missing; on entry, if a Dask scheduler does
        not answer.
    """

    def __init__(self, executor: str = "threads", count: int | None = None):
        if executor not in EXECUTORS:
            known = ", ".join(EXECUTORS)
            raise CompressError(f"executor must be one of {known}, not {executor!r}")
        if count is not None and count < 1:
            raise CompressError(f"workers must be at least 1, not {count}")
        package = EXECUTORS[executor]
        try:
            self._package = importlib.import_module(package)
        except ImportError:
            if package == "joblib":
                raise
            raise CompressError(
                f"executor {executor} needs {package}; {install_command(executor)}, or use threads "
                f"or loky"
            ) from None
        self._executor = executor
        self._threads = torch.get_num_threads()
        self._count = count or self._threads

    def __enter__(self) -> "Workers":
        import joblib

        self._stack = ExitStack()
        if self._executor == "dask":
            self._cluster = self._stack.enter_context(DaskCluster())
        elif self._executor == "ray":
            if not self._package.is_initialized():
                self._package.init(logging_level="error", log_to_driver=False)
                self._stack.callback(self._package.shutdown)
            importlib.import_module("ray.util.joblib").register_ray()
            self._stack.enter_context(joblib.parallel_config("ray", n_jobs=-1))
        else:
            kind = "threading" if self._executor == "threads" else "loky"
            self._stack.enter_context(joblib.parallel_config(kind, n_jobs=self._count))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def map(self, work: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
        """Yield ``work`` of every item in order; items are taken as workers become free.

        Other executors than threads send both by pickling.

        Raises
        ------
        CompressError
            If a worker died, or a Dask cluster has none or is lost.
        """
        import joblib
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        rest = (joblib.delayed(_alone)(work, item) for item in items)
        torch.set_num_threads(1)
        try:
            if self._executor == "dask":
                yield from self._cluster.map(partial(_alone, work), items)
            elif self._executor == "ray":
                # Ray's backend gives no result before all are there: piece by piece, then.
                pool: Any
                with joblib.Parallel() as pool:
                    count = joblib.effective_n_jobs()
                    while piece := list(islice(rest, count)):
                        yield from pool(piece)
            else:
                begun = _Begun()
                if self._executor == "threads":
                    rest = (joblib.delayed(begun.alone)(work, item) for item in items)
                results: Any = joblib.Parallel(return_as="generator", pre_dispatch="n_jobs")(rest)
                try:
                    for result in results:  # noqa: UP028 (that would close it before `finally`)
                        yield result
                finally:
                    # Who stops early has a reason, which is told; that work was wasted is no news.
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        results.close()
                    begun.wait()
        except TerminatedWorkerError:
            raise CompressError(
                "a worker process died, most likely for lack of memory; use fewer workers"
            ) from None
        finally:
            torch.set_num_threads(self._threads)


def in_parallel(work: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """Yield ``work`` of every item in order, worked out by as many threads as torch has."""
    with Workers() as workers:
        yield from workers.map(work, items)


class _Begun:
    """Counts running items, because torch aborts a process that exits before its threads end."""

    def __init__(self):
        self._count = 0
        self._changed = threading.Condition()

    def alone(self, work: Callable[[Any], Any], item: Any) -> Any:
        """Do one item of work on one core."""
        with self._changed:
            self._count += 1
        try:
            return _alone(work, item)
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Wait until no item is running."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count)


def _alone(work: Callable[[Any], Any], item: Any) -> Any:
    """Do one item of work on one core."""
    torch.set_num_threads(1)
    return work(item)
