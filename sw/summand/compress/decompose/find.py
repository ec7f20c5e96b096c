"""Finds decompositions: directions and ranks, by what a calibration text has shown."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from summand.compress.allocate.sensitivity import fisher
from summand.compress.decompose.choose import Candidate, choose
from summand.compress.decompose.directions import normal_step, sketch_directions
from summand.compress.errors import CompressError
from summand.compress.network.predictions import divergence
from summand.compress.network.survey import Survey, call, linear_of
from summand.isa.limits import Limits
from summand.isa.rounding import ceil_div
from summand.model import Layer
from summand.model.basis import basis_of
from summand.model.causal import cache_name, why_not_causal
from summand.model.decomposed import decomposed, exact, pseudo_tokens
from summand.model.decomposition import EXACT, Decomposition, Requantisation, saved_bits

__all__ = ["Found", "Wanted", "check_decomposable", "find_decompositions"]

#: Prompts that are looked at.
_PROMPTS = 4

#: Times that a choice is made and measured at most, the share of the bound that is near enough, the
#: share that is aimed at, and the most that the bound of estimates changes by each time.
_ROUNDS, _NEAR, _AIM, _STEP = 4, 0.75, 0.9, 6.0

#: Bit-planes of directions, of tokens as weights, and of the pseudo-tokens' products.
_SKETCH_BITS, _TOKEN_BITS, _BITS = 2, 4, 5

#: Sketches for each pseudo-token.
_SKETCHES = 1.25

#: Ranks that are tried, as shares of the input features.
_SHARES = (1 / 24, 1 / 12, 1 / 9, 1 / 6, 2 / 9, 1 / 3, 4 / 9)

#: Steps of a decomposition.
_STEPS = Limits(1, 16)

#: Ranks are multiples of it: a slice's features should not be left empty.
_GRAIN = 16

_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What decompositions are looked for.

    Parameters
    ----------
    loss : float
        The most that they may lose behind prompts, in nats a token.
    steps : int
        Of each: one with directions of the text, further ones as block Lanczos iteration takes.

    Raises
    ------
    CompressError
        If a value is none.
    """

    loss: float
    steps: int = 1

    def __post_init__(self):
        if not 0 < self.loss < float("inf"):
            raise CompressError(
                f"decompose_loss must be above 0 and finite, in nats, not {self.loss:g}"
            )
        if self.steps not in _STEPS:
            raise CompressError(f"decompose_steps must be {_STEPS}, not {self.steps}")


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
        What tokens behind prompts of the text lose: the KL divergence of their predictions, in nats
        a token.
    wanted : Wanted
        What was looked for.
    """

    decompositions: tuple[Decomposition, ...]
    saved: float
    loss: float
    wanted: Wanted

    @property
    def record(self) -> dict[str, Any]:
        """What a manifest says of the search."""
        return {"bound": self.wanted.loss, "steps": self.wanted.steps} | {
            "loss": self.loss,
            "saved": self.saved,
        }


def check_decomposable(module: nn.Module, rows: Sequence[torch.Tensor]) -> None:
    """Refuse a model that writes no text, and a text that is too short.

    Raises
    ------
    CompressError
        Naming what is wrong.
    """
    if (why := why_not_causal(module)) is not None:
        raise CompressError(f"{why}; only prompts of models that write text are decomposed")
    if cache_name(module) is None:
        raise CompressError(
            f"a {type(module).__name__} has no KV cache, so it reads no prompt that others follow; "
            f"leave out decompose_loss"
        )
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
    wanted: Wanted,
    *,
    heads: Collection[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Find the inputs that are worth a decomposition.

    The loss of each rank at each input is estimated, and ranks are chosen that save most at a bound
    of their sum. What that loses is measured behind the first three quarters of each prompt, and
    the bound is corrected a few times.

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
    wanted : Wanted
        The most that may be lost, and in how many steps each is found.
    heads : collection of str
        Layers that are computed for a prompt's last token only.
    progress : callable, optional
        Called with how many passes over prompts are done, and how many there are at most.
    """
    longest = max(ids.shape[1] for ids in rows)
    whole = [ids for ids in rows if ids.shape[1] == longest]
    prompts = [whole[i * len(whole) // _PROMPTS] for i in range(min(_PROMPTS, len(whole)))]
    tokens = longest - EXACT
    groups = {group[0]: group for group in survey.groups if not set(heads) & set(group)}
    sizes = {
        name: _Sizes.of(list(map(layer_of, group)), wanted.steps) for name, group in groups.items()
    }
    ranks = {name: tuple(size.ranks(tokens)) for name, size in sizes.items()}
    groups = {name: group for name, group in groups.items() if ranks[name]}
    sensitivity = fisher(module, [{"input_ids": ids} for ids in prompts], survey)
    search = _Search(module, prompts, layer_of, sensitivity, wanted.steps, progress)
    directions = search.directions(groups, ranks)
    losses = search.losses(groups, ranks, directions)
    candidates = {
        name: [
            Candidate(rank, sizes[name].saved(rank, tokens), losses[name][rank])
            for rank in ranks[name]
        ]
        for name in groups
    }
    every = sum(size.bits for size in sizes.values())
    best, bound = Found((), 0.0, 0.0, wanted), wanted.loss
    for _ in range(_ROUNDS):
        chosen = choose(candidates, bound)
        if not chosen:
            break
        made = search.decompositions({name: groups[name] for name in chosen}, chosen, directions)
        lost = search.lost(made)
        saved = sum(c.saved for c in chosen.values()) / every
        if lost <= wanted.loss and saved > best.saved:
            best = Found(made, saved, lost, wanted)
        if _NEAR * wanted.loss <= lost <= wanted.loss:
            break
        bound *= min(max(_AIM * wanted.loss / max(lost, 1e-12), 1 / _STEP), _STEP)
    return best


@dataclass(frozen=True)
class _Sizes:
    """Of a group: input and output features, stream bits, whether its channels are in groups.

    And the steps in which its inputs would be decomposed.
    """

    inputs: int
    outputs: int
    bits: int
    grouped: bool
    steps: int

    @classmethod
    def of(cls, layers: Sequence[Layer], steps: int) -> "_Sizes":
        return cls(
            layers[0].in_features,
            sum(layer.out_features for layer in layers),
            sum(layer.bits for layer in layers),
            layers[0].groups is not None,
            steps,
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
            sketches=_sketches(ceil_div(rank, self.steps), self.inputs),
            steps=self.steps,
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
        steps: int,
        progress: Callable[[int, int], None] | None,
    ):
        self._module = module
        self._prompts = prompts
        self._layer_of = layer_of
        self._sensitivity = sensitivity
        self._steps = steps
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
                self._tell()
        finally:
            for handle in handles:
                handle.remove()

    def _tell(self) -> None:
        """Count a prompt that has been read."""
        self._done += 1
        if self._progress:
            self._progress(self._done, (2 + 2 * _ROUNDS) * len(self._prompts))

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
        """Return what each rank of a group loses, found in one step, but for rounding."""
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

    def lost(self, made: Sequence[Decomposition]) -> float:
        """Return what decompositions of prompts lose behind them, in nats a token."""
        total = 0.0
        for ids in self._prompts:
            behind = ids.shape[1] // 4
            plain = self._behind(ids, behind)
            handles = [handle for of in made for handle in self._added(of, ids.shape[1] - behind)]
            try:
                found = self._behind(ids, behind)
            finally:
                for handle in handles:
                    handle.remove()
            total += float(divergence(plain, found).mean())
            self._tell()
        return total / len(self._prompts)

    @torch.no_grad()
    def _behind(self, ids: torch.Tensor, count: int) -> torch.Tensor:
        """Return the log-probabilities of the last ``count`` tokens, the others being a prompt."""
        model, name = self._module, cache_name(self._module) or ""
        prompt = model(input_ids=ids[:, :-count], use_cache=True)
        cache = {name: getattr(prompt, name)}
        rest = model(input_ids=ids[:, -count:], use_cache=True, **cache)
        return torch.cat([prompt.logits[0, -1:], rest.logits[0, :-1]]).float().log_softmax(dim=-1)

    def _added(self, of: Decomposition, tokens: int) -> Iterator[RemovableHandle]:
        """Add to layers' outputs what a prompt's decomposition does to them; yields how to stop."""
        layers = [self._layer_of(name) for name in of.layers]
        errors: dict[int, list[torch.Tensor]] = {}

        def errors_of(x: torch.Tensor) -> list[torch.Tensor]:
            if id(x) not in errors:
                flat = x[0].float().numpy()
                xq, s_x = layers[0].quantise(flat)
                exactly = [(xq * s_x) @ each.matrix().astype(np.float32) for each in layers]
                biased = [
                    each if each.bias is None else replace(each, bias=None) for each in layers
                ]
                found = decomposed(biased, of, flat)
                both = zip(found, exactly, strict=True)
                errors.clear()
                errors[id(x)] = [torch.from_numpy(a - b)[None] for a, b in both]
            return errors[id(x)]

        for i, name in enumerate(of.layers):

            def hook(_: nn.Module, args: tuple[torch.Tensor], y: torch.Tensor, i: int = i) -> Any:
                return y + errors_of(args[0])[i].to(y.dtype) if y.shape[1] == tokens else None

            yield linear_of(self._module, name).register_forward_hook(hook)

    def _decomposition(
        self, group: tuple[str, ...], rank: int, directions: _Directions
    ) -> Decomposition:
        vectors, scale = directions
        count = _sketches(ceil_div(rank, self._steps), len(vectors))
        entries = [self._layer_of(name).out_features for name in group]
        return Decomposition(
            layers=group,
            rank=rank,
            span=max(ids.shape[1] for ids in self._prompts),
            steps=self._steps,
            directions=np.ascontiguousarray(vectors[:, :count]),
            scale=scale[:count].copy(),
            sketch_bits=_SKETCH_BITS,
            token_bits=_TOKEN_BITS,
            bits=_BITS,
            requantisations=tuple(Requantisation.of(np.ones(n)) for n in entries),
        )
