import os
import sys
import threading
import time
from typing import Any

import pytest
import torch

from summand.compress import CompressError
from summand.compress.workers.parallel import Workers, in_parallel


@pytest.fixture
def square():
    """A function that can be sent: other processes cannot import this module."""

    def square(i):
        return i * i, os.getpid(), torch.get_num_threads()

    return square


def test_work_keeps_its_order_and_its_errors():
    threads = torch.get_num_threads()
    assert list(in_parallel(lambda i: i * i, range(20))) == [i * i for i in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda i: 1 // (5 - i), range(20)))
    assert torch.get_num_threads() == threads


def test_processes_do_it_elsewhere_on_a_core_each(square):
    with Workers("loky", 2) as workers:
        done = [out for _ in range(2) for out in workers.map(square, range(4))]
    assert [out[0] for out in done] == [0, 1, 4, 9] * 2
    assert os.getpid() not in {out[1] for out in done}
    assert {out[2] for out in done} == {1}


def test_items_are_taken_as_workers_become_free():
    """So memory need hold only as many items as there are workers."""
    given, most = [], []
    lock = threading.Lock()

    def items():
        for i in range(20):
            with lock:
                given.append(i)
            yield i

    def work(i):
        time.sleep(0.002)
        with lock:
            most.append(len(given) - len(most))
        return i

    with Workers("threads", 3) as workers:
        assert list(workers.map(work, items())) == list(range(20))
    assert max(most) <= 6


def test_a_worker_that_dies_is_told():
    def die(_):
        os._exit(1)

    with Workers("loky", 2) as workers, pytest.raises(CompressError, match="lack of memory"):
        list(workers.map(die, range(2)))


@pytest.mark.parametrize(("executor", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_cluster_package_is_named(monkeypatch, executor, package):
    monkeypatch.setitem(sys.modules, package, None)
    said = rf"executor {executor} needs {package}; pip install .*\[{executor}\]', or"
    with pytest.raises(CompressError, match=said):
        Workers(executor)


def test_other_executors_are_refused():
    with pytest.raises(CompressError, match="one of threads, loky, dask, ray, not 'slurm'"):
        Workers("slurm")
    with pytest.raises(CompressError, match="workers must be at least 1, not 0"):
        Workers("threads", 0)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["dask", "ray"])
def test_a_cluster_does_the_same(executor, square, need):
    need(executor)
    with Workers(executor) as workers:
        assert [out[0] for out in workers.map(square, range(6))] == [0, 1, 4, 9, 16, 25]


def test_threads_have_ended_when_who_asked_stops_early():
    """Torch would abort a process that ends before them."""
    under_way = []

    def work(item: int) -> int:
        under_way.append(item)
        time.sleep(0.05 * item)
        under_way.remove(item)
        return item

    with Workers("threads", 2) as workers:
        results: Any = workers.map(work, range(1, 9))
        assert next(results) == 1
        results.close()
    assert under_way == []
