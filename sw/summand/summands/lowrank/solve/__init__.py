"""Solvers of the low-rank summand, one a module."""

from summand.summands.lowrank.solve.iterative import Iterative
from summand.summands.lowrank.solve.svd import PlainSvd, WhitenedSvd

__all__ = ["Iterative", "PlainSvd", "WhitenedSvd"]
