"""Looks at prompts: directions of their tokens, what ranks lose, units of products."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from summand.compress.decompose.choose import Candidate
from summand.compress.decompose.directions import (
    Directions,
    loud_channels,
    normal_step,
    sketch_directions,
)
from summand.compress.decompose.sizes import (
    PRODUCT_BITS,
    SKETCH_BITS,
    TOKEN_BITS,
    is_hosted,
    sketches,
)
from summand.compress.network.survey import call, linear_of
from summand.isa.rounding import ceil_div
from summand.model import Layer
from summand.model.basis import basis_of
from summand.model.decomposed import exact, pseudo_tokens
from summand.model.decomposition import EXACT, Decomposition, Requantisation
from summand.model.loud import parted

__all__ = ["Search"]

_Floats = npt.NDArray[np.float32]

_Row = TypeVar("_Row")
_Read = TypeVar("_Read")


class Search:
    """Passes of prompts through the uncompressed model.

    Parameters
    ----------
    module : nn.Module
        The model.
    text : sequence of int64 tensors, shape ``[1, tokens]``
        What directions are of.
    prompts : sequence of int64 tensors, shape ``[1, tokens]``
        What all else is found and measured on.
    layer_of : callable
        Returns a compressed layer.
    sensitivity : mapping
        For each layer's outputs, twice the loss a token of each unit of mean square error.
    steps : int
        Of a decomposition.
    passes : int
        Passes that there will be at most, that over the text included.
    progress : callable, optional
        Called with how many prompts were read, and how many there will be.
    """

    def __init__(
        self,
        module: nn.Module,
        text: Sequence[torch.Tensor],
        prompts: Sequence[torch.Tensor],
        layer_of: Callable[[str], Layer],
        sensitivity: Mapping[str, torch.Tensor],
        steps: int,
        passes: int,
        progress: Callable[[int, int], None] | None,
    ):
        self._module = module
        self._text = text
        self._prompts = prompts
        self._layer_of = layer_of
        self._sensitivity = sensitivity
        self._steps = steps
        self._passes = passes
        self._progress = progress
        self._done = 0

    def _pass(
        self,
        rows: Sequence[torch.Tensor],
        groups: Mapping[str, tuple[str, ...]],
        see: Callable[[str, _Floats], None],
    ) -> None:
        """Call ``see`` with each row's input ``[M, K]`` of each group, less the exact tokens."""

        def hook(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
            def note(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
                see(name, args[0].detach()[0, EXACT:].float().numpy())

            return note

        linears = {name: linear_of(self._module, name) for name in groups}
        handles = [each.register_forward_pre_hook(hook(name)) for name, each in linears.items()]
        try:
            self._counted(rows, lambda ids: call(self._module, {"input_ids": ids}))
        finally:
            for handle in handles:
                handle.remove()

    def measured(self, rows: Sequence[_Row], measure: Callable[[_Row], float]) -> float:
        """Return the mean of what is measured on each row."""
        found = self._counted(rows, measure)
        return sum(found) / len(found)

    def _counted(self, rows: Sequence[_Row], read: Callable[[_Row], _Read]) -> list[_Read]:
        """Return what is read of each row, and report how many have been read."""
        found = []
        for ids in rows:
            found.append(read(ids))
            self._done += 1
            if self._progress:
                total = len(self._text) + (self._passes - 1) * len(self._prompts)
                self._progress(self._done, total)
        return found

    def _matrix(self, layers: Sequence[Layer]) -> npt.NDArray[np.float64]:
        return np.concatenate([layer.matrix() for layer in layers], axis=1)

    def _sensitivities(self, group: Sequence[str]) -> npt.NDArray[np.float64]:
        return np.concatenate([self._sensitivity[name].double().numpy() for name in group])

    def directions(
        self, groups: Mapping[str, tuple[str, ...]], ranks: Mapping[str, Sequence[int]]
    ) -> dict[str, Directions]:
        """Return the directions of each group, as many as its highest rank takes."""
        moments: dict[str, npt.NDArray[np.float32]] = {}
        first = {name: self._layer_of(name) for name in groups}

        def see(name: str, x: _Floats) -> None:
            transform = first[name].transform
            x = x if transform is None else transform.apply(x)
            moments[name] = moments.get(name, np.float32(0)) + x.T @ x

        self._pass(self._text, groups, see)
        found = {}
        for name, group in groups.items():
            matrix = self._matrix([self._layer_of(each) for each in group])
            count = sketches(ranks[name][-1], len(matrix))
            seen = moments.pop(name).astype(np.float64)
            weights = self._sensitivities(group)
            transform = first[name].transform
            rotated = transform is not None and transform.rotation is not None
            loud = () if rotated else loud_channels(np.diag(seen))
            matrix[list(loud)] = seen[list(loud)] = seen[:, list(loud)] = 0
            sketch = sketch_directions(matrix, seen, weights, count, SKETCH_BITS)
            found[name] = Directions(*sketch, loud)
        return found

    def losses(
        self,
        groups: Mapping[str, tuple[str, ...]],
        ranks: Mapping[str, Sequence[int]],
        directions: Mapping[str, Directions],
    ) -> dict[str, dict[int, float]]:
        """Return what each rank of a group loses, found in one step, but for rounding."""
        sums = {name: dict.fromkeys(ranks[name], 0.0) for name in groups}
        count = len(self._prompts)

        def see(name: str, x: _Floats) -> None:
            layers = [self._layer_of(each) for each in groups[name]]
            weights = np.sqrt(self._sensitivities(groups[name]))
            vectors, scale, loud = directions[name]
            xq, s_x = layers[0].quantise(parted(x, loud)[0])
            outputs = (xq * s_x) @ (self._matrix(layers) * weights).astype(np.float32)
            every = exact("sketch", xq, vectors, SKETCH_BITS) * s_x.astype(np.float64) * scale
            for rank in ranks[name]:
                basis = basis_of(every[:, : sketches(rank, len(vectors))], rank)
                mine = basis.astype(np.float32)
                rest = outputs - mine @ (mine.T @ outputs)
                sums[name][rank] += float(np.square(rest).sum()) / len(x) / 2 / count

        self._pass(self._prompts, groups, see)
        return sums

    def decompositions(
        self,
        groups: Mapping[str, tuple[str, ...]],
        chosen: Mapping[str, Candidate],
        directions: Mapping[str, Directions],
    ) -> tuple[Decomposition, ...]:
        """Return the chosen ones, with units for what pseudo-tokens make of the layers."""
        squares: dict[str, list[npt.NDArray[np.float64]]] = {}
        plain = {
            name: self._decomposition(groups[name], chosen[name].rank, directions[name])
            for name in groups
        }

        def see(name: str, x: _Floats) -> None:
            layers = [self._layer_of(each) for each in groups[name]]
            xq, s_x = layers[0].quantise(parted(x, plain[name].loud)[0])
            rows = pseudo_tokens(xq, s_x, plain[name], layers[0].act_bits, exact).rows
            found = [
                np.square(rows @ (layer.matrix() / layer.scale)).mean(axis=0) for layer in layers
            ]
            before = squares.get(name, [np.zeros(len(each)) for each in found])
            squares[name] = [a + b for a, b in zip(before, found, strict=True)]

        self._pass(self._prompts, groups, see)

        def requantisation(layer: str, square: npt.NDArray[np.float64]) -> Requantisation | None:
            if is_hosted(layer):
                return None
            spread = np.sqrt(np.maximum(square / len(self._prompts), 1))
            return Requantisation.of(spread * normal_step(PRODUCT_BITS))

        return tuple(
            replace(
                plain[name],
                requantisations=tuple(map(requantisation, group, squares[name])),
            )
            for name, group in groups.items()
        )

    def _decomposition(
        self, group: tuple[str, ...], rank: int, directions: Directions
    ) -> Decomposition:
        vectors, scale, loud = directions
        count = sketches(ceil_div(rank, self._steps), len(vectors))
        entries = [self._layer_of(name).out_features for name in group]
        return Decomposition(
            layers=group,
            rank=rank,
            span=max(ids.shape[1] for ids in self._prompts),
            steps=self._steps,
            directions=np.ascontiguousarray(vectors[:, :count]),
            scale=scale[:count].copy(),
            sketch_bits=SKETCH_BITS,
            token_bits=TOKEN_BITS,
            bits=PRODUCT_BITS,
            requantisations=tuple(Requantisation.of(np.ones(n)) for n in entries),
            loud=loud,
        )
