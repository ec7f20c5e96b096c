"""Cut layers into parts, because some outputs matter more than others and should get more bits."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from summand.isa.limits import SEGMENTS
from summand.model.split import split

__all__ = ["Cut", "cut_groups", "of_parts", "split_layers"]

#: Outputs from which on a head is cut, and its parts at most.
_LARGE_HEAD, _HEAD_PARTS = 4096, 16

#: Parts of all layers of a group at most: as many as one GEMM can have segments.
_GROUP_PARTS = SEGMENTS.high

#: Outputs that a part has a multiple of, so that it fills tiles.
_WHOLE = 64

#: What parts must be worth, in bits a weight.
_WORTH = 0.1

#: The least cost of an output, of the mean: none can be had for nothing.
_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class Cut:
    """Parts of a layer.

    Parameters
    ----------
    sizes : tuple of int
        Outputs of each part.
    order : int64 tensor, shape ``[N]``, optional
        Which output each of the parts' outputs is, one part behind another; 0, 1, ... without.
    """

    sizes: tuple[int, ...]
    order: torch.Tensor | None = None

    @property
    def checksum(self) -> str:
        """What tells it from others."""
        order = () if self.order is None else self.order.tolist()
        return hashlib.sha256(repr((self.sizes, order)).encode()).hexdigest()


def cut_groups(
    groups: Sequence[Sequence[str]],
    weights: Mapping[str, torch.Tensor],
    sensitivity: Mapping[str, torch.Tensor],
    heads: Collection[str] = (),
) -> dict[str, Cut]:
    """Return the cuts of the layers that are worth one.

    Rounding an output's weights costs in proportion to the output's sensitivity and to its weights'
    square. Outputs are put in the order of this product, the largest first, and cut into parts of
    about equal sizes. With widths chosen freely for ``P`` parts of equal sizes and mean costs
    ``c``, the loss falls by the ratio of their arithmetic and geometric means, which is worth
    ``log2(ratio) / 2`` bits a weight.

    A head's outputs are tokens, whose costs on a few thousand tokens of text say little about how
    often each occurs in other texts. Large heads are cut in the tokenizer's own order, which is
    roughly that of frequency where pairs are merged.

    Parameters
    ----------
    groups : sequence of sequences of str
        Names of layers that share an input.
    weights : mapping of str to tensor, shape ``[N, K]``
        Of each layer.
    sensitivity : mapping of str to float32 tensor, shape ``[N]``
        From :mod:`~summand.compress.allocate.sensitivity`; layers without one stay whole.
    heads : collection of str
        Layers of the output head.
    """
    cuts: dict[str, Cut] = {}
    for group in groups:
        for name in group:
            outputs = len(weights[name])
            if name in heads:
                if outputs >= _LARGE_HEAD:
                    cuts[name] = Cut(_sizes(outputs, _HEAD_PARTS))
                continue
            if name not in sensitivity:
                continue
            costs = sensitivity[name].double() * weights[name].double().square().sum(dim=1)
            order = costs.argsort(descending=True, stable=True)
            sizes = _sizes(outputs, max(1, _GROUP_PARTS // len(group)))
            if _worth(costs[order], sizes) >= _WORTH:
                cuts[name] = Cut(sizes, order)
    return cuts


def split_layers(module: nn.Module, cuts: Mapping[str, Cut]) -> None:
    """Put parts in the place of layers."""
    for name, cut in cuts.items():
        split(module, name, cut.sizes, cut.order)


def of_parts(
    values: Mapping[str, torch.Tensor], cuts: Mapping[str, Cut]
) -> dict[str, torch.Tensor]:
    """Return values of layers' outputs, ``[N]`` each; where a layer is cut those of its parts."""
    found: dict[str, torch.Tensor] = {}
    for name, value in values.items():
        if (cut := cuts.get(name)) is None:
            found[name] = value
            continue
        value = value if cut.order is None else value[cut.order]
        found |= {f"{name}.{i}": part for i, part in enumerate(value.split(list(cut.sizes)))}
    return found


def _sizes(outputs: int, parts: int) -> tuple[int, ...]:
    """Return the sizes of at most so many parts; all but the last are equal, and whole tiles."""
    size = -(-outputs // parts)
    size += -size % _WHOLE
    whole, rest = divmod(outputs, size)
    return (size,) * whole + (rest,) * (rest > 0)


def _worth(costs: torch.Tensor, sizes: Sequence[int]) -> float:
    """Return the bits a weight that parts of these sizes save."""
    means = torch.stack([part.mean() for part in costs.split(list(sizes))])
    shares = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    mean = (means * shares).sum()
    if not mean > 0:
        return 0.0
    return float(-((means / mean).clamp_min(_LEAST).log2() * shares).sum()) / 2
