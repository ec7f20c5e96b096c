"""The smallest stored engine, synthesised again, must not have grown."""

import pytest

from summand.synth.engine import measure_ecp5
from summand.synth.flow import PlaceOptions
from summand.synth.runs import load_runs
from summand.synth.sweep import POINTS

#: Factor by which cells may grow without new stored runs.
GROWTH = 1.03


def test_stored_runs_are_of_the_sweep():
    """So the sweep can repeat each of them."""
    points = {(p.config, p.options.part, p.options.speed_grade, p.seed) for p in POINTS}
    runs = {(r.config, r.part, r.speed_grade, r.seed) for r in load_runs()}
    assert runs
    assert runs <= points


@pytest.mark.needs("yosys", "nextpnr")
def test_a_small_engine_has_not_grown(tmp_path):
    stored = min(load_runs(), key=lambda run: run.luts)
    options = PlaceOptions(part=stored.part, speed_grade=stored.speed_grade, route=False)
    made = measure_ecp5(stored.config, tmp_path, options)
    used = made.placements[0].used
    grown = {
        cell: f"{before} -> {used[cell]}"
        for cell, before in (("TRELLIS_COMB", stored.luts), ("TRELLIS_FF", stored.ffs))
        if used[cell] > GROWTH * before
    }
    assert not grown, (
        f"grown: {grown} (stored with Yosys {stored.yosys}, made with {made.netlist.tool}). Where "
        "that is meant: python -m summand.synth.sweep, python -m summand.synth.fit, and commit "
        "what they wrote"
    )
