"""Random engines in the native simulator: more programs than cocotb has time for."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from summand.cosim.output import check_counters
from summand.golden import GoldenEngine, without_counters
from summand.isa import EngineConfig
from summand.isa.commands import Gemm, Store
from summand.isa.segments import Segment
from summand.rtl import (
    borders,
    cast,
    drain,
    elements,
    encodings,
    engine,
    extremes,
    front,
    gearbox,
    gemms,
    limbs,
    operand,
    requantise,
    resettable,
    targets,
    walker,
)
from summand.rtl.elements.digits import array as digit_array
from summand.rtl.elements.digits import columns, loader, turner
from summand.rtl.elements.tables import array, inputs
from summand.rtl.emit import emit_verilog
from summand.rtl.encodings.sparse import expander, funnel, places, planner, reader
from summand.rtl.feeds.axi import MODULE, AxiEngine
from summand.stimulus.builder import ProgramBuilder, TestProgram
from summand.stimulus.corruptions import corrupt, corruptions
from summand.stimulus.engines import CORNERS, random_config
from summand.stimulus.programs import random_program
from summand.verilated import SimDevice, SimTimeout, build

pytestmark = pytest.mark.sim

STALLS = (0.0, 0.3, 0.9)


def numbered(number: int) -> EngineConfig:
    """Return one of the random engines."""
    return random_config(np.random.default_rng([2, number]))


ENGINES = CORNERS | {f"random-{number}": numbered(number) for number in (4, 5, 7)}


def programs(config: EngineConfig, count: int = 60) -> Iterator[tuple[int, TestProgram]]:
    """Yield an engine's ordinary programs, each with its entry of :data:`STALLS`."""
    for n in range(count):
        rng = np.random.default_rng([3, n])
        commands, max_words = int(rng.integers(4, 40)), int(rng.choice([8, 64, 400]))
        yield n % len(STALLS), random_program(rng, config, commands=commands, max_words=max_words)


def check(device: SimDevice, program: TestProgram) -> None:
    """Run a program from reset, and expect the golden output and not a beat more."""
    device.write_register("reset", 1)
    device.write(program.chunks)
    got = device.read(len(program.output), 60)
    assert without_counters(got, program.config) == program.output
    check_counters(got, program.config)
    with pytest.raises(SimTimeout, match="^0 of 1 bytes"):
        device.read(1, 60)


@pytest.mark.parametrize("name", ENGINES)
def test_engine_matches_golden(name):
    config = ENGINES[name]
    devices = [SimDevice(config, stall=stall, seed=1) for stall in STALLS]
    for stall, program in programs(config, 36):
        check(devices[stall], program)
    rng = np.random.default_rng(4)
    for n, bad in enumerate(corruptions(config)):
        device = devices[n % len(devices)]
        check(device, corrupt(rng, random_program(rng, config, commands=3), bad))
        assert device.read_register("status") == bad.code << 8


def stores_behind_walks(config: EngineConfig) -> TestProgram:
    """Return a program in which each STORE reads what the last word in front of it adds."""
    rng = np.random.default_rng(5)
    builder = ProgramBuilder(config)
    builder.load(0, rng.integers(config.act_min, config.act_max, (1, config.depth)))
    for planes in range(1, 9):
        segment = Segment(tile=0, tiles=1, planes=planes, clear=True)
        words = rng.bytes(planes * config.plane_beats * config.beat_bytes)
        builder.gemm(Gemm(0, 1, (segment,)), words)
        builder.store(Store(0, 1, 1, planes))
    return builder.finish()


#: Headers of one beat, so that no time is lost between the commands.
SHORT = EngineConfig(cols=2, depth=64, stream_bits=128, acc_depth=16, act_depth=2)


@pytest.mark.parametrize("digit_bits", [0, 2, 4])
def test_a_store_reads_the_sum_of_the_word_before_it(digit_bits):
    config = dataclasses.replace(SHORT, digit_bits=digit_bits)
    check(SimDevice(config), stores_behind_walks(config))


def test_a_store_that_does_not_rest_reads_too_early(mutant, monkeypatch):
    config = dataclasses.replace(SHORT, digit_bits=4)
    hasty = mutant(drain, "Drain", "asks & ~begun", "asks")
    monkeypatch.setattr(engine, "Drain", hasty)
    text = emit_verilog(AxiEngine(config), name=MODULE, config=config)
    monkeypatch.setattr(build, "engine_verilog", lambda _: text)
    assert differs(SimDevice(config), stores_behind_walks(config))


