"""Which layers' inputs are decomposed while a model runs, and how."""

from summand.compress.decompose.find import (
    Found,
    Wanted,
    check_decomposable,
    find_decompositions,
)

__all__ = ["Found", "Wanted", "check_decomposable", "find_decompositions"]
