import dataclasses
import json

import pytest

from summand.bench import tokens_per_gb
from summand.bench.measure import Run
from summand.bench.projection import project
from summand.bench.report import comparison, report
from summand.bench.suite import Options, Suite
from summand.boards.configurations import Named
from summand.boards.library import find_board
from summand.isa import SummandError
from summand.isa.packets import Counters
from summand.runtime import Usage
from summand.runtime.memory.traffic import LinkTraffic
from summand.verilated import ToolError


@pytest.fixture
def named(engine):
    return Named("small", engine)


def modelled(model, named):
    return Suite(model, Options(simulate=False)).run(named)


def test_law_alone(model, named):
    outcome = modelled(model, named)
    assert [(p.name, p.tokens) for p in outcome.phases] == [("decode", 1), ("prefill", 2)]
    assert not outcome.wrong
    for phase in outcome.phases:
        assert phase.equal is None
        assert phase.measured is None
        assert phase.total.macs == phase.tokens * (
            40 * 150 + 2 * (40 * 30 + 4 * 70 + 40 * 10 + 30 * 40)
        )
        assert 0 < (phase.total.stream_share or 0) < 1


def test_one_row_has_no_prefill_of_its_own(model, engine):
    single = Named("single", dataclasses.replace(engine, rows=1))
    assert [p.name for p in modelled(model, single).phases] == ["decode"]


@pytest.mark.sim
def test_simulated_verilog_equals_the_law(model, named):
    steps = []
    suite = Suite(model, Options(stall=0.2, seed=3), lambda *step: steps.append(step))
    outcome = suite.run(named)
    assert outcome.error == ""
    assert [p.equal for p in outcome.phases] == [True, True]
    assert not outcome.wrong
    # No Hugging Face model, so no tokens.
    assert outcome.written is None
    assert "compressed from a bare module" in outcome.untimed
    stalled = outcome.stalled
    assert stalled is not None
    assert stalled.law_equal
    free, slow = outcome.phases[0].total, stalled.run.total
    assert slow.counters.cycles > free.counters.cycles
    assert stalled.withheld == pytest.approx(free.beats * 0.25, rel=0.1)
    assert outcome.extra_share is not None
    assert abs(outcome.extra_share) < 0.1
    run = outcome.phases[0].measured
    assert run is not None
    assert run.seconds >= run.device_seconds > 0
    assert {what for what, done, total in steps if done == total} >= {
        "small: packing weights",
        "small: decode",
        "small: prefill",
        "small: decode with stalls",
    }


def test_packed_for_another_engine(model, engine):
    other = Named("other", dataclasses.replace(engine, shift=0))
    suite = Suite(model, Options(simulate=False))
    outcome = suite.run(other)
    assert "acc_shift 3, but the engine's shift is 0" in outcome.error
    assert outcome.wrong
    assert suite.run(Named("good", engine)).error == ""
    projected = suite.project(find_board("ecpix5-85f"))
    assert "but the engine's shift is 4" in projected.error


def test_a_law_that_differs_is_wrong(model, named):
    outcome = modelled(model, named)
    phase = outcome.phases[0]
    measured = Run(usage=phase.modelled, seconds=1, device_seconds=1)
    good = dataclasses.replace(phase, measured=measured)
    bad = dataclasses.replace(good, modelled={"x": Usage()})
    assert not dataclasses.replace(outcome, phases=(good,)).wrong
    assert dataclasses.replace(outcome, phases=(good, bad)).wrong


@pytest.mark.parametrize("stall", [-0.1, 1.0, float("nan")])
def test_impossible_stalls(stall):
    with pytest.raises(SummandError, match="stall must be at least 0 and less than 1"):
        Options(stall=stall)


def test_stalls_need_the_simulator():
    with pytest.raises(SummandError, match="leave out either --stall or --modelled"):
        Options(stall=0.1, simulate=False)


def test_missing_simulator_is_found_first(model, monkeypatch):
    def missing():
        raise ToolError("simulation needs g++")

    monkeypatch.setattr("summand.bench.suite.find_verilator", missing)
    with pytest.raises(ToolError, match=r"simulation needs g\+\+"):
        Suite(model, Options())
    Suite(model, Options(simulate=False))


def test_report_is_json_and_says_where_each_figure_is_from(model, named, engine):
    suite = Suite(model, Options(simulate=False))
    wide = Named("wide", dataclasses.replace(engine, rows=4))
    bad = Named("bad", dataclasses.replace(engine, shift=0))
    outcomes = [suite.run(n) for n in (bad, named, wide)]
    whole = report(model, suite.options, outcomes, suite.project_all())
    assert json.loads(json.dumps(whole)) == whole
    small = whole["configurations"][1]
    decode = small["phases"]["decode"]
    assert decode["measured"] is None
    assert decode["modelled"]["counters"] == dataclasses.asdict(
        outcomes[1].phases[0].total.counters
    )
    assert set(decode["layers"]) == {"head", "blocks.*.q+k", "blocks.*.o"}
    assert sum(u["beats"] for u in decode["layers"].values()) == decode["modelled"]["beats"]
    assert small["written"]["source"] is None
    assert small["tokens_s_per_gb_s"]["source"] == "projected"
    assert whole["configurations"][0]["error"]
    assert {board["source"] for board in whole["boards"]} == {"projected"}
    assert len(whole["model"]["sha256"]) == 64


def test_ratios_are_to_the_first_that_could_be_measured(model, named, engine):
    suite = Suite(model, Options(simulate=False))
    bad = Named("bad", dataclasses.replace(engine, shift=0))
    wide = Named("wide", dataclasses.replace(engine, rows=4))
    first, second = comparison([suite.run(n) for n in (bad, named, wide)])
    assert first["relative_to"] == second["relative_to"] == first["name"] == "small"
    assert (first["decode"], first["prefill"]) == (1, 1)
    assert second["decode"] == pytest.approx(1, rel=0.05)
    assert second["prefill"] < 0.9
    assert second["seconds"] is None
    assert comparison([suite.run(named)]) == []


def test_projection_takes_the_smaller_limit_and_the_link_besides():
    board = find_board("ulx3s-85f")
    bits = 8 * 1_000_000
    traffic = LinkTraffic(down=3_000, up=7_000, calls=10)
    link = 10_000 / board.link.bytes_s + 10 * board.link.round_trip_s
    slow = Usage(stream_bits=bits, counters=Counters(cycles=25_000_000))
    found = project(board, slow, traffic)
    assert (found.by_clock, found.limit) == (1, "clock")
    assert found.tokens_s == pytest.approx(1 / (1 + link))
    assert found.by_memory == board.memory.reached_bytes_s / 1e6
    assert found.fits
    quick = Usage(stream_bits=bits * 40, counters=Counters(cycles=25_000))
    found = project(board, quick, traffic)
    assert found.limit == "memory"
    assert found.tokens_s == pytest.approx(1 / (1 / found.by_memory + link))
    assert not found.fits
    busy = project(board, slow, LinkTraffic(down=10**9))
    assert busy.limit == "link"


def test_tokens_per_gigabyte():
    token = Usage(counters=Counters(cycles=1_000_000))
    assert tokens_per_gb(token, 256) == 1e9 / 32e6
