"""Which layers of a model an adapter's modules are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from summand.compress.adapt.peft_folder import LoraFactors, PeftFolder
from summand.compress.errors import CompressError
from summand.model import SummandModel

__all__ = ["Place", "find_places"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Place:
    """A compressed layer that an adapter adds to.

    Parameters
    ----------
    layer : str
        Its name.
    module : str
        The adapter's module: the layer itself, or what was compressed in parts.
    outputs : int64 array, shape ``[N]``
        Which of the module's outputs the layer's are.
    """

    layer: str
    module: str
    outputs: npt.NDArray[np.int64]

    def factors(self, adapter: PeftFolder) -> LoraFactors:
        """Read what is added to the layer."""
        return adapter.factors(self.module).of(torch.from_numpy(self.outputs))


def find_places(adapter: PeftFolder, base: SummandModel) -> tuple[Place, ...]:
    """Return the layers that an adapter adds to, in the model's order.

    Raises
    ------
    CompressError
        If a module is no compressed layer, or of another shape: an adapter of another model, or
        one that cannot be expressed.
    """
    found: dict[str, Place] = {}
    orders = base.output_orders
    for module, (k, n) in adapter.shapes.items():
        places = tuple(_places(module, base, orders.get(module)))
        if not places:
            raise CompressError(
                f"{adapter.path}: module {module} is no compressed layer of {base.path}"
                f"{_why(module, base)}; train the adapter on layers that are compressed, or give "
                f"the model that it was trained on"
            )
        inputs, outputs = (
            base.entry(places[0].layer).in_features,
            sum(len(place.outputs) for place in places),
        )
        if (k, n) != (inputs, outputs):
            raise CompressError(
                f"{adapter.path}: module {module} must map {inputs} features to {outputs} as in "
                f"{base.path}, not {k} to {n}; give the model that the adapter was trained on"
            )
        found |= {place.layer: place for place in places}
    if adapter.config.everywhere:
        _check_complete(adapter, base)
    return tuple(found[name] for name in base.names if name in found)


def _places(
    module: str, base: SummandModel, order: npt.NDArray[np.int64] | None
) -> Iterator[Place]:
    if module in base.names:
        outputs = base.entry(module).out_features
        yield Place(layer=module, module=module, outputs=np.arange(outputs))
    if module in base.manifest.split:
        parts = [
            f"{module}.{i}" for i in range(sum(n.startswith(f"{module}.") for n in base.names))
        ]
        ends = np.cumsum([base.entry(part).out_features for part in parts])
        every = np.arange(ends[-1]) if order is None else order
        for part, outputs in zip(parts, np.split(every, ends[:-1]), strict=True):
            yield Place(layer=part, module=module, outputs=outputs)


def _check_complete(adapter: PeftFolder, base: SummandModel) -> None:
    """Refuse an adapter that leaves out layers of the names that it adapts."""
    for name in dict.fromkeys(map(base.manifest.whole, base.names)):
        if adapter.config.is_target(name) and name not in adapter.shapes:
            raise CompressError(
                f"{adapter.path}: it has no factors for {name} of {base.path}, though it adapts "
                f"layers of that name; give the model that the adapter was trained on"
            )


def _why(module: str, base: SummandModel) -> str:
    for entry in base.manifest.host:
        if entry.name == module:
            return f": it stays on the host, {entry.reason}"
    return ""
