"""Stored runs: they come back equal, replace older ones, and bad ones are named."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.synth.runs import RunError, SynthesisRun, add_runs, load_runs

RUN = SynthesisRun(
    config=EngineConfig(cols=2, depth=16, stream_bits=32),
    part="LFE5U-85F",
    speed_grade=6,
    mhz=180.0,
    seed=1,
    luts=4000,
    ffs=3500,
    lut_rams=100,
    block_rams=3,
    dsps=2,
    cells={"LUT4": 2000},
    fmax_mhz=130.25,
    path="a -> b: 7.60 ns (2.00 logic, 5.60 routing, 5 cells)",
    yosys="0.70",
    nextpnr="0.11",
    verilog="0" * 64,
    yosys_s=20.5,
    nextpnr_s=60.0,
)

counts = st.integers(0, 1 << 20)


@given(
    luts=counts,
    block_rams=counts,
    seed=counts,
    fmax_mhz=st.floats(1, 1000),
    path=st.text(),
    cells=st.dictionaries(st.text(min_size=1), counts),
)
def test_json_gives_the_run_back(**changes):
    run = dataclasses.replace(RUN, **changes)
    line = run.to_json()
    assert len(line.splitlines()) == 1
    assert SynthesisRun.from_json(line) == run


def test_a_store_holds_each_run_once(tmp_path):
    store = tmp_path / "runs.jsonl"
    other = dataclasses.replace(RUN, seed=2)
    add_runs([other, RUN], store)
    assert load_runs(store) == [RUN, other]
    newer = dataclasses.replace(RUN, luts=3900, verilog="1" * 64)
    add_runs([newer], store)
    assert load_runs(store) == [newer, other]
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]


def test_equal_runs_give_equal_bytes(tmp_path):
    runs = [dataclasses.replace(RUN, seed=seed) for seed in (3, 1, 2)]
    add_runs(runs, tmp_path / "a")
    for run in sorted(runs, key=lambda run: run.seed):
        add_runs([run], tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_refused(tmp_path):
    store = tmp_path / "runs.jsonl"
    with pytest.raises(RunError, match=r"cannot read .*runs\.jsonl"):
        load_runs(store)
    raw = json.loads(RUN.to_json())
    bad = ("{", "[]", json.dumps({**raw, "more": 1}), json.dumps({**raw, "config": {"rows": 0}}))
    for line in bad:
        store.write_text(f"{RUN.to_json()}\n{line}\n")
        with pytest.raises(RunError, match=r"runs\.jsonl, line 2: not a stored run"):
            load_runs(store)
    with pytest.raises(RunError, match="cannot write"):
        add_runs([RUN], tmp_path / "nowhere" / "runs.jsonl")
