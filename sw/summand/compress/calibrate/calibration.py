"""Collect statistics of each group's input in one pass over the text."""

from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.compress.network.survey import call

__all__ = ["InputStatistics", "check_finite", "check_tokens", "collect", "floored"]


@dataclass(frozen=True, eq=False)
class InputStatistics:
    """Statistics of one input on the calibration text.

    Parameters
    ----------
    tokens : int
        Seen.
    energy : float32 tensor, shape ``[K]``
        Mean square of each feature.
    moments : float32 tensor, shape ``[K, K]``, optional
        Mean of ``x^T x``.
    sample : float32 tensor, shape ``[S, K]``
        Some of the tokens, evenly spread.
    low, high : float32 tensors, shape ``[K]``, optional
        Least and largest value of each feature; not known behind a transform.
    """

    tokens: int
    energy: torch.Tensor
    moments: torch.Tensor | None
    sample: torch.Tensor
    low: torch.Tensor | None = None
    high: torch.Tensor | None = None


def check_tokens(name: str, tokens: int) -> None:
    """Refuse statistics of no token, naming the layer."""
    if not tokens:
        raise CompressError(f"layer {name!r} was fed no token; give more text")


def check_finite(name: str, squares: torch.Tensor) -> None:
    """Refuse squares, or sums of them, that are not finite, naming the layer."""
    if not torch.isfinite(squares.sum()):
        raise CompressError(
            f"layer {name!r} is fed with numbers that are not finite on the calibration text; the "
            f"model or the text is broken"
        )


def floored(energy: torch.Tensor) -> torch.Tensor:
    """Return mean squares ``[K]``, those near zero raised to a small floor.

    A feature that is zero on this text may not be on another, so it keeps a little weight.
    """
    return energy.clamp_min(float(energy.mean()) * 1e-4).clamp_min(1e-20)


class _Collector:
    """Adds up statistics of one layer's input."""

    def __init__(self, name: str, *, moments: bool, stride: int, batches: int):
        self._name = name
        self._wants_moments = moments
        self._stride = stride
        self._batches = batches
        self._tokens = 0
        self._total: torch.Tensor | None = None
        self._low = self._high = torch.empty(0)
        self._sample = torch.empty(0, 0)
        self._sampled = 0

    def add(self, x: torch.Tensor) -> None:
        """Take float32 ``[M, K]``."""
        if not len(x):
            return
        low, high = x.amin(dim=0), x.amax(dim=0)
        if self._total is None:
            k = x.shape[1]
            self._total = torch.zeros((k, k) if self._wants_moments else k)
            self._low, self._high = low, high
        if self._wants_moments:
            self._total.addmm_(x.T, x)
            squares = self._total.diagonal()
        else:
            squares = self._total.add_(x.square().sum(dim=0))
        check_finite(self._name, squares)
        self._low, self._high = torch.minimum(self._low, low), torch.maximum(self._high, high)
        self._keep(x[-self._tokens % self._stride :: self._stride])
        self._tokens += len(x)

    def _keep(self, rows: torch.Tensor) -> None:
        """Add to the sample; its memory for all batches is allocated at the first one.

        A small piece for each batch would keep the large ones between them from being used again.
        """
        end = self._sampled + len(rows)
        if end > len(self._sample):
            sample = torch.empty(max(end, len(rows) * self._batches), rows.shape[1])
            if self._sampled:
                sample[: self._sampled] = self._sample[: self._sampled]
            self._sample = sample
        self._sample[self._sampled : end] = rows
        self._sampled = end

    def result(self) -> InputStatistics:
        check_tokens(self._name, self._tokens)
        assert self._total is not None
        mean = self._total.div_(self._tokens)
        moments = mean if self._wants_moments else None
        energy = mean.diagonal() if self._wants_moments else mean
        return InputStatistics(
            self._tokens,
            floored(energy),
            moments,
            self._sample[: self._sampled],
            self._low,
            self._high,
        )


def collect(
    module: nn.Module,
    batches: Sequence[Any],
    groups: Sequence[Sequence[str]],
    *,
    moments: bool | Container[str],
    stride: int = 16,
    run: Callable[[nn.Module, Any], Any] = call,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, InputStatistics]:
    """Run ``batches`` through a module; returns statistics by the first name of each group.

    Memory is bounded by the statistics (``K * K`` floats for each group with ``moments``: all,
    none, or those of these first names) and by one batch's activations. ``stride`` is the distance
    of sampled tokens; ``run`` calls the module, or a part of it, with a batch; ``progress`` is
    called with the batches done and their number.
    """
    if isinstance(moments, bool):
        moments = [group[0] for group in groups] if moments else ()
    collectors = {
        group[0]: _Collector(
            group[0], moments=group[0] in moments, stride=stride, batches=len(batches)
        )
        for group in groups
    }
    with _Aside() as aside:

        def hook(collector: _Collector) -> Callable[[nn.Module, tuple[Any, ...]], None]:
            def note(_: nn.Module, args: tuple[Any, ...]) -> None:
                # Copied, because the model may change it before its turn comes.
                x = args[0].detach().reshape(-1, args[0].shape[-1])
                aside.do(collector.add, x.to("cpu", torch.float32, copy=True))

            return note

        handles = [
            module.get_submodule(name).register_forward_pre_hook(hook(collector))
            for name, collector in collectors.items()
        ]
        try:
            for i, batch in enumerate(batches):
                run(module, batch)
                aside.wait()
                if progress:
                    progress(i + 1, len(batches))
        finally:
            for handle in handles:
                handle.remove()
    return {name: collector.result() for name, collector in collectors.items()}


class _Aside:
    """Adds up statistics on one core while the model runs on the others.

    A single thread works in order of arrival, so sums are added in the same order every time.
    """

    def __enter__(self) -> "_Aside":
        self._threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,))
        self._waiting: list[Future[None]] = []
        self._pool.submit(int).result()  # its number of threads is set before ours
        torch.set_num_threads(max(1, self._threads - 1))
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads)

    def do(self, work: Callable[[torch.Tensor], None], x: torch.Tensor) -> None:
        """Put ``work(x)`` in the queue."""
        self._waiting.append(self._pool.submit(work, x))

    def wait(self) -> None:
        """Wait until the queue is empty; raises the error of a task that failed."""
        for job in self._waiting:
            job.result()
        self._waiting.clear()