#: Mistakes that only some programs show: the class's user, its module, and one place in it.
MISTAKES = {
    "a-group-longer-than-any-walk-keeps-its-low-bits": (
        front,
        (
            gemms,
            "GemmReader",
            "(header.d == 0) | exceeds(header.d, cfg.act_depth)",
            "header.d == 0",
        ),
    ),
    "a-gemm-does-not-wait-for-a-store": (
        engine,
        (
            front,
            "Front",
            "with m.Elif(self.drain.reading & self.segments.conflict):",
            "with m.Elif(0):",
        ),
    ),
    "half-steps-take-the-sum-of-the-slice-before": (
        array,
        (inputs, "InputSum", "self.entry == ENTRIES - 1", "self.entry == 1"),
    ),
    "the-plane-of-ones-meets-the-first-word": (
        array,
        (inputs, "InputSum", "self.entry == ENTRIES - 1", "self.entry == 8"),
    ),
    "half-steps-end-a-word-early": (
        array,
        (
            inputs,
            "InputSum",
            "delayed(m, self.half_step, tree - 1,",
            "delayed(m, self.half_step, tree - 2,",
        ),
    ),
    "a-border-is-met-a-slice-late": (
        engine,
        (borders, "BorderTable", "(read.data.slice == here)", "(read.data.slice + 1 == here)"),
    ),
    "a-border-shifts-a-segments-first-tile-only": (
        engine,
        (
            walker,
            "Walker",
            "self.work.border.eq(self.border)",
            "self.work.border.eq(Mux(tile == ring.entry.tile, self.border, 0))",
        ),
    ),
    "a-walk-has-one-border": (
        engine,
        (borders, "BorderTable", "with m.If(self.shift != 0):", "with m.If(0):"),
    ),
    "borders-begin-where-the-walk-before-ended": (
        engine,
        (borders, "BorderTable", "[here.eq(0), read.addr.eq(0)]", "here.eq(0)"),
    ),
    "a-tile-begins-behind-the-last-limb-of-the-one-before": (
        gearbox,
        (limbs, "LimbCutter", "Mux(last, 0, index + 1)", "index + 1"),
    ),
    "an-extreme-gives-way-to-its-equal": (
        engine,
        (extremes, "ExtremeFinder", "(fresh.key > first.key)", "(fresh.key >= first.key)"),
    ),
    "the-next-bin-keeps-what-was-found-in-the-one-before": (
        engine,
        (extremes, "ExtremeFinder", "[sending.eq(0), some.eq(0)]", "sending.eq(0)"),
    ),
    "half-steps-begin-a-segment-early": (
        engine,
        (walker, "Walker", "ring.entry.half_step", "ring.ahead.half_step"),
    ),
    "a-stored-walk-does-not-wait-for-a-cast": (
        front,
        (
            targets,
            "TargetGuard",
            "Mux(casting, self.stored, meets)",
            "Mux(casting, 0, meets)",
        ),
    ),
    "a-load-does-not-wait-for-a-requantise": (
        front,
        (targets, "TargetGuard", "self.acts.eq(self.busy & ~casting)", "self.acts.eq(0)"),
    ),
    "the-words-of-a-stored-walk-are-read-from-the-stream-too": (
        resettable,
        (
            engine,
            "Engine",
            "start & ~front.stored.start if self.config.operand_depth else start",
            "start",
        ),
    ),
    "weights-saturate-as-activations-do": (
        engine,
        (
            requantise,
            "Requantiser",
            "Mux(order.casts, order.cast.planes <= n + 1, cfg.act_bits <= n + 1)",
            "cfg.act_bits <= n + 1",
        ),
    ),
    "a-tile-is-written-before-the-one-before-has-been": (
        requantise,
        (cast, "Caster", "load.eq(full & (~writing | last))", "load.eq(full)"),
    ),
    "a-whole-tile-does-not-wait": (
        requantise,
        (cast, "Caster", "self.i.ready.eq(~full | load)", "self.i.ready.eq(1)"),
    ),
    "a-row-goes-on-where-the-one-before-ended": (
        requantise,
        (cast, "Caster", "Mux(row_ends, first_top, top + planes)", "top + planes"),
    ),
    "all-rows-go-to-the-first-lane": (
        requantise,
        (cast, "Caster", "lane.eq(lane + row_ends)", "lane.eq(lane)"),
    ),
    "a-stored-word-does-not-wait": (
        engine,
        (
            operand,
            "OperandMemory",
            "advance.eq(self.reading & (~held[-1] | self.o.ready))",
            "advance.eq(self.reading)",
        ),
    ),
    "words-that-were-read-ahead-enter-the-next-walk": (
        engine,
        (operand, "OperandMemory", "[self.reading.eq(0), held.eq(0)]", "self.reading.eq(0)"),
    ),
    "the-weights-of-a-group-are-read-before-its-scales": (
        reader,
        (planner, "Planner", "waiting.eq(walks.grouped)", "waiting.eq(0)"),
    ),
    "a-sparse-segments-last-beat-is-not-filled-up": (
        reader,
        (planner, "Planner", "Mux(step & segment_ends, beats << shift, end)", "end"),
    ),
    "more-words-are-made-than-are-held": (
        encodings,
        (reader, "SparseReader", "funnel.room.eq(owed != WORDS_AHEAD)", "funnel.room.eq(1)"),
    ),
    "more-is-ordered-than-has-room": (
        encodings,
        (reader, "SparseReader", "planner.room.eq(planned != GATHERS_AHEAD)", "planner.room.eq(1)"),
    ),
    "chunks-are-gathered-before-they-come": (
        reader,
        (
            funnel,
            "ChunkFunnel",
            "self.orders.ready.eq(came & self.room)",
            "self.orders.ready.eq(self.room)",
        ),
    ),
    "values-beyond-the-kept-ones-are-used": (
        reader,
        (expander, "WordExpander", "value.eq(0)", "value.eq(chunk)"),
    ),
    "places-that-an-index-does-not-have-are-read": (
        expander,
        (places, "KeptPlaces", "if n else last", "if 0 else self.index[end - bits : end]"),
    ),
}

