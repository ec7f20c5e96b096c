"""Count the tiles of Summand models' sparse summands whose weights are all 0.

    python tools/zero_tiles.py build/quality/2of4-4-bits build/quality/SDQ-7of8

A tile is what a sparse segment streams with one index: ``--depth`` inputs of ``--cols`` outputs.
"""

import argparse
import sys
from pathlib import Path

from summand.model import Layer, SummandModel
from summand.summands.dense import Dense
from summand.summands.outliers import Outliers


def zeros(layer: Layer, depth: int, cols: int) -> tuple[int, int]:
    """Return how many whole tiles of a layer's sparse summands are 0, and how many there are."""
    none = every = 0
    for summand in layer.summands:
        if isinstance(summand, Dense | Outliers) and summand.pattern is not None:
            k, n = (
                size // unit
                for size, unit in zip(summand.weights.shape, (depth, cols), strict=True)
            )
            tiles = summand.weights[: k * depth, : n * cols].reshape(k, depth, n, cols)
            none += k * n - int(tiles.any(axis=(1, 3)).sum())
            every += k * n
    return none, every


def main() -> None:
    """Print a line a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--depth", type=int, default=32)
    parser.add_argument("--cols", type=int, default=8)
    given = parser.parse_args()
    for path in given.models:
        found = [zeros(layer, given.depth, given.cols) for layer in SummandModel(path).layers()]
        none, every = map(sum, zip(*found, strict=True))
        sys.stdout.write(f"{path}: {none} of {every} tiles are 0\n")


if __name__ == "__main__":
    main()
