"""The smallest stored engine, synthesised again, must not have grown."""

import dataclasses

import pytest

from summand.families.flow import PlaceOptions
from summand.families.registry import FAMILIES
from summand.synth.estimate import modelled_cells
from summand.synth.measure import measure, measure_placed
from summand.synth.runs import load_runs
from summand.synth.sweep import points_of

#: Factor by which cells may grow without new stored runs.
GROWTH = 1.03


families = pytest.mark.parametrize(
    "family", [family for family in FAMILIES.values() if family.modelled], ids=lambda f: f.name
)


@families
def test_stored_runs_are_of_the_sweep(family):
    """So that the sweep can make each anew."""
    points = {point.key for point in points_of(family)}
    runs = {run.key for run in load_runs(modelled_cells(family).runs)}
    assert runs
    assert runs <= points


@families
@pytest.mark.needs("yosys", "nextpnr")
def test_a_small_engine_has_not_grown(family, tmp_path):
    runs = load_runs(modelled_cells(family).runs)
    if family.flow is None:
        stored = min(runs, key=lambda run: run.luts)
        made = measure(stored.config, tmp_path, family=family, technology=family.technology)
        used = dataclasses.asdict(made.netlist.counts)
    else:
        first = family.chips[0]
        stored = min((run for run in runs if run.part == first.part.name), key=lambda r: r.luts)
        options = PlaceOptions(chip=first, route=False)
        made = measure_placed(stored.config, tmp_path, options, technology=family.technology)
        used = made.placements[0].cells.used
    grown = {
        kind: f"{before} -> {used[kind]}"
        for kind, before in (("luts", stored.luts), ("ffs", stored.ffs))
        if used[kind] > GROWTH * before
    }
    assert not grown, (
        f"grown: {grown} (stored with Yosys {stored.yosys}, made with {made.netlist.tool}). Where "
        "that is meant: python -m summand.synth.sweep, python -m summand.synth.fit, and commit "
        "what they wrote"
    )
