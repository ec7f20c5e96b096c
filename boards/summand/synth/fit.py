"""Fit the model of resources to the stored runs: ``python -m summand.synth.fit``."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from summand.families.base import ModelledCells
from summand.families.registry import DEFAULT_FAMILY, FAMILIES, find_family
from summand.isa import EngineConfig, SummandError
from summand.synth.coefficients import HeldOutError, Model, ModelError
from summand.synth.estimate import modelled_cells
from summand.synth.model import period_terms, structure
from summand.synth.runs import SynthesisRun, load_runs

__all__ = ["fit", "inexact", "main"]

_Terms = Callable[[EngineConfig], Mapping[str, float]]
_Array = npt.NDArray[np.float64]


def fit(runs: Sequence[SynthesisRun], cells: ModelledCells) -> Model:
    """Fit coefficients, none negative, to relative errors; leave out each engine in turn.

    An engine that is stored several times counts once: its cells are equal, and its clock is the
    median of its seeds' on the slowest speed grade that is stored.

    Raises
    ------
    ModelError
        If there are fewer runs than terms.
    """
    counted = {run.config: run for run in runs}
    grade = min((run.speed_grade for run in runs), default=0)
    clocks: dict[EngineConfig, list[float]] = {}
    for run in runs:
        if run.fmax_mhz is not None and run.speed_grade == grade:
            clocks.setdefault(run.config, []).append(1e3 / run.fmax_mhz)
    figures: dict[str, tuple[_Terms, dict[EngineConfig, float]]] = {
        "luts": (
            lambda config: structure(config, cells).luts,
            {config: run.luts for config, run in counted.items()},
        ),
        "ffs": (
            lambda config: structure(config, cells).ffs,
            {config: run.ffs for config, run in counted.items()},
        ),
        "period_ns": (
            period_terms,
            {config: float(np.median(periods)) for config, periods in clocks.items()},
        ),
    }
    coefficients, errors = {}, {}
    for name, (terms, values) in figures.items():
        if values or name != "period_ns":  # families that are counted only have no clocks
            coefficients[name], errors[name] = _fit(name, terms, values)
    return Model(coefficients=coefficients, errors=errors)


def inexact(runs: Sequence[SynthesisRun], cells: ModelledCells) -> list[str]:
    """Return one line for each count of memories or multipliers that a formula gets wrong."""
    wrong = []
    for run in runs:
        has = structure(run.config, cells)
        counted = {name: getattr(has, name) for name in ("lut_rams", "block_rams", "dsps")}
        wrong += [
            f"{run.config.digest}: {name} {count}, stored {getattr(run, name)}"
            for name, count in counted.items()
            if count != getattr(run, name)
        ]
    return wrong


def _fit(
    name: str, terms: _Terms, values: Mapping[EngineConfig, float]
) -> tuple[dict[str, float], HeldOutError]:
    rows = [terms(config) for config in values]
    # What no engine has gets no coefficient, rather than a wrong one.
    met = [term for term in (rows[0] if rows else ()) if any(row[term] for row in rows)]
    rows = [{term: row[term] for term in met} for row in rows]
    if not rows or len(rows) <= len(rows[0]):
        raise ModelError(f"{len(rows)} runs are too few for the terms of {name}; store more")
    # Each row is divided by its target, because relative errors are to be small.
    target = np.array(list(values.values()))
    matrix = np.array([list(row.values()) for row in rows], dtype=float) / target[:, None]
    everything = _solve(matrix)
    held_out = []
    for n in range(len(matrix)):
        others = np.delete(matrix, n, axis=0)
        held_out.append(abs(float(matrix[n] @ _solve(others)) - 1))
    error = HeldOutError(
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
    parser.add_argument(
        "--family", default=DEFAULT_FAMILY.name, metavar="|".join(FAMILIES), help="whose model"
    )
    parser.add_argument("--store", type=Path, metavar="FILE", help="runs, if not the family's own")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="model, if not the family's")
    options = parser.parse_args(argv)
    try:
        cells = modelled_cells(find_family(options.family))
        out = options.out or cells.model
        runs = load_runs(options.store or cells.runs)
        wrong = inexact(runs, cells)
        model = fit(runs, cells)
        out.write_text(model.to_json())
    except SummandError as e:
        sys.stderr.write(f"{parser.prog}: {e}\n")
        return 2
    except OSError as e:
        sys.stderr.write(f"{parser.prog}: cannot write {e.filename}: {e.strerror}\n")
        return 2
    for name, error in model.errors.items():
        sys.stdout.write(f"{name}: {error} engines\n")
    for line in wrong:
        sys.stdout.write(f"not exact: {line}\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