#: The same where DSP blocks multiply digits.
DIGIT_MISTAKES = {
    "a-borrow-is-not-given-back": (
        digit_array,
        (columns, "DigitColumns", "[s[place - 1] for s in packed]", "[Const(0, 1)] * len(packed)"),
    ),
    "each-digit-is-signed": (
        elements,
        (turner, "PlaneTurner", "opens.eq(self.i.last)", "opens.eq(1)"),
    ),
    "half-steps-end-a-digit-early": (
        elements,
        (
            turner,
            "PlaneTurner",
            'self._kept(m, self.i.half_step, "half_step", whole)',
            "self.i.half_step",
        ),
    ),
    "a-tiles-first-word-does-not-stay": (
        engine,
        (walker, "Walker", "stays.eq(~Mux(", "stays.eq(0 & ~Mux("),
    ),
    "activations-change-under-a-slices-last-words": (
        elements,
        (
            loader,
            "DigitLoader",
            'delayed(m, begin, ACCUMULATOR_DISTANCE - 1, "copy")',
            'delayed(m, begin, 1, "copy")',
        ),
    ),
    "a-slice-is-staged-over-the-one-before": (
        elements,
        (loader, "DigitLoader", 'digits.read_ahead, "read"', '0, "read"'),
    ),
    "words-come-before-their-activations": (
        elements,
        (loader, "DigitLoader", "digits.steps - 1,", "0,"),
    ),
    "scales-are-those-of-the-words-before": (
        resettable,
        (engine, "Engine", "2 + element(cfg).turn + ", "2 + "),
    ),
}

#: Each kind, and the random engine on which it is made.
MADE = ((MISTAKES, 5), (DIGIT_MISTAKES, 7))


@pytest.mark.mutants
@pytest.mark.parametrize(
    ("mistake", "number"),
    [
        pytest.param(mistake, number, id=f"{name}-{number}")
        for mistakes, number in MADE
        for name, mistake in mistakes.items()
    ],
)
def test_ordinary_programs_find_a_mistake_in_the_gateware(mistake, number, mutant, monkeypatch):
    config = numbered(number)
    user, (module, component, right, wrong) = mistake
    monkeypatch.setattr(user, component, mutant(module, component, right, wrong))
    text = emit_verilog(AxiEngine(config), name=MODULE, config=config)
    monkeypatch.setattr(build, "engine_verilog", lambda _: text)
    devices = [SimDevice(config, stall=stall, seed=1) for stall in STALLS]
    assert any(differs(devices[stall], program) for stall, program in programs(config))


def test_every_mistake_can_be_made(mutant):
    """So that the search for them, which the suite leaves out, stays about something."""
    for mistakes, _ in MADE:
        for _, (module, component, right, wrong) in mistakes.values():
            mutant(module, component, right, wrong)


def differs(device: SimDevice, program: TestProgram) -> bool:
    device.write_register("reset", 1)
    device.write(program.chunks)
    try:
        got = device.read(len(program.output), 60)
        return without_counters(got, program.config) != program.output
    except (SimTimeout, ValueError):  # too little, or no packets
        return True


def test_cut_streams_and_garbage_match_golden():
    config = random_config(np.random.default_rng(5))
    rng = np.random.default_rng(6)
    device = SimDevice(config, stall=0.3)
    for n in range(60):
        program = random_program(rng, config, commands=6)
        cut = int(rng.integers(1, program.stream_beats)) * config.beat_bytes
        garbage = rng.bytes(config.beat_bytes * int(rng.integers(1, 50))) if n % 2 else b""
        golden = GoldenEngine(config)
        golden.write([program.data[:cut], garbage])
        want = golden.read(golden.available)
        check(device, TestProgram(config, (program.data[:cut], garbage), want, 0))
        assert device.read_register("status") >> 8 == golden.read_register("status") >> 8
        assert device.read_register("commands") == golden.read_register("commands")
        if not garbage:
            device.write([program.data[cut:]])  # and goes on when the rest comes
            rest = program.output[len(want) :]
            assert without_counters(device.read(len(rest), 60), config) == rest
