"""Solvers of the low-rank summand."""

from summand.compress.solve.lowrank.alone import output_loss, solve_alone
from summand.compress.solve.lowrank.intermediate import requantisation
from summand.compress.solve.lowrank.iterative import Iterative
from summand.compress.solve.lowrank.svd import PlainSvd, WhitenedSvd
from summand.compress.solve.lowrank.weighting import Weighting, is_singular

__all__ = [
    "Iterative",
    "PlainSvd",
    "Weighting",
    "WhitenedSvd",
    "is_singular",
    "output_loss",
    "requantisation",
    "solve_alone",
]
