"""The states of the front's machine that take payloads, and those that report."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from amaranth import *

from summand.isa import ErrorCode
from summand.isa.structure import row_bits
from summand.rtl.counters import CountDown
from summand.rtl.items import ItemReader
from summand.rtl.parameters import ParameterReader

if TYPE_CHECKING:
    from summand.rtl.front import Front

__all__ = ["States"]


@dataclass(frozen=True, kw_only=True)
class States:
    """What the states share. Its methods add to the machine that is being described.

    Parameters
    ----------
    front : Front
        Whose machine it is.
    m : Module
        In which it is described.
    header : View of HeaderLayout
        The command's.
    left : CountDown
        Beats of its payload to come.
    begins : View
        What the front sets to work in the next cycle.
    code : Signal
        Why the engine stops, if it does.
    idle : Signal
        Nothing goes on behind.
    opened, loading : Signal
        The machine is where headers are taken, or a dead engine takes anything; or it is at a LOAD.
        Registers, as whether a beat is taken is to be known early.
    """

    front: "Front"
    m: Module
    header: Any
    left: CountDown
    begins: Any
    code: Signal
    idle: Signal
    opened: Signal = field(default_factory=lambda: Signal(init=1, name="opened"))
    loading: Signal = field(default_factory=lambda: Signal(name="loading"))

    @property
    def taken(self) -> Value:
        """Whether a beat is taken in this cycle if there is one, by the machine itself."""
        return self.opened | (self.loading & ~self.front.to_acts)

    def enter(self, state: str) -> None:
        """Go on with another state."""
        self.m.next = state
        self.m.d.sync += [
            self.opened.eq(state in ("HEADER", "DEAD")),
            self.loading.eq(state == "LOAD"),
        ]

    def wait(self) -> None:
        """Spend this cycle on waiting for results to leave."""
        self.m.d.comb += self.front.activity.drain.eq(1)

    def starve(self) -> None:
        """Spend this cycle on waiting for a beat, unless there is one."""
        self.m.d.comb += self.front.activity.stream.eq(~self.front.i.valid)

    def load_beat(self) -> None:
        """Spend this cycle on a beat of a load, or on waiting for one."""
        self.starve()
        self.m.d.comb += self.front.activity.load.eq(self.front.i.valid)

    def status(self, then: str) -> None:
        """Send a STATUS packet when all before is done, and go to ``then``."""
        m = self.m
        with m.If(self.idle):
            m.d.comb += self.begins.packet.eq(1)
            self.enter(then)
        with m.Else():
            self.wait()

    def place(self, last_word: Signal) -> None:
        """Say where a LOAD's beats go: rows of ``last_word + 1`` beats. Outside of the machine."""
        front, m, cfg = self.front, self.m, self.front.config
        word = Signal(range(cfg.act_depth * cfg.slice_words))
        row = Signal(row_bits(cfg))
        m.d.comb += [
            front.act_row.eq(row),
            front.act_addr.eq(front.source + word),
            front.act_write.eq(self.loading & ~front.to_acts & front.i.valid),
        ]
        with m.If(front.act_write):
            m.d.sync += word.eq(word + 1)
            with m.If(word == last_word):
                m.d.sync += [word.eq(0), row.eq(row + 1)]
            # The decoder has seen to it that this is the last row's last word.
            with m.If(self.left.one):
                m.d.sync += row.eq(0)

    def load(self) -> None:
        """Take a LOAD's beats."""
        front, m = self.front, self.m
        with m.State("LOAD"):
            with m.If(front.to_acts):
                self.wait()
            with m.Else():
                self.load_beat()
                with m.If(front.i.valid & self.left.one):
                    self.enter("HEADER")

    def gemm(self, descriptors: ItemReader, conflict: Signal) -> None:
        """Read a GEMM's segments, and watch its walk; not while there is a ``conflict``."""
        front, m = self.front, self.m
        m.d.comb += [
            descriptors.start.eq(front.begin),
            descriptors.count.eq(self.header.c),
            front.segment.eq(descriptors.item),
            front.segment_valid.eq(descriptors.valid),
            front.segment_last.eq(descriptors.last),
        ]
        with m.State("GEMM"):
            with m.If(conflict):
                self.wait()
            with m.Else():
                m.d.comb += self.begins.begin.eq(1)
                self.enter("SEGMENTS")

        with m.State("SEGMENTS"):
            m.d.sync += self.code.eq(front.segment_error)
            with m.If(descriptors.taking):
                self.starve()
            with m.Elif(front.begin | ~(descriptors.done & front.segments_checked)):
                pass
            with m.Elif(front.segment_error != 0):
                self.enter("FAIL")
            with m.Elif(front.reading & front.conflict):
                self.wait()
            with m.Else():
                m.d.comb += self.begins.walk.eq(1)
                self.enter("WALK")

        with m.State("WALK"):
            m.d.sync += self.code.eq(ErrorCode.LENGTH)
            with m.If(self.left.none):
                self.enter("FAIL")
            with m.Elif(front.walk):
                pass
            with m.Elif(front.scales.ready):
                self.load_beat()
            with m.Else():
                m.d.comb += [
                    front.activity.work.eq(front.i.valid & front.planes.ready),
                    front.activity.table.eq(front.i.valid & ~front.planes.ready),
                    front.activity.stream.eq(~front.i.valid),
                ]
                with m.If(front.done):
                    self.enter("HEADER")
                    with m.If(~self.left.one):
                        self.enter("FAIL")

    def requantise(self, parameters: ParameterReader) -> None:
        """Read parameters, then drain."""
        front, m = self.front, self.m
        m.d.comb += [
            parameters.start.eq(front.requantise),
            parameters.features.eq(self.header.b * front.config.cols),
            front.param.eq(parameters.param),
            front.param_valid.eq(parameters.param_valid),
        ]
        with m.State("REQUANTISE"):
            with m.If(self.idle):
                m.d.comb += self.begins.requantise.eq(1)
                self.enter("PARAMETERS")
            with m.Else():
                self.wait()
        with m.State("PARAMETERS"):
            with m.If(parameters.taking):
                self.load_beat()
            with m.Else():
                m.d.sync += self.code.eq(ErrorCode.REQUANTISE)
                checked = parameters.checked & ~front.requantise
                with m.If(checked & parameters.bad):
                    self.enter("FAIL")
                with m.Elif(checked):
                    m.d.comb += self.begins.drain.eq(1)
                    m.d.sync += front.to_acts.eq(1)
                    self.enter("HEADER")
