"""What the configuration of compressed-tensors says of each layer."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from summand.compress.errors import CompressError
from summand.compress.importers.stated import Expression, Section
from summand.isa.patterns import SparsePattern

__all__ = ["PackedRules", "PackedScheme"]

_PATH = "quantization_config"

#: The one class of modules that is packed here.
_CLASS = "Linear"

#: Of the whole configuration: a state, a statistic, a version.
_ABOUT = frozenset({"global_compression_ratio", "quantization_status", "version"})

#: Of where zeros are: statistics, and layers that show by their tensors.
_ABOUT_ZEROS = frozenset({"global_sparsity", "ignore", "registry_requires_subclass", "targets"})

#: Patterns by the name of their structure; others say nothing of where zeros are.
_PATTERNS = {"2:4": SparsePattern(kept=2, block=4)}

#: How scales and integers were found, and in what order; ``weight_g_idx`` has what came out.
_SEARCH = frozenset({"actorder", "observer", "observer_kwargs", "scale_dtype", "zp_dtype"})


@dataclass(frozen=True, kw_only=True)
class PackedScheme:
    """How a layer is quantised.

    Parameters
    ----------
    bits : int
        Of an integer.
    strategy : str
        What has a scale: ``tensor``, ``channel`` (an output), ``group`` (of an output's inputs).
    group : int
        Features of a group; 0 for the other strategies.
    symmetric : bool
        Whether there are no zero points.
    """

    bits: int
    strategy: str
    group: int
    symmetric: bool

    @classmethod
    def of(cls, section: Section) -> "PackedScheme":
        """Read ``weights`` of a group of the configuration."""
        bits, group = section.whole("num_bits", least=1), section.whole("group_size", least=-1)
        section.one_of("type", ("int", None))
        section.one_of("dynamic", (False, None))
        inferred = {None: "tensor", -1: "channel"}.get(group, "group")
        strategy = section.one_of("strategy", ("tensor", "channel", "group", None)) or inferred
        if strategy == "group" and (group or 0) < 1:
            section.refuse("group_size", "must be 1 or more for the strategy group")
        return cls(
            bits=8 if bits is None else bits,
            strategy=strategy,
            group=(group or 0) if strategy == "group" else 0,
            symmetric=section.one_of("symmetric", (True, False, None)) is not False,
        )

    def __str__(self) -> str:
        scales = f"groups of {self.group}" if self.group else f"a scale a {self.strategy}"
        return f"{self.bits} bits with {scales}"


class PackedRules:
    """The configuration of a folder that compressed-tensors wrote.

    ``config_groups`` has schemes, each with targets: a module's path, a regular expression behind
    ``re:`` that the path matches from its first letter on, or the class ``Linear``. A module of
    several targets has the scheme of the one that says most: its path, then the first expression in
    the order of the alphabet, then the class. ``ignore`` has targets that are not quantised.

    Parameters
    ----------
    raw : mapping
        ``quantization_config`` of ``config.json``.
    form : str
        How integers are written: what ``format`` must be.
    sparse : collection of str or None
        How zeros are left out: what ``format`` of ``sparsity_config`` may be.

    Attributes
    ----------
    sparse : str, optional
        ``format`` of ``sparsity_config``.
    pattern : SparsePattern, optional
        What ``sparsity_config`` says of where zeros are.

    Raises
    ------
    CompressError
        If something in it is not understood.
    """

    def __init__(self, raw: Mapping[str, Any], *, form: str, sparse: Collection[str | None]):
        top = Section(
            _PATH,
            raw,
            applied=("config_groups", "format", "ignore", "quant_method", "sparsity_config"),
            without_effect=_ABOUT,
        )
        sparsity = Section(
            f"{_PATH}.sparsity_config",
            top.get("sparsity_config", {}),
            applied=("format", "sparsity_structure"),
            without_effect=_ABOUT_ZEROS,
        )
        self.sparse = sparsity.one_of("format", sparse)
        self.pattern = _PATTERNS.get(str(sparsity.get("sparsity_structure")))
        self._ignored = _targets(top, "ignore")
        self._schemes: dict[_Target, PackedScheme] = {}
        said = top.one_of("format", (form, "mixed-precision", "dense", None))
        mixed = said == "mixed-precision"  # each group says its own
        groups = top.get("config_groups", {})
        if not isinstance(groups, Mapping):
            top.refuse("config_groups", "must be an object")
        for name, group in groups.items():
            section = Section(
                f"{_PATH}.config_groups.{name}", group, applied=("format", "targets", "weights")
            )
            section.one_of("format", (form,) if mixed else (form, None))
            weights = Section(
                f"{section.path}.weights",
                section.get("weights", {}),
                applied=("dynamic", "group_size", "num_bits", "strategy", "symmetric", "type"),
                without_effect=_SEARCH,
            )
            self._schemes |= dict.fromkeys(_targets(section, "targets"), PackedScheme.of(weights))

    def scheme(self, name: str) -> PackedScheme:
        """Return how the quantised linear layer of this path is quantised.

        Raises
        ------
        CompressError
            If it should not be.
        """
        ignored = next((t for t in self._ignored if t.is_for(name)), None)
        if ignored is not None:
            raise CompressError(
                f"config.json: {_PATH}.ignore has {ignored.text!r}, but the checkpoint has "
                f"integers of {name}; one of both is of another model"
            )
        found = sorted((t for t in self._schemes if t.is_for(name)), key=_Target.order)
        if not found:
            raise CompressError(
                f"config.json: no target of {_PATH}.config_groups is {name}, but the checkpoint "
                f"has its integers; one of both is of another model"
            )
        return self._schemes[found[0]]


class _Target:
    """Which modules an entry of ``targets`` or ``ignore`` is for."""

    def __init__(self, path: str, text: str):
        self.text = text
        self._expression = None
        if text.startswith("re:"):
            self._expression = Expression(path, text.removeprefix("re:"))

    def is_for(self, name: str) -> bool:
        """Whether it is for the linear layer of this path."""
        if self._expression is not None:
            return self._expression.matches(name)
        return self.text in (name, _CLASS)

    def order(self) -> tuple[bool, bool, str]:
        """What says most comes first."""
        return self.text == _CLASS, self._expression is not None, self.text


def _targets(section: Section, key: str) -> list[_Target]:
    found = section.get(key, ())
    if not isinstance(found, Sequence) or not all(isinstance(t, str) for t in found):
        section.refuse(key, "must be an array of strings")
    return [_Target(f"{section.path}.{key}", text) for text in found]
