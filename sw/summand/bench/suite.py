"""One benchmark: configurations side by side, and boards."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from summand.bench.device import TimedDevice
from summand.bench.law import Law
from summand.bench.measure import (
    Run,
    Stalled,
    Written,
    run_programs,
    run_stalled,
    write_tokens,
)
from summand.bench.projection import Projection, project
from summand.bench.prompt import PromptCost, prompt_cost
from summand.boards.board import Board
from summand.boards.configurations import Named
from summand.boards.library import packaged_boards
from summand.isa import EngineConfig, SummandError
from summand.model import Layer, ModelError, SummandModel
from summand.runtime import Driver, GoldenDevice, Program, Usage, compile_layers
from summand.runtime.likeliest import fetching_few
from summand.runtime.memory.traffic import LinkTraffic
from summand.verilated import SimDevice, ToolError, find_verilator

if TYPE_CHECKING:
    from summand.bench.speculation import Speculated
    from summand.runtime.load import LoadedModel

__all__ = ["Options", "Outcome", "Phase", "Projected", "Suite"]

#: Called with the present step's name, the number of parts done, and their total.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a benchmark.

    Parameters
    ----------
    simulate : bool
        Run the native simulator; otherwise only the cost law.
    tokens : int
        Tokens that the whole model writes to be timed; 0 for none.
    stall : float
        Also measure with this probability of withholding a beat in a cycle; 0 does not.
    prompts : int
        How many of the packaged prompts to write with speculation, on engines of several rows.
    prompt_tokens : int
        Model the cost of a prompt of so many tokens with the model's decompositions; 0 does not.
    seed : int
        Of activations and stalls.
    """

    simulate: bool = True
    tokens: int = 3
    prompts: int = 0
    stall: float = 0.0
    prompt_tokens: int = 0
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.stall < 1:
            raise SummandError(f"stall must be at least 0 and less than 1, not {self.stall}")
        if self.stall and not self.simulate:
            raise SummandError(
                "stalls are measured on the simulator; leave out either --stall or --modelled"
            )


@dataclass(frozen=True, kw_only=True)
class Phase:
    """All programs, each for the same number of tokens.

    Parameters
    ----------
    name : str
        ``decode`` for one token, ``prefill`` for as many as there are rows.
    tokens : int
        That number.
    modelled : mapping of str to Usage
        Cost by the cost law, by program.
    measured : Run or None
        Cost counted by the simulated RTL.
    """

    name: str
    tokens: int
    modelled: Mapping[str, Usage]
    measured: Run | None = None

    @property
    def equal(self) -> bool | None:
        """Whether the law equals the count for every program; None if nothing was counted."""
        return None if self.measured is None else self.measured.usage == self.modelled

    @property
    def usage(self) -> Mapping[str, Usage]:
        """Cost by program: as counted, or else by the law."""
        return self.measured.usage if self.measured else self.modelled

    @property
    def total(self) -> Usage:
        """The sum of :attr:`usage`."""
        return sum(self.usage.values(), Usage())

    @property
    def modelled_total(self) -> Usage:
        """The sum of :attr:`modelled`."""
        return sum(self.modelled.values(), Usage())


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one configuration.

    Parameters
    ----------
    named : Named
        The configuration.
    phases : tuple of Phase
        Decode, and prefill where there is more than one row. Empty if there is an ``error``.
    traffic : LinkTraffic
        What a token sends over a link whose board holds the weights in its memory.
    stalled : Stalled or None
        Decode with stalls, if that was asked for.
    written : Written or None
        Tokens timed, if the model can write any.
    speculated : Speculated or None
        The packaged prompts' texts, if they were asked for.
    prompt : PromptCost or None
        A prompt with decompositions, if that was asked for.
    error : str
        Why nothing could be measured.
    untimed : str
        Why no tokens were timed.
    unspeculated : str
        Why no prompts were written that were asked for.
    undecomposed : str
        Why there is no cost of a prompt with decompositions that was asked for.
    """

    named: Named
    phases: tuple[Phase, ...] = ()
    traffic: LinkTraffic = LinkTraffic()
    stalled: Stalled | None = None
    written: Written | None = None
    speculated: "Speculated | None" = None
    prompt: PromptCost | None = None
    error: str = ""
    untimed: str = ""
    unspeculated: str = ""
    undecomposed: str = ""

    @property
    def wrong(self) -> bool:
        """Whether the law and the RTL differ, a text, or nothing could be measured."""
        differ = any(phase.equal is False for phase in self.phases)
        differ |= self.stalled is not None and not self.stalled.law_equal
        differ |= self.speculated is not None and not self.speculated.equal
        return bool(self.error) or differ

    @property
    def extra_share(self) -> float | None:
        """Cycles that stalls cost beyond the withheld ones, as a share of those without stalls."""
        if self.stalled is None:
            return None
        free = self.phases[0].total.counters.cycles
        extra = self.stalled.run.total.counters.cycles - free - self.stalled.withheld
        return extra / free


@dataclass(frozen=True, kw_only=True)
class Projected:
    """A board's projection, or why there is none."""

    board: Board
    projection: Projection | None = None
    error: str = ""


