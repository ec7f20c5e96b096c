"""Benchmarks: the simulated RTL and the cost law side by side, and projections for boards."""

from summand.bench.configurations import DEFAULT_NAMES, choose
from summand.bench.figures import by_role, usage_figures, waits
from summand.bench.law import Law
from summand.bench.projection import Projection, project, tokens_per_gb

__all__ = [
    "DEFAULT_NAMES",
    "Law",
    "Projection",
    "by_role",
    "choose",
    "project",
    "tokens_per_gb",
    "usage_figures",
    "waits",
]
