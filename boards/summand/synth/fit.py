"""Fit the model of resources to the stored runs: ``python -m summand.synth.fit``."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig, SummandError
from summand.synth.model import (
    MODEL,
    Error,
    Model,
    ModelError,
    block_rams,
    dsps,
    ff_terms,
    lut_rams,
    lut_terms,
    period_terms,
)
from summand.synth.runs import STORE, Run, load_runs

__all__ = ["fit", "inexact", "main"]

_Terms = Callable[[EngineConfig], Mapping[str, float]]
_Array = npt.NDArray[np.float64]

#: The grade whose clock is modelled.
_GRADE = 6


def fit(runs: Sequence[Run]) -> Model:
    """Fit coefficients, none negative, to relative errors; leave out each engine in turn.

    An engine that is stored several times counts once: its cells are equal, and its clock is the
    median of its seeds'.

    Raises
    ------
    ModelError
        If there are fewer runs than terms.
    """
    counted = {run.config: run for run in runs}
    clocks: dict[EngineConfig, list[float]] = {}
    for run in runs:
        if run.fmax_mhz is not None and run.speed_grade == _GRADE:
            clocks.setdefault(run.config, []).append(1e3 / run.fmax_mhz)
    figures: dict[str, tuple[_Terms, dict[EngineConfig, float]]] = {
        "luts": (lut_terms, {config: run.luts for config, run in counted.items()}),
        "ffs": (ff_terms, {config: run.ffs for config, run in counted.items()}),
        "period_ns": (
            period_terms,
            {config: float(np.median(periods)) for config, periods in clocks.items()},
        ),
    }
    coefficients, errors = {}, {}
    for name, (terms, values) in figures.items():
        coefficients[name], errors[name] = _fit(name, terms, values)
    return Model(coefficients=coefficients, errors=errors)


def inexact(runs: Sequence[Run]) -> list[str]:
    """Return what the formulas of memories and multipliers get wrong, in words."""
    return [
        f"{run.config.digest}: {name} {formula(run.config)}, stored {getattr(run, name)}"
        for run in runs
        for name, formula in (("lut_rams", lut_rams), ("block_rams", block_rams), ("dsps", dsps))
        if formula(run.config) != getattr(run, name)
    ]


def _fit(
    name: str, terms: _Terms, values: Mapping[EngineConfig, float]
) -> tuple[dict[str, float], Error]:
    rows = [terms(config) for config in values]
    if not rows or len(rows) <= len(rows[0]):
        raise ModelError(f"{len(rows)} runs are too few for the terms of {name}; store more")
    # Divided by what they should sum to, so that relative errors are what is made small.
    target = np.array(list(values.values()))
    matrix = np.array([list(row.values()) for row in rows], dtype=float) / target[:, None]
    everything = _solve(matrix)
    held_out = []
    for n in range(len(matrix)):
        others = np.delete(matrix, n, axis=0)
        held_out.append(abs(float(matrix[n] @ _solve(others)) - 1))
    error = Error(
        mean=round(float(np.mean(held_out)), 4), worst=round(max(held_out), 4), runs=len(held_out)
    )
    return {
        term: round(float(value), 6) for term, value in zip(rows[0], everything, strict=True)
    }, error


def _solve(matrix: _Array) -> _Array:
    """Return coefficients, none negative, with which each row sums to one as nearly as can be."""
    from scipy.optimize import nnls  # here: an extra that only fitting needs

    scale = np.abs(matrix).max(axis=0)
    scale[scale == 0] = 1
    solution, _ = nnls(matrix / scale, np.ones(len(matrix)))
    return solution / scale


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status, 1 if a formula is not exact."""
    parser = argparse.ArgumentParser(
        prog="python -m summand.synth.fit", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--store", type=Path, default=STORE, metavar="FILE", help="stored runs")
    parser.add_argument("-o", "--out", type=Path, default=MODEL, metavar="FILE", help="the model")
    options = parser.parse_args(argv)
    try:
        runs = load_runs(options.store)
        wrong = inexact(runs)
        model = fit(runs)
        options.out.write_text(model.to_json())
    except SummandError as e:
        sys.stderr.write(f"{parser.prog}: {e}\n")
        return 2
    except OSError as e:
        sys.stderr.write(f"{parser.prog}: cannot write {options.out}: {e.strerror}\n")
        return 2
    for name, error in model.errors.items():
        sys.stdout.write(f"{name}: {error} engines\n")
    for line in wrong:
        sys.stdout.write(f"not exact: {line}\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
