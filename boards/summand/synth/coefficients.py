"""The fitted coefficients of the model of resources, and their errors."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from summand.isa import SummandError

__all__ = ["HeldOutError", "Model", "ModelError", "UnknownPartError", "load_model"]


class ModelError(SummandError):
    """A model that cannot be read, or of other terms than this version's."""


class UnknownPartError(ModelError):
    """An engine with a part that a model knows nothing of."""


@dataclass(frozen=True, kw_only=True)
class HeldOutError:
    """Relative errors on runs that the fit has not seen, each left out in turn."""

    mean: float
    worst: float
    runs: int

    def __str__(self) -> str:
        return f"{self.mean:.1%} on average, {self.worst:.1%} at worst, on {self.runs} held-out"


@dataclass(frozen=True, kw_only=True)
class Model:
    """Coefficients of the terms, by figure and term, and errors by figure.

    The figures are ``luts``, ``ffs`` and ``period_ns``.
    """

    coefficients: Mapping[str, Mapping[str, float]]
    errors: Mapping[str, HeldOutError]

    def to_json(self) -> str:
        """Return it as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Model":
        """Parse JSON text; raises :class:`ModelError`."""
        try:
            raw = json.loads(text)
            errors = {name: HeldOutError(**error) for name, error in raw["errors"].items()}
            return cls(coefficients=raw["coefficients"], errors=errors)
        except (ValueError, TypeError, KeyError, AttributeError) as e:
            raise ModelError(f"not a model of resources: {e}") from None

    def figure(self, name: str, terms: Mapping[str, float]) -> float:
        """Return the sum of ``terms`` with the coefficients of a figure.

        Raises
        ------
        UnknownPartError
            If an engine has a part that no stored run has.
        ModelError
            If the coefficients are of other terms.
        """
        found = self.coefficients.get(name, {})
        if found.keys() - terms.keys() or "constant" not in found:
            raise ModelError(
                f"the model's terms of {name} are not this version's; "
                "fit it again: python -m summand.synth.fit"
            )
        for term in terms.keys() - found.keys():
            if terms[term]:
                raise UnknownPartError(
                    f"no stored run of this family tells what {term.replace('_', ' ')} take of "
                    f"{name}; count the cells with 'summand synth', or leave them out"
                )
        return sum(value * terms[term] for term, value in found.items())


@functools.cache
def load_model(path: Path) -> Model:
    """Return a fitted model; raises :class:`ModelError` that names the file."""
    try:
        return Model.from_json(path.read_text())
    except OSError as e:
        raise ModelError(f"cannot read {path}: {e.strerror}") from None
    except ModelError as e:
        raise ModelError(f"{path}: {e}") from None
