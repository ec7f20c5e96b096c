"""Which layers of a quantised model are taken over as they are, and which cannot be."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from summand.compress.calibrate.calibration import InputStatistics
from summand.compress.errors import CompressError
from summand.compress.importers.errors import NotHeldError
from summand.compress.importers.hold import Fidelity, hold
from summand.compress.importers.rows import find_rows
from summand.compress.importers.weight import Checkpoint, QuantisedWeight
from summand.compress.solve.balance import loudness_of
from summand.compress.solve.channels import choose_groups
from summand.model import Layer, Transform
from summand.recipe.grouping import Grouping

__all__ = ["Keeper"]


@dataclass(frozen=True, eq=False)
class Keeper:
    """Takes layers over from a quantised checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where the integers are.
    kinds : mapping
        The layers that can be taken over, each with what the checkpoint calls it.
    reasons : mapping
        The others, each with the reason why it cannot.
    act_bits, scale_bits, acc_bits : int
        The engine's.
    grouping : Grouping, optional
        How the channels of the layers' inputs are put into groups.
    """

    checkpoint: Checkpoint
    kinds: Mapping[str, str]
    reasons: Mapping[str, str]
    act_bits: int
    scale_bits: int
    acc_bits: int
    grouping: Grouping | None = None

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint | None,
        module: nn.Module,
        names: Iterable[str],
        *,
        act_bits: int,
        scale_bits: int,
        acc_bits: int,
        grouping: Grouping | None = None,
    ) -> "Keeper":
        """Look at the layers of ``names`` in a loaded model.

        Raises
        ------
        CompressError
            If there is no checkpoint, or no layer can be taken over.
        """
        if checkpoint is None:
            raise CompressError(
                "the model is not quantised; leave out --keep-quantised to compress it"
            )
        kinds, reasons = {}, {}
        for name in names:
            try:
                kinds[name] = _matched(checkpoint, module, name).kind
            except NotHeldError as e:
                reasons[name] = str(e)
        if not kinds:
            name, why = next(iter(reasons.items()))
            raise CompressError(
                f"no layer can be taken over as it is (the first, {name}: {why}); leave out "
                f"--keep-quantised to compress what they stand for"
            )
        return cls(checkpoint, kinds, reasons, act_bits, scale_bits, acc_bits, grouping)

    def transform(
        self, module: nn.Module, group: Sequence[str], seen: InputStatistics
    ) -> Transform | None:
        """Return the transform of an input that layers share, some of which are taken over.

        It leaves their integers as they are, and the groups that share a scale together. Layers
        with offsets get none: the intermediate that offsets go through is a few bits of the
        accumulator's, and borders make this one finer.
        """
        if self.grouping is None:
            return None
        weights = [_matched(self.checkpoint, module, name) for name in group if name in self.kinds]
        if any(weight.offsets is not None for weight in weights):
            return None
        together = math.lcm(*(weight.group for weight in weights if len(weight.scales) > 1))
        loudness = loudness_of([_linear(module, name).detach().float() for name in group])
        groups = choose_groups(seen, self.grouping, loudness, together=together)
        return None if groups is None else Transform(groups.features, groups=groups)

    def take(
        self,
        module: nn.Module,
        name: str,
        sample: torch.Tensor,
        transform: Transform | None = None,
    ) -> Layer:
        """Return the layer ``name``.

        Parameters
        ----------
        sample : float32 tensor, shape ``[S, K]``
            Some of its inputs.
        transform : Transform, optional
            Of its input, from :meth:`transform`.
        """
        bias = getattr(module.get_submodule(name), "bias", None)
        try:
            return hold(
                name,
                _matched(self.checkpoint, module, name),
                bias=None if bias is None else bias.detach().float().numpy(),
                sample=sample,
                act_bits=self.act_bits,
                scale_bits=self.scale_bits,
                acc_bits=self.acc_bits,
                transform=transform,
            )
        except NotHeldError as e:
            raise CompressError(
                f"layer {name!r} cannot be taken over: {e}; raise acc_bits, or leave out "
                f"--keep-quantised"
            ) from None

    def fidelity(self, module: nn.Module, layer: Layer) -> Fidelity:
        """Return how far a layer that was taken over is off from its source."""
        return Fidelity.of(layer, _matched(self.checkpoint, module, layer.name))

    def record(self, kept: Mapping[str, Fidelity]) -> dict[str, Any]:
        """Return what a manifest says of the layers that were taken over, and of the others."""
        return {
            "format": self.checkpoint.format,
            "layers": {name: asdict(fidelity) for name, fidelity in kept.items()},
            "not_kept": dict(self.reasons),
        }


def _linear(module: nn.Module, name: str) -> torch.Tensor:
    weight = module.get_submodule(name).weight
    assert isinstance(weight, torch.Tensor)
    return weight


def _matched(checkpoint: Checkpoint, module: nn.Module, name: str) -> QuantisedWeight:
    """Read a layer and put its outputs into the order that the model has them in."""
    if not checkpoint.holds(name):
        raise NotHeldError(f"not quantised in the {checkpoint.format} checkpoint")
    weight = checkpoint.weight(name).numbered()
    weight.check()
    loaded = _linear(module, name)
    matrix = np.ascontiguousarray(weight.matrix().T)
    order = find_rows(loaded.detach().float().numpy(), matrix)
    if order is None:
        raise NotHeldError("the loaded model has other weights: they are rearranged on loading")
    return weight.columns(order)
