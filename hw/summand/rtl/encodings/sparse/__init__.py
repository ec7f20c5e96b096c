"""Reads dense and N:M sparse segments: their words, from chunks that are gathered ahead."""

from summand.rtl.encodings.sparse.planner import PlanPort
from summand.rtl.encodings.sparse.reader import SparseReader

__all__ = ["PlanPort", "SparseReader"]
