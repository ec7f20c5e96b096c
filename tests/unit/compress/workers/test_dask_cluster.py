"""Jobs on a Dask cluster: one that is made up, and real ones where distributed is installed."""

import importlib
import socket
import sys
import threading
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from summand.compress import CompressError
from summand.compress.workers.dask_cluster import DaskCluster


class KilledWorker(Exception):
    pass


class Client:
    """A stand-in for Dask's client: jobs run on threads, and failures are set beforehand."""

    status = "running"
    address: str | None = "tcp://there:8786"
    workers = 2
    refused: Exception | None = None
    lost = False

    def __init__(self, **options):
        self.options = options
        if self.refused:
            raise self.refused
        self.cancelled: list[Future] = []
        self.out = 0
        self._pool = ThreadPoolExecutor(2)

    def ncores(self) -> dict[str, int]:
        if self.lost:
            raise OSError("no route")
        return {f"worker {i}": 1 for i in range(self.workers)}

    def submit(self, work, item, *, pure) -> Future:
        assert not pure  # equal items are jobs of their own
        if not self.workers:
            return Future()
        self.out += 1
        return self._pool.submit(work, item)

    def cancel(self, jobs: list[Future]) -> None:
        self.cancelled += jobs

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[Client]:
    """The stand-in for Dask's client, which tests may change."""

    class Mine(Client):
        pass

    config = SimpleNamespace(get=lambda name, default: Mine.address)
    module = SimpleNamespace(Client=Mine, KilledWorker=KilledWorker)
    monkeypatch.setitem(sys.modules, "distributed", module)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "dask", SimpleNamespace(config=config))  # type: ignore[arg-type]
    return Mine


def test_results_come_in_order(client):
    def work(i):
        time.sleep(0.02 * (i % 3))
        return i * i

    with DaskCluster() as cluster:
        assert list(cluster.map(work, range(12))) == [i * i for i in range(12)]
        assert list(cluster.map(work, ())) == []


def test_items_are_taken_as_workers_become_free(client):
    taken, running = [], threading.Event()

    def items():
        for i in range(10):
            taken.append(i)
            yield i

    with DaskCluster() as cluster:
        results: Any = cluster.map(lambda i: running.wait(5), items())
        threading.Timer(0.1, lambda: (taken.append("later"), running.set())).start()
        assert next(results)
        assert taken[:3] == [0, 1, "later"]
        results.close()


def test_who_stops_early_calls_the_others_off(client):
    with DaskCluster() as cluster:
        results: Any = cluster.map(lambda i: i, range(10))
        assert next(results) == 0
        results.close()
        assert cluster._client.cancelled
        assert cluster._client.out < 10


def test_errors_of_the_work_are_its_own(client):
    def work(i):
        raise OSError(f"item {i}")

    with DaskCluster() as cluster, pytest.raises(OSError, match="item 0"):
        list(cluster.map(work, range(3)))


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        (
            "tcp://there:8786",
            OSError("Timed out"),
            r"no Dask scheduler answers at tcp://there:8786",
        ),
        ("tcp:/there", ValueError("no host"), r"correct DASK_SCHEDULER_ADDRESS"),
        (
            None,
            RuntimeError("Nanny failed"),
            r"comes up on this machine: Nanny failed; use threads",
        ),
    ],
)
def test_a_cluster_that_does_not_come_up_is_told(client, address, error, said):
    client.address, client.refused = address, error
    with pytest.raises(CompressError, match=said):
        DaskCluster().__enter__()


def test_waiting_for_workers_ends(client):
    client.workers = 0
    start = time.monotonic()
    with DaskCluster(patience_s=0.2) as cluster:
        with pytest.raises(
            CompressError, match=r"at tcp://there:8786 has had no worker for 0\.2 s"
        ):
            list(cluster.map(lambda i: i, range(3)))
        assert len(cluster._client.cancelled) == 1
    assert time.monotonic() - start < 10


def test_a_scheduler_that_is_lost_is_told(client):
    def work(i):
        client.lost = True
        return i

    with DaskCluster() as cluster, pytest.raises(CompressError, match="does not answer any more"):
        list(cluster.map(work, range(9)))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KilledWorker(), "died, most likely for lack of memory"),
        (CancelledError(), "does not answer any more"),
    ],
)
def test_jobs_that_do_not_come_back_are_told(client, error, said):
    def work(_):
        raise error

    with DaskCluster() as cluster, pytest.raises(CompressError, match=said):
        list(cluster.map(work, range(3)))


@pytest.fixture
def scheduler(need):
    """The address of a real scheduler without workers, in the configuration."""
    need("dask")
    dask: Any = importlib.import_module("dask")
    distributed: Any = importlib.import_module("distributed")
    options = {"n_workers": 0, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster:
        with dask.config.set({"scheduler-address": cluster.scheduler_address}):
            yield cluster


def test_a_scheduler_without_workers_is_given_up(scheduler):
    with DaskCluster(patience_s=1) as cluster:
        with pytest.raises(CompressError, match="has had no worker for 1 s"):
            list(cluster.map(lambda i: i, range(3)))


def test_workers_may_come_later(scheduler):
    with DaskCluster() as cluster:
        threading.Timer(0.5, lambda: scheduler.scale(1)).start()
        assert list(cluster.map(lambda i: i + 1, range(5))) == [1, 2, 3, 4, 5]


def test_a_cluster_beside_another_is_started_without_a_word(need):
    need("dask")
    with socket.socket() as other:
        with suppress(OSError):  # a real one has Dask's port
            other.bind(("", 8787))
            other.listen()
        with DaskCluster() as cluster:
            assert list(cluster.map(lambda i: i + 1, range(3))) == [1, 2, 3]
