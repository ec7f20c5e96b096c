"""Finds decompositions: directions and ranks, by what a calibration text has shown."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from summand.compress.allocate.sensitivity import fisher
from summand.compress.decompose.choose import Candidate, choose
from summand.compress.decompose.directions import normal_step, sketch_directions
from summand.compress.errors import CompressError
from summand.compress.network.survey import Survey, call, linear_of
from summand.model import Layer
from summand.model.basis import basis_of
from summand.model.causal import why_not_causal
from summand.model.decomposed import exact, pseudo_tokens
from summand.model.decomposition import EXACT, Decomposition, Requantisation, saved_bits

__all__ = ["Found", "check_decomposable", "find_decompositions"]

#: Prompts that are looked at.
_PROMPTS = 4

#: Bit-planes of directions, of tokens as weights, and of the pseudo-tokens' products.
_SKETCH_BITS, _TOKEN_BITS, _BITS = 2, 4, 5

#: Sketches for each pseudo-token.
_SKETCHES = 1.25

#: Ranks that are tried, as shares of the input features.
_SHARES = (1 / 24, 1 / 12, 1 / 9, 1 / 6, 2 / 9, 1 / 3, 4 / 9)

#: Ranks are multiples of it: a slice's features should not be left empty.
_GRAIN = 16

_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Found:
    """Decompositions, and what they come to.

    Parameters
    ----------
    decompositions : tuple of Decomposition
        In the order of the groups; groups that are not in them are computed as ever.
    saved : float
        Share of the stream bits of all groups that they save in a prompt of as many tokens as one
        of the text's.
    loss : float
        Estimated, in nats a token.
    bound : float
        The most that it was to be.
    """

    decompositions: tuple[Decomposition, ...]
    saved: float
    loss: float
    bound: float


def check_decomposable(module: nn.Module, rows: Sequence[torch.Tensor], loss: float) -> None:
    """Refuse a loss that is none, a model that writes no text, and a text that is too short.

    Raises
    ------
    CompressError
        Naming what is wrong.
    """
    if not 0 < loss < float("inf"):
        raise CompressError(f"decompose_loss must be above 0 and finite, in nats, not {loss:g}")
    if (why := why_not_causal(module)) is not None:
        raise CompressError(f"{why}; only prompts of models that write text are decomposed")
    if not any(len(ids[0]) > 2 * EXACT for ids in rows):
        raise CompressError(
            f"decomposition takes a row of more than {2 * EXACT} tokens of calibration text; give "
            f"more text, or leave out decompose_loss"
        )


def find_decompositions(
    module: nn.Module,
    rows: Sequence[torch.Tensor],
    survey: Survey,
    layer_of: Callable[[str], Layer],
    loss: float,
    *,
    heads: Collection[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Find the inputs that are worth a decomposition.

    Parameters
    ----------
    module : nn.Module
        The uncompressed model.
    rows : sequence of int64 tensors, shape ``[1, tokens]``
        Text; some of the longest rows are taken as prompts.
    survey : Survey
        Which layers share an input.
    layer_of : callable
        Returns a compressed layer.
    loss : float
        The most that may be lost, in nats a token.
    heads : collection of str
        Layers that are computed for a prompt's last token only.
    progress : callable, optional
        Called with how many passes over prompts are done, and how many there are.
    """
    longest = max(ids.shape[1] for ids in rows)
    whole = [ids for ids in rows if ids.shape[1] == longest]
    prompts = [whole[i * len(whole) // _PROMPTS] for i in range(min(_PROMPTS, len(whole)))]
    tokens = longest - EXACT
    wanted = {group[0]: group for group in survey.groups if not set(heads) & set(group)}
    sizes = {name: _Sizes.of(list(map(layer_of, group))) for name, group in wanted.items()}
    ranks = {name: tuple(size.ranks(tokens)) for name, size in sizes.items()}
    wanted = {name: group for name, group in wanted.items() if ranks[name]}
    sensitivity = fisher(module, [{"input_ids": ids} for ids in prompts], survey)
    search = _Search(module, prompts, layer_of, sensitivity, progress)
    directions = search.directions(wanted, ranks)
    losses = search.losses(wanted, ranks, directions)
    chosen = choose(
        {
            name: [
                Candidate(rank, sizes[name].saved(rank, tokens), losses[name][rank])
                for rank in ranks[name]
            ]
            for name in wanted
        },
        loss,
    )
    made = search.decompositions({name: wanted[name] for name in chosen}, chosen, directions)
    return Found(
        made,
        sum(c.saved for c in chosen.values()) / sum(size.bits for size in sizes.values()),
        sum(c.loss for c in chosen.values()),
        loss,
    )


@dataclass(frozen=True)
class _Sizes:
    """Of a group: input and output features, stream bits, whether its channels are in groups."""

    inputs: int
    outputs: int
    bits: int
    grouped: bool

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> "_Sizes":
        return cls(
            layers[0].in_features,
            sum(layer.out_features for layer in layers),
            sum(layer.bits for layer in layers),
            layers[0].groups is not None,
        )

    def ranks(self, tokens: int) -> Iterator[int]:
        """Yield the ranks that stream less than all ``tokens`` would."""
        if self.grouped:
            return
        tried = {round(share * self.inputs / _GRAIN) * _GRAIN for share in _SHARES}
        for rank in sorted(tried - {0}):
            if _sketches(rank, self.inputs) < tokens and self.saved(rank, tokens) > 0:
                yield rank

    def saved(self, rank: int, tokens: int) -> float:
        """Return the stream bits a token, of a row, that pseudo-tokens save."""
        return saved_bits(
            bits=self.bits,
            shape=(self.inputs, self.outputs),
            rank=rank,
            sketches=_sketches(rank, self.inputs),
            planes=(_SKETCH_BITS, _TOKEN_BITS, _BITS),
            tokens=tokens,
        )


def _sketches(rank: int, inputs: int) -> int:
    return min(inputs, round(rank * _SKETCHES))


#: Directions of a group, and their units.
_Directions = tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]


class _Search:
    """Passes of prompts through the uncompressed model."""

    def __init__(
        self,
        module: nn.Module,
        prompts: Sequence[torch.Tensor],
        layer_of: Callable[[str], Layer],
        sensitivity: Mapping[str, torch.Tensor],
        progress: Callable[[int, int], None] | None,
    ):
        self._module = module
        self._prompts = prompts
        self._layer_of = layer_of
        self._sensitivity = sensitivity
        self._progress = progress
        self._done = 0

    def _pass(
        self, groups: Mapping[str, tuple[str, ...]], see: Callable[[str, _Floats], None]
    ) -> None:
        """Call ``see`` with each prompt's input ``[M, K]`` of each group, less the exact tokens."""

        def hook(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
            def note(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
                see(name, args[0].detach()[0, EXACT:].float().numpy())

            return note

        linears = {name: linear_of(self._module, name) for name in groups}
        handles = [each.register_forward_pre_hook(hook(name)) for name, each in linears.items()]
        try:
            for ids in self._prompts:
                call(self._module, {"input_ids": ids})
                self._done += 1
                if self._progress:
                    self._progress(self._done, 3 * len(self._prompts))
        finally:
            for handle in handles:
                handle.remove()

    def _matrix(self, layers: Sequence[Layer]) -> npt.NDArray[np.float64]:
        return np.concatenate([layer.matrix() for layer in layers], axis=1)

    def _sensitivities(self, group: Sequence[str]) -> npt.NDArray[np.float64]:
        return np.concatenate([self._sensitivity[name].double().numpy() for name in group])

    def directions(
        self, groups: Mapping[str, tuple[str, ...]], ranks: Mapping[str, Sequence[int]]
    ) -> dict[str, _Directions]:
        """Return the directions of each group, as many as its highest rank takes."""
        moments: dict[str, npt.NDArray[np.float32]] = {}
        first = {name: self._layer_of(name) for name in groups}

        def see(name: str, x: _Floats) -> None:
            transform = first[name].transform
            x = x if transform is None else transform.apply(x)
            moments[name] = moments.get(name, np.float32(0)) + x.T @ x

        self._pass(groups, see)
        found = {}
        for name, group in groups.items():
            matrix = self._matrix([self._layer_of(each) for each in group])
            count = _sketches(ranks[name][-1], len(matrix))
            seen = moments.pop(name).astype(np.float64)
            weights = self._sensitivities(group)
            found[name] = sketch_directions(matrix, seen, weights, count, _SKETCH_BITS)
        return found

    def losses(
        self,
        groups: Mapping[str, tuple[str, ...]],
        ranks: Mapping[str, Sequence[int]],
        directions: Mapping[str, _Directions],
    ) -> dict[str, dict[int, float]]:
        """Return what each rank of a group loses in all but the rounding of products."""
        sums = {name: dict.fromkeys(ranks[name], 0.0) for name in groups}
        count = len(self._prompts)

        def see(name: str, x: _Floats) -> None:
            layers = [self._layer_of(each) for each in groups[name]]
            weights = np.sqrt(self._sensitivities(groups[name]))
            xq, s_x = layers[0].quantise(x)
            outputs = (xq * s_x) @ (self._matrix(layers) * weights).astype(np.float32)
            vectors, scale = directions[name]
            sketches = exact("sketch", xq, vectors, _SKETCH_BITS) * s_x.astype(np.float64) * scale
            for rank in ranks[name]:
                basis = basis_of(sketches[:, : _sketches(rank, len(vectors))], rank)
                mine = basis.astype(np.float32)
                rest = outputs - mine @ (mine.T @ outputs)
                sums[name][rank] += float(np.square(rest).sum()) / len(x) / 2 / count

        self._pass(groups, see)
        return sums

    def decompositions(
        self,
        groups: Mapping[str, tuple[str, ...]],
        chosen: Mapping[str, Candidate],
        directions: Mapping[str, _Directions],
    ) -> tuple[Decomposition, ...]:
        """Return the chosen ones, with units for what pseudo-tokens make of the layers."""
        squares: dict[str, list[npt.NDArray[np.float64]]] = {}
        plain = {
            name: self._decomposition(groups[name], chosen[name].rank, directions[name])
            for name in groups
        }

        def see(name: str, x: _Floats) -> None:
            layers = [self._layer_of(each) for each in groups[name]]
            xq, s_x = layers[0].quantise(x)
            rows = pseudo_tokens(xq, s_x, plain[name], layers[0].act_bits, exact).rows
            found = [
                np.square(rows @ (layer.matrix() / layer.scale)).mean(axis=0) for layer in layers
            ]
            before = squares.get(name, [np.zeros(len(each)) for each in found])
            squares[name] = [a + b for a, b in zip(before, found, strict=True)]

        self._pass(groups, see)
        return tuple(
            replace(
                plain[name],
                requantisations=tuple(
                    Requantisation.of(
                        np.sqrt(np.maximum(each / len(self._prompts), 1)) * normal_step(_BITS)
                    )
                    for each in squares[name]
                ),
            )
            for name in groups
        )

    def _decomposition(
        self, group: tuple[str, ...], rank: int, directions: _Directions
    ) -> Decomposition:
        vectors, scale = directions
        count = _sketches(rank, len(vectors))
        entries = [self._layer_of(name).out_features for name in group]
        return Decomposition(
            layers=group,
            rank=rank,
            span=max(ids.shape[1] for ids in self._prompts),
            directions=np.ascontiguousarray(vectors[:, :count]),
            scale=scale[:count].copy(),
            sketch_bits=_SKETCH_BITS,
            token_bits=_TOKEN_BITS,
            bits=_BITS,
            requantisations=tuple(Requantisation.of(np.ones(n)) for n in entries),
        )
