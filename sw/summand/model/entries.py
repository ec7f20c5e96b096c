"""A manifest's entries: files, modules on the host, and compressed layers."""

import reprlib
from dataclasses import asdict, dataclass, fields
from typing import Any

from summand.isa import limits
from summand.model.channels import check_borders
from summand.model.typed import take
from summand.schedule.fit import Needs
from summand.schedule.terms import Sizes
from summand.summands.base import Entry, label_of, sizes_of
from summand.summands.errors import LayerError
from summand.summands.registry import kind_of

__all__ = ["FileEntry", "HostEntry", "LayerEntry"]

#: The most features of a layer, and the most bits that one streams.
_SIZES, _BITS = 1 << 31, 1 << 62

#: What a layer's whole numbers may be; what hangs together is checked with the tensors.
_RANGES = {
    "in_features": (1, _SIZES),
    "out_features": (1, _SIZES),
    "act_bits": limits.ACT_BITS,
    "acc_bits": (1, 64),
    "rotation": (0, (1 << 32) - 1),
    "bits": (0, _BITS),
}


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """A file of the folder: its size and checksum."""

    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class HostEntry:
    """A module that stays on the host, and why."""

    name: str
    kind: str
    reason: str
    parameters: int


@dataclass(frozen=True, kw_only=True)
class LayerEntry:
    """A compressed layer's sizes.

    ``summands`` are in the order in which they add. ``bits`` counts their streamed bits without
    padding; ``acc_bits`` is the accumulator that no activations can overflow; ``error`` is the
    relative error of the output on the calibration text. ``balance`` says whether inputs are
    balanced channel by channel, ``rotation`` is the seed of their rotation, if there is one.
    ``borders`` are those of groups of channels, a feature and a shift each; ``centre`` says whether
    the channels' centres are taken away.
    """

    name: str
    in_features: int
    out_features: int
    act_bits: int
    summands: tuple[Entry, ...]
    acc_bits: int
    bias: bool
    balance: bool
    rotation: int | None
    borders: tuple[tuple[int, int], ...]
    centre: bool
    bits: int
    error: float | None

    def __post_init__(self):
        if not self.name or not self.name.isprintable():
            raise LayerError(f"name must be one of a layer, not {self.name!r}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise LayerError(f"{name} must be {low} to {high}, not {reprlib.repr(value)}")
        if not self.summands:
            raise LayerError("summands must hold one at least")
        check_borders(self.borders, self.in_features)
        if self.borders and self.rotation is not None:
            raise LayerError("rotation must be null where there are borders")
        if self.centre and not self.borders:
            raise LayerError("centre must be false without borders")

    def to_raw(self) -> dict[str, Any]:
        """Return it as JSON; a summand's object names its ``kind``."""
        summands = [{"kind": kind_of(e).name, **asdict(e)} for e in self.summands]
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "summands": summands}

    @classmethod
    def from_raw(cls, raw: object, where: str = "layer") -> "LayerEntry":
        """Undo :meth:`to_raw`; raises :class:`ModelError`, which calls the entry ``where``."""
        return take(cls, raw, where)

    @property
    def sizes(self) -> Sizes:
        """All that commands depend on."""
        k, n = self.in_features, self.out_features
        return sizes_of(k, n, self.summands, self.borders, self.acc_bits)

    @property
    def needs(self) -> Needs:
        """The layer's demands on an engine."""
        return Needs(sizes=self.sizes, act_bits=self.act_bits, acc_bits=self.acc_bits)

    @property
    def label(self) -> str:
        """Its summands in a few words."""
        return label_of(self.summands)

    @property
    def weights(self) -> int:
        """Weights of the layer before compression."""
        return self.in_features * self.out_features
