"""Whether N:M patterns and outliers are worth their bits: errors of layers' outputs over bits.

    python tools/sparsity_pays.py [--blocks 5 20] [--no-rotate]

On the layers and texts of ``rank_pays.py``, and with its columns: "dense" is the error of a mix of
dense layers of the nearest sizes at the same bits.
"""

import argparse

from rank_pays import Case, Point, cases, show

from summand.compress.solve.summands import solve_summands
from summand.compress.workers.parallel import in_parallel
from summand.recipe.choice import Choice
from summand.recipe.options import Options
from summand.summands.registry import kind_of

#: Variants by their names, as options.
DENSE = {f"{bits} bits": Options(bits=bits) for bits in (2, 3, 4, 5)}
SPARSE = {
    f"{bits} bits + {pattern}": Options(bits=bits, sparsity=pattern)
    for bits, pattern in ((3, "2:4"), (4, "2:4"), (8, "2:4"), (4, "6:8"), (4, "14:16"))
} | {"4 bits + 2:4 by wanda": Options(sparsity="2:4", sparsity_score="wanda")}
OUTLIERS = {
    f"{bits} bits + outliers {pattern} of {wide}": Options(
        bits=bits, outliers=pattern, outlier_bits=wide
    )
    for bits, pattern, wide in (
        (2, "1:16", 8),
        (2, "1:16", 3),
        (3, "1:16", 8),
        (3, "1:16", 4),
        (3, "1:16", 3),
        (3, "1:8", 3),
    )
}
BOTH = {
    f"{bits} bits + {pattern} + outliers {few} of 8": Options(
        bits=bits, sparsity=pattern, outliers=few
    )
    for bits, pattern, few in ((4, "6:8", "1:8"), (4, "2:4", "1:4"))
}


def measure(case: Case) -> dict[str, Point]:
    """Measure all variants of a layer."""
    points: dict[str, Point] = {}
    for name, options in (DENSE | SPARSE | OUTLIERS | BOTH).items():
        chosen = [(s, kind_of(s).method(s, None)) for s in Choice.of(options, head=False).summands]
        found = solve_summands(case.weight, case.inputs, chosen, acc_bits=31)
        points[name] = case.point(found.summands, found.unit)
    return points


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Whether sparsity is worth its bits.")
    parser.add_argument("--blocks", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--no-rotate", action="store_true")
    given = parser.parse_args()
    some = list(cases(given.blocks, rotate=not given.no_rotate))
    show(list(in_parallel(measure, some)))


if __name__ == "__main__":
    main()
