"""Which layers of a model an adapter's modules are."""

from collections.abc import Iterator
from dataclasses import dataclass

from summand.compress.adapt.peft_folder import LoraFactors, PeftFolder
from summand.compress.errors import CompressError
from summand.model import SummandModel

__all__ = ["Place", "find_places"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A compressed layer that an adapter adds to.

    Parameters
    ----------
    layer : str
        Its name.
    module : str
        The adapter's module: the layer itself, or what was compressed in parts.
    first, last : int
        The module's outputs that are the layer's: from ``first`` to before ``last``.
    """

    layer: str
    module: str
    first: int
    last: int

    def factors(self, adapter: PeftFolder) -> LoraFactors:
        """Read what is added to the layer."""
        return adapter.factors(self.module).outputs(self.first, self.last)


def find_places(adapter: PeftFolder, base: SummandModel) -> tuple[Place, ...]:
    """Return the layers that an adapter adds to, in the model's order.

    Raises
    ------
    CompressError
        If a module is no compressed layer, or of another shape: an adapter of another model, or
        one that cannot be expressed.
    """
    found: dict[str, Place] = {}
    for module, (k, n) in adapter.shapes.items():
        places = tuple(_places(module, base))
        if not places:
            raise CompressError(
                f"{adapter.path}: module {module} is no compressed layer of {base.path}"
                f"{_why(module, base)}; train the adapter on layers that are compressed, or give "
                f"the model that it was trained on"
            )
        inputs, outputs = base.entry(places[0].layer).in_features, places[-1].last
        if (k, n) != (inputs, outputs):
            raise CompressError(
                f"{adapter.path}: module {module} must map {inputs} features to {outputs} as in "
                f"{base.path}, not {k} to {n}; give the model that the adapter was trained on"
            )
        found |= {place.layer: place for place in places}
    if adapter.config.everywhere:
        _check_complete(adapter, base)
    return tuple(found[name] for name in base.names if name in found)


def _places(module: str, base: SummandModel) -> Iterator[Place]:
    if module in base.names:
        outputs = base.entry(module).out_features
        yield Place(layer=module, module=module, first=0, last=outputs)
    if module in base.manifest.split:
        first = 0
        for part in range(sum(name.startswith(f"{module}.") for name in base.names)):
            last = first + base.entry(f"{module}.{part}").out_features
            yield Place(layer=f"{module}.{part}", module=module, first=first, last=last)
            first = last


def _check_complete(adapter: PeftFolder, base: SummandModel) -> None:
    """Refuse an adapter that leaves out layers of the names that it adapts."""
    for name in base.names:
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
