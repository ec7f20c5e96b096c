"""One pass over text that notes what each group of layers is fed with."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from summand.compress.errors import CompressError
from summand.compress.survey import Batch, call

__all__ = ["InputStatistics", "collect"]


@dataclass(frozen=True, eq=False)
class InputStatistics:
    """What one input looks like on the calibration text.

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
    """

    tokens: int
    energy: torch.Tensor
    moments: torch.Tensor | None
    sample: torch.Tensor


class _Collector:
    """Adds up statistics of one layer's input."""

    def __init__(self, name: str, *, moments: bool, stride: int, batches: int):
        self._name = name
        self._wants_moments = moments
        self._stride = stride
        self._batches = batches
        self._tokens = 0
        self._total: torch.Tensor | None = None
        self._sample = torch.empty(0, 0)
        self._sampled = 0

    def add(self, x: torch.Tensor) -> None:
        """Take float32 ``[M, K]``."""
        total = x.T @ x if self._wants_moments else x.square().sum(dim=0)
        if not torch.isfinite(total.sum()):
            raise CompressError(
                f"layer {self._name!r} is fed with numbers that are not finite on the calibration "
                f"text; the model or the text is broken"
            )
        self._total = total if self._total is None else self._total.add_(total)
        self._keep(x[-self._tokens % self._stride :: self._stride])
        self._tokens += len(x)

    def _keep(self, rows: torch.Tensor) -> None:
        """Add to the sample, whose memory is asked for at the first batch, for all of them.

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
        if self._total is None or not self._tokens:
            raise CompressError(f"layer {self._name!r} was fed no token; give more text")
        mean = self._total / self._tokens
        moments = mean if self._wants_moments else None
        energy = mean.diagonal() if self._wants_moments else mean
        # A feature that never fires on this text may on another: it counts a little.
        energy = energy.clamp_min(float(energy.mean()) * 1e-4).clamp_min(1e-20)
        return InputStatistics(self._tokens, energy, moments, self._sample[: self._sampled])


def collect(
    module: nn.Module,
    batches: Sequence[Batch],
    groups: Sequence[Sequence[str]],
    *,
    moments: bool,
    stride: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, InputStatistics]:
    """Run ``batches`` through a module; returns statistics by the first name of each group.

    Memory is bounded by the statistics (``K * K`` floats a group with ``moments``) and by one
    batch's activations. ``stride`` is the distance of sampled tokens; ``progress`` is called with
    the batches done and their number.
    """
    collectors = {
        group[0]: _Collector(group[0], moments=moments, stride=stride, batches=len(batches))
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
                call(module, batch)
                aside.wait()
                if progress:
                    progress(i + 1, len(batches))
        finally:
            for handle in handles:
                handle.remove()
    return {name: collector.result() for name, collector in collectors.items()}


class _Aside:
    """Does sums on a core of their own while the model runs on the others.

    One thread, first come first served: sums are added in the same order every time.
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
        """Wait for everything in the queue; raises what it raised."""
        for job in self._waiting:
            job.result()
        self._waiting.clear()