class Suite:
    """Benchmarks a model.

    Parameters
    ----------
    source : SummandModel
        The model.
    options : Options
        What to measure.
    progress : callable, optional
        Called with the present step's name, the number of parts done, and their total.

    Raises
    ------
    ToolError
        If the simulator is wanted and something that it needs is missing.
    """

    def __init__(self, source: SummandModel, options: Options, progress: Progress | None = None):
        if options.simulate:
            _check_tools()  # before anything that takes long
        self._source = source
        #: What is measured.
        self.options = options
        self._report = progress or (lambda what, done, total: None)
        #: Cost of decoding one token by engine, and what it sends over a link, for the engines
        #: known so far.
        self._tokens: dict[EngineConfig, tuple[Usage, LinkTraffic]] = {}

    def run(self, named: Named) -> Outcome:
        """Benchmark one configuration; a :class:`SummandError` becomes the outcome's error."""
        try:
            outcome = self._simulated(named) if self.options.simulate else self._modelled(named)
        except SummandError as e:
            return Outcome(named=named, error=str(e))
        self._tokens[named.config] = outcome.phases[0].total, outcome.traffic
        if self.options.prompts:
            try:
                outcome = replace(outcome, speculated=self._speculate(named))
            except SummandError as e:
                outcome = replace(outcome, unspeculated=str(e))
        if tokens := self.options.prompt_tokens:
            try:
                found = self._source.decompositions()
                cost = prompt_cost(self._source, found, named.config, tokens)
                outcome = replace(outcome, prompt=cost)
            except SummandError as e:
                outcome = replace(outcome, undecomposed=str(e))
        return outcome

    def _speculate(self, named: Named) -> "Speculated":
        """Write prompts on the golden model; raises :class:`SummandError` where it cannot."""
        from summand.bench.speculation import write_prompts  # here: needs torch

        if named.config.rows == 1:
            raise SummandError("an engine of one row has none to spare for proposed tokens")
        with Driver(GoldenDevice(named.config)) as driver:
            steps = self._steps(f"{named.name}: packing weights")
            loaded = self._loaded(driver, steps)
            steps = self._steps(f"{named.name}: writing prompts")
            return write_prompts(loaded, driver, self.options.prompts, steps)

    def project(self, board: Board) -> Projected:
        """Project one board; the law gives its engine's cycles if it was not benchmarked."""
        engine = board.engine
        try:
            if engine not in self._tokens:
                outcome = self._modelled(Named(board.name, engine))
                self._tokens[engine] = outcome.phases[0].total, outcome.traffic
        except SummandError as e:
            return Projected(board=board, error=str(e))
        return Projected(board=board, projection=project(board, *self._tokens[engine]))

    def project_all(self) -> tuple[Projected, ...]:
        """Project every board."""
        return tuple(self.project(board) for board in packaged_boards().values())

    def _modelled(self, named: Named) -> Outcome:
        programs = self._compile(named)
        return Outcome(
            named=named, phases=_model(programs, named.config), traffic=self._traffic(programs)
        )

    def _simulated(self, named: Named) -> Outcome:
        name, config, options = named.name, named.config, self.options
        simulator = SimDevice(config, progress=lambda text: self._report(f"{name}: {text}", 0, 1))
        device = TimedDevice(simulator)
        with Driver(device) as driver:
            loaded, untimed = self._load(named, driver)
            programs = [g.program for g in loaded.groups] if loaded else self._compile(named)
            phases = tuple(
                replace(
                    phase,
                    measured=run_programs(
                        driver,
                        device,
                        programs,
                        tokens=phase.tokens,
                        seed=options.seed,
                        progress=self._steps(f"{name}: {phase.name}"),
                    ),
                )
                for phase in _model(programs, config)
            )
            written = None
            if loaded:
                steps = self._steps(f"{name}: writing")
                written = write_tokens(loaded, device, options.tokens, steps)
        stalled = None
        if options.stall:
            steps = self._steps(f"{name}: decode with stalls")
            stalled = run_stalled(
                config, programs, stall=options.stall, seed=options.seed, progress=steps
            )
        return Outcome(
            named=named,
            phases=phases,
            traffic=self._traffic(programs),
            stalled=stalled,
            written=written,
            untimed=untimed,
        )

    def _load(self, named: Named, driver: Driver) -> "tuple[LoadedModel | None, str]":
        """Return the whole model, its layers on ``driver``'s device, or why there is none."""
        if not self.options.tokens:
            return None, "no tokens were asked for"
        try:
            return self._loaded(driver, self._steps(f"{named.name}: packing weights")), ""
        except ModelError as e:
            return None, str(e)

    def _loaded(self, driver: Driver, steps: Callable[[int, int], None]) -> "LoadedModel":
        from summand.runtime.load import load_model  # here: needs torch

        done, total = itertools.count(1), len(self._source.groups)
        return load_model(self._source, driver, progress=lambda _: steps(next(done), total))

    def _compile(self, named: Named) -> list[Program]:
        programs = []
        steps = self._steps(f"{named.name}: packing weights")
        for done, group in enumerate(self._source.groups, 1):
            programs.append(compile_layers([self._layers[n] for n in group], named.config))
            steps(done, len(self._source.groups))
        return programs

    def _traffic(self, programs: Sequence[Program]) -> LinkTraffic:
        """Return what a token sends over a link where the likeliest tokens are chosen."""
        least = [
            fetching_few(program, [self._layers[n] for n in group])
            if program.config.bin_tiles and group == self._head
            else program
            for group, program in zip(self._source.groups, programs, strict=True)
        ]
        return LinkTraffic.of(least, 1)

    @cached_property
    def _layers(self) -> Mapping[str, Layer]:
        return {layer.name: layer for layer in self._source.layers()}

    @cached_property
    def _head(self) -> tuple[str, ...] | None:
        """The group that is the model's head, if it is a model that writes text."""
        from summand.model.causal import head_name, is_head  # here: needs torch
        from summand.runtime.load import load_writer

        try:
            name = head_name(load_writer(self._source))
        except ModelError:
            return None
        return next((group for group in self._source.groups if is_head(group, name)), None)

    def _steps(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self._report(what, done, total)


def _check_tools() -> None:
    try:
        find_verilator()
    except ToolError as e:
        raise ToolError(f"{e}; --modelled needs none") from None


def _model(programs: Sequence[Program], config: EngineConfig) -> tuple[Phase, ...]:
    """Return all phases as the law models them."""
    law = Law(config)
    phases = {"decode": 1}
    if config.rows > 1:
        phases["prefill"] = config.rows
    return tuple(
        Phase(name=name, tokens=n, modelled={p.name: law.usage(p, n) for p in programs})
        for name, n in phases.items()
    )
