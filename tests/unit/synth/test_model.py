"""The model of resources: exact for memories, near elsewhere, and stating its errors."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.boards.library import packaged_boards
from summand.families.ecp5.family import ECP5
from summand.families.parts import find_part
from summand.families.registry import FAMILIES
from summand.families.xilinx import XILINX7
from summand.isa import ConfigError, EngineConfig
from summand.synth.coefficients import Model, ModelError, load_model
from summand.synth.estimate import estimate, fits, modelled_cells
from summand.synth.fit import fit
from summand.synth.model import structure
from summand.synth.runs import load_runs

CELLS = modelled_cells(ECP5)
SMALL = EngineConfig(cols=2, depth=16, stream_bits=32, acc_depth=256, act_depth=32)

families = pytest.mark.parametrize(
    "family", [f for f in FAMILIES.values() if f.modelled], ids=lambda family: family.name
)

configs = st.builds(
    EngineConfig,
    rows=st.integers(1, 16),
    cols=st.sampled_from([4, 8, 16]),
    depth=st.sampled_from([64, 128]),
    stream_bits=st.sampled_from([64, 128, 256]),
    acc_depth=st.sampled_from([64, 1024, 4096]),
    shift=st.integers(0, 8),
    half_steps=st.booleans(),
    border_shift=st.integers(0, 7),
)


@families
def test_held_out_errors_are_within_what_is_aimed_at(family):
    errors = load_model(modelled_cells(family).model).errors
    assert errors["luts"].mean < 0.08
    assert errors["ffs"].mean < 0.08
    assert ("period_ns" in errors) == (family.flow is not None)
    if family.flow:
        assert errors["period_ns"].mean < 0.15


@families
@pytest.mark.needs("scipy")
def test_the_model_is_the_fit_of_the_stored_runs(family):
    cells = modelled_cells(family)
    fitted, stored = fit(load_runs(cells.runs), cells), load_model(cells.model)
    assert fitted.errors.keys() == stored.errors.keys()
    for figure, terms in stored.coefficients.items():
        assert fitted.coefficients[figure] == pytest.approx(terms, rel=1e-3, abs=1e-3)


@families
def test_estimates_are_near_stored_runs(family):
    for run in load_runs(modelled_cells(family).runs):
        found = estimate(run.config, family)
        assert found.luts == pytest.approx(run.luts, rel=0.08)
        assert found.ffs == pytest.approx(run.ffs, rel=0.08)


def test_a_counted_family_has_no_clock():
    assert estimate(SMALL, XILINX7).fmax_mhz is None


@pytest.mark.parametrize(
    ("field", "value", "title"),
    [("half_steps", True, "half steps"), ("digit_bits", 4, "digit [a-z]+")],
)
def test_what_no_stored_run_has_is_refused_by_name(field, value, title):
    """Rather than taken to cost nothing."""
    runs = [run for run in load_runs(CELLS.runs) if not getattr(run.config, field)]
    model = fit(runs, CELLS)
    estimate(SMALL, ECP5, model)
    with pytest.raises(ModelError, match=f"no stored run of this family tells what {title} take"):
        estimate(dataclasses.replace(SMALL, **{field: value}), ECP5, model)


def test_where_no_run_with_a_part_was_placed_there_is_no_clock():
    runs = [run for run in load_runs(CELLS.runs) if not (run.config.digit_bits and run.fmax_mhz)]
    config = dataclasses.replace(SMALL, digit_bits=4)
    found = estimate(config, ECP5, fit(runs, CELLS))
    assert found.luts > 0
    assert found.fmax_mhz is None
    assert "fmax_mhz" not in found.errors


@given(config=configs)
def test_more_rows_take_more(config):
    less = estimate(config, ECP5)
    more = estimate(dataclasses.replace(config, rows=config.rows + 1), ECP5)
    assert more.luts > less.luts
    assert more.ffs > less.ffs
    assert more.lut_rams > less.lut_rams
    assert more.block_rams >= less.block_rams
    assert more.fmax_mhz is not None
    assert less.fmax_mhz is not None
    assert more.fmax_mhz <= less.fmax_mhz


@pytest.mark.parametrize(
    ("acc_depth", "blocks"), [(256, 2), (512, 2), (1024, 4), (2048, 8), (4096, 16)]
)
def test_accumulators_take_whole_block_rams(acc_depth, blocks):
    """64 bits of two columns, in words of 36, 18, 9 and 4 bits."""
    config = dataclasses.replace(SMALL, acc_depth=acc_depth)
    others = structure(SMALL, CELLS).block_rams - 2
    assert structure(config, CELLS).block_rams == others + blocks


@pytest.mark.parametrize("board", packaged_boards().values(), ids=list(packaged_boards()))
def test_boards_engines_fit(board):
    fits(board.engine, board.chip.part)


def test_what_does_not_fit_is_told_with_a_remedy_that_fits():
    big = EngineConfig(rows=64, cols=4, depth=64, stream_bits=128)
    with pytest.raises(ConfigError) as refused:
        fits(big, find_part("LFE5U-85F"))
    said = str(refused.value)
    assert f"does not fit the {find_part('LFE5U-85F').name}, by the model" in said
    assert "look-up tables of 83,640" in said
    assert "held-out" in said
    rows = re.search(r"rows from 64 to (\d+)", said)
    assert rows
    fits(dataclasses.replace(big, rows=int(rows[1])), find_part("LFE5U-85F"))
    with pytest.raises(ConfigError):
        fits(dataclasses.replace(big, rows=int(rows[1]) + 1), find_part("LFE5U-85F"))


def test_memory_alone_may_be_too_much():
    with pytest.raises(ConfigError, match=r"block RAMs of 208.*acc_depth from 16384 to"):
        fits(
            EngineConfig(rows=2, cols=8, depth=32, stream_bits=128, acc_depth=16384),
            find_part("LFE5U-85F"),
        )


def test_a_model_that_cannot_be_used(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read .*none\.json"):
        load_model(tmp_path / "none.json")
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    with pytest.raises(ModelError, match=r"bad\.json: not a model"):
        load_model(bad)
    stored = load_model(CELLS.model)
    older = Model(coefficients={**stored.coefficients, "luts": {"rows": 1.0}}, errors=stored.errors)
    with pytest.raises(ModelError, match="terms of luts are not this version's; fit it again"):
        estimate(SMALL, ECP5, older)
    assert Model.from_json(stored.to_json()) == stored


def test_too_few_runs_are_told():
    with pytest.raises(ModelError, match="too few for the terms of luts"):
        fit(load_runs(CELLS.runs)[:2], CELLS)


def test_families_without_a_model_are_told():
    with pytest.raises(ModelError, match="no model of resources for Lattice ECP5"):
        estimate(SMALL, dataclasses.replace(ECP5, modelled=None))


def test_what_has_no_term_is_refused_and_no_part_is_too_small_for_it():
    config = dataclasses.replace(SMALL, operand_depth=256)
    with pytest.raises(ModelError, match=r"no term for operand_depth \(256\); .* --no-route"):
        estimate(config, ECP5)
    fits(dataclasses.replace(config, rows=64), find_part("LFE5U-85F"))


@families
@pytest.mark.parametrize("results", [{"limb_bits": 4}, {"limb_bits": 8}, {"bin_tiles": 4}])
def test_other_forms_of_results_take_cells_once_for_all_rows(family, results):
    taken = []
    for rows in (1, 4):
        plain = dataclasses.replace(SMALL, rows=rows)
        less = estimate(plain, family)
        more = estimate(dataclasses.replace(plain, **results), family)
        assert (more.lut_rams, more.block_rams) == (less.lut_rams, less.block_rams)
        taken.append((more.luts - less.luts, more.ffs - less.ffs))
    assert min(taken[0]) > 0
    assert taken[1] == pytest.approx(taken[0], abs=1)  # figures are rounded


@pytest.mark.parametrize("block", [4, 8, 16])
def test_sparse_segments_take_cells_once_for_all_rows(block):
    taken = []
    for rows in (1, 4):
        dense = dataclasses.replace(SMALL, rows=rows)
        less = estimate(dense, ECP5)
        more = estimate(dataclasses.replace(dense, sparse_block=block), ECP5)
        taken.append((more.luts - less.luts, more.ffs - less.ffs, more.lut_rams - less.lut_rams))
    assert min(taken[0]) > 0
    assert taken[1] == pytest.approx(taken[0], abs=1)  # figures are rounded
