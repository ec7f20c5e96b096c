"""Fit layers in order, each on the inputs that the compressed layers before it produce."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from summand.compress.calibrate.calibration import (
    InputStatistics,
    check_finite,
    check_tokens,
    floored,
)
from summand.compress.network.blocks import Blocks
from summand.compress.network.survey import Batch, call, linear_of, replaced
from summand.compress.solve.balance import transformed_weight
from summand.compress.twin.integer import IntegerLinear, quantise_tokens
from summand.compress.workers.parallel import in_parallel
from summand.model import Layer, Transform

__all__ = ["Fitting", "compress_in_order", "pull"]

#: Distance of the tokens that are kept as a sample.
_STRIDE = 16


@dataclass(frozen=True, eq=False)
class Fitting:
    """The target of a layer, after its input's transform.

    Parameters
    ----------
    weight : float32 tensor, shape ``[N, K]``
        What the layer's integers are to stand for.
    statistics : InputStatistics
        Of its quantised input; around the mean with bias correction.
    transform : Transform, optional
        Of its input.
    """

    weight: torch.Tensor
    statistics: InputStatistics
    transform: Transform | None


class _Stop(Exception):
    """Ends a call of the model once the wanted input has been recorded."""


def pull(moments: torch.Tensor, cross: torch.Tensor, *, damping: float) -> torch.Tensor:
    """Return what a weight's change is that makes up for changed inputs, as a factor ``[K, K]``.

    Least squares: with inputs ``x`` of the uncompressed model and ``y`` of the compressed one, the
    error ``W x - D y`` is least for ``D = W E[x y^T] E[y y^T]^-1``, as in GPTAQ (arXiv
    2504.02692); damped, so that ``D`` stays near ``W`` where calibration says little. The factor
    is ``P`` in ``D = W + W P``.

    Parameters
    ----------
    moments, cross : float32 tensors, shape ``[K, K]``
        ``E[y y^T]`` and ``E[x y^T]``.
    damping : float
        Added to the diagonal, as a share of its mean.
    """
    h = moments.double()
    h = (h + h.T) / 2
    change = cross.double() - h
    h.diagonal().add_(damping * h.diagonal().mean().clamp_min(1e-30))
    # Symmetric, so that solving from the left and turning round is solving from the right.
    return torch.linalg.solve(h, change.T).T.float()


@dataclass(frozen=True, eq=False)
class _Fitted:
    """The data that the layers of a group share.

    ``pull`` is what a weight is multiplied by to get its change; ``means`` are those of the
    uncompressed and of the compressed model's input, with bias correction.
    """

    transform: Transform | None
    statistics: InputStatistics
    pull: torch.Tensor
    means: tuple[torch.Tensor, torch.Tensor] | None


class _Place:
    """Adds up moments of a group's inputs in the uncompressed and in the compressed model."""

    def __init__(self, transform: Transform | None, k: int, act_bits: int):
        self._transform = transform
        self._groups = None if transform is None else transform.groups
        self._act_bits = act_bits
        self._tokens = 0
        self._moments, self._cross = torch.zeros(k, k), torch.zeros(k, k)
        self._mean, self._mean_hat = torch.zeros(k), torch.zeros(k)
        self._sample: list[torch.Tensor] = []

    def _behind(self, x: torch.Tensor) -> torch.Tensor:
        if self._transform is None:
            return x
        return torch.from_numpy(self._transform.apply(x.numpy()))

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Take the same tokens ``[M, K]`` of both, not transformed."""
        x = self._behind(x)
        q, s = quantise_tokens(self._behind(y), self._act_bits, self._groups)
        y = q * s
        self._moments.addmm_(y.T, y)
        self._cross.addmm_(x.T, y)
        self._mean += x.sum(dim=0)
        self._mean_hat += y.sum(dim=0)
        self._sample.append(y[-self._tokens % _STRIDE :: _STRIDE])
        self._tokens += len(x)

    def fitted(self, name: str, *, centred: bool, damping: float) -> _Fitted:
        """Return the result; moments are around the means if ``centred``."""
        check_tokens(name, self._tokens)
        n = self._tokens
        moments, cross = self._moments / n, self._cross / n
        mean, mean_hat = self._mean / n, self._mean_hat / n
        check_finite(name, moments.diagonal() + cross.diagonal())
        if centred:
            moments -= torch.outer(mean_hat, mean_hat)
            cross -= torch.outer(mean, mean_hat)
        energy = floored(moments.diagonal().clone())
        return _Fitted(
            self._transform,
            InputStatistics(n, energy, moments, torch.cat(self._sample)),
            pull(moments, cross, damping=damping),
            (mean, mean_hat) if centred else None,
        )


def compress_in_order(
    module: nn.Module,
    batches: Sequence[Batch],
    groups: Sequence[Sequence[str]],
    *,
    blocks: Blocks | None,
    act_bits: int,
    transform: Callable[[Sequence[str], InputStatistics], Transform | None],
    fit: Callable[[str, Fitting], Layer],
    loaded: Callable[[int], contextlib.AbstractContextManager[None]],
    finished: Callable[[str], Layer | None] = lambda _: None,
    correct_bias: bool = True,
    damping: float = 0.1,
) -> Iterator[tuple[Layer, torch.Tensor]]:
    """Yield every layer but those that are finished, and a sample of its uncompressed input.

    Of the model only one stage is worked on at a time: its groups' uncompressed inputs are kept
    while it is, and the hidden states before it, of the uncompressed model and of the compressed
    one.

    Parameters
    ----------
    module : nn.Module
        Left as it is.
    batches : sequence of batches
        What it is called with.
    groups : sequence of sequences of str
        Layers that share an input, in the order in which they are called.
    blocks : Blocks, optional
        The module's stages; without, it is run as a whole, once and more for every group.
    act_bits : int
        Of activations.
    transform : callable
        Returns a group's transform, given its names and its input's statistics.
    fit : callable
        Compresses one layer; called on several threads.
    loaded : callable
        Keeps a stage's weights in memory while its context is open.
    finished : callable, optional
        Returns a layer that there is already, by its name.
    correct_bias : bool
        Whether the mean error of every output is taken away by a bias on the host.
    damping : float
        See :func:`pull`.
    """
    stages = [0 if blocks is None else blocks.stage(group[0]) for group in groups]
    last = max(stages)
    plain = _States(module, batches, blocks, last)
    ours = _States(module, batches, blocks, last)
    for stage in range(last + 1):
        mine = [group for group, at in zip(groups, stages, strict=True) if at == stage]
        with loaded(stage):
            inputs = plain.inputs(stage, [g[0] for g in mine])
            compressed: dict[str, nn.Module] = {}
            for group in mine:
                first = group[0]
                before = torch.cat([x for xs in inputs[first] for x in xs])
                seen = _seen(first, before)
                place = _Place(transform(group, seen), before.shape[1], act_bits)
                with replaced(module, compressed):
                    for xs, ys in ours.pairs(stage, first, inputs[first]):
                        place.add(xs, ys)
                inputs[first] = []
                del before
                fitted = place.fitted(first, centred=correct_bias, damping=damping)
                linears = {name: linear_of(module, name) for name in group}
                known = {name: layer for name in group if (layer := finished(name))}
                todo = [(name, linears[name], fitted, fit) for name in group if name not in known]
                for layer in in_parallel(_work, todo):
                    known[layer.name] = layer
                    yield layer, seen.sample
                compressed |= {name: IntegerLinear(layer) for name, layer in known.items()}
            with replaced(module, compressed):
                ours.advance(stage)


def _seen(name: str, x: torch.Tensor) -> InputStatistics:
    """Return what a transform is chosen by, of tokens ``[M, K]``."""
    energy = x.square().mean(dim=0).clamp_min_(1e-20)
    check_finite(name, energy)
    sample = x[::_STRIDE].clone()
    return InputStatistics(len(x), energy, None, sample, x.amin(dim=0), x.amax(dim=0))


def _work(job: tuple[str, nn.Linear, "_Fitted", Callable[[str, Fitting], Layer]]) -> Layer:
    """Fit one layer."""
    name, linear, fitted, fit = job
    weight = transformed_weight(linear.weight.detach().to("cpu", torch.float32), fitted.transform)
    target = weight + weight @ fitted.pull
    layer = fit(name, Fitting(target, fitted.statistics, fitted.transform))
    if fitted.means is None:
        return layer
    centre = None if fitted.transform is None else fitted.transform.centre
    mean, mean_hat = (
        x.numpy().astype(np.float64) + (0.0 if centre is None else centre) for x in fitted.means
    )
    bias = weight.numpy().astype(np.float64) @ mean - mean_hat @ layer.matrix()
    if layer.bias is not None:
        bias = bias + layer.bias
    return dataclasses.replace(layer, bias=bias.astype(np.float32))


class _States:
    """The hidden states between a module's stages, on every batch."""

    def __init__(
        self, module: nn.Module, batches: Sequence[Batch], blocks: Blocks | None, last: int
    ):
        self._module, self._batches, self._blocks = module, batches, blocks
        self._last = last
        self._hidden: list[torch.Tensor | None] = [None] * len(batches)

    def _run(self, stage: int, number: int) -> torch.Tensor | None:
        if self._blocks is None:
            call(self._module, self._batches[number])
            return None
        return self._blocks.run(self._module, stage, self._batches[number], self._hidden[number])

    def inputs(self, stage: int, names: Sequence[str]) -> dict[str, list[list[torch.Tensor]]]:
        """Run a stage; returns what these layers are called with, batch by batch."""
        found: dict[str, list[list[torch.Tensor]]] = {name: [] for name in names}
        # Nothing is wanted behind the last input of all, not even what a head makes of it.
        end = self._blocks is not None and stage == self._last
        until = {names[-1]: 1} if end else {}
        for number in range(len(self._batches)):
            with _noting(self._module, names, until) as seen:
                self._hidden[number] = self._run(stage, number)
            for name, xs in seen.items():
                found[name].append(xs)
        return found

    def pairs(
        self, stage: int, name: str, others: Sequence[Sequence[torch.Tensor]]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Run a stage as far as one layer; yields its inputs beside those of another run."""
        for number, xs in enumerate(others):
            with _noting(self._module, [name], {name: len(xs)}) as seen:
                self._run(stage, number)
            yield from zip(xs, seen[name], strict=True)

    def advance(self, stage: int) -> None:
        """Run a stage to its end, if there is one to come."""
        if stage < self._last:
            self._hidden = [self._run(stage, i) for i in range(len(self._batches))]


@contextlib.contextmanager
def _noting(
    module: nn.Module, names: Sequence[str], until: Mapping[str, int]
) -> Iterator[dict[str, list[torch.Tensor]]]:
    """Note the inputs of layers; what runs inside ends after as many of one as in ``until``."""
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in names}

    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def note(_: nn.Module, args: tuple[Any, ...]) -> None:
            x = args[0].detach().reshape(-1, args[0].shape[-1])
            seen[name].append(x.to("cpu", torch.float32, copy=True))
            if len(seen[name]) == until.get(name):
                raise _Stop

        return note

    handles = [module.get_submodule(name).register_forward_pre_hook(hook(name)) for name in names]
    try:
        yield seen
    except _Stop:
        pass
    finally:
        for handle in handles:
            handle.remove()
