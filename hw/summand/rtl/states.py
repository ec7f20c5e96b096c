"""The states of the front's machine that take payloads, and those that report."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amaranth import *

from summand.isa import ErrorCode
from summand.rtl.counters import CountDown
from summand.rtl.items import ItemReader
from summand.rtl.parameters import ParameterReader
from summand.rtl.token import row_bits

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
    """

    front: "Front"
    m: Module
    header: Any
    left: CountDown
    begins: Any
    code: Signal
    idle: Signal

    def wait(self) -> None:
        """Spend this cycle on waiting for results to leave."""
        self.m.d.comb += self.front.activity.drain.eq(1)

    def spend(self, what: str) -> None:
        """Spend this cycle on the beat that is there, or on waiting for one."""
        front = self.front
        self.m.d.comb += [
            front.activity[what].eq(front.i.valid),
            front.activity.stream.eq(~front.i.valid),
        ]

    def status(self, then: str) -> None:
        """Send a STATUS packet when all before is done, and go to ``then``."""
        m = self.m
        with m.If(self.idle):
            m.d.comb += [self.front.activity.header.eq(1), self.begins.packet.eq(1)]
            m.next = then
        with m.Else():
            self.wait()

    def load(self, last_word: Signal, taken: Signal) -> None:
        """Write rows of ``last_word + 1`` beats to activation memories; ``taken`` takes a beat."""
        front, m, cfg = self.front, self.m, self.front.config
        word = Signal(range(cfg.act_depth * cfg.slice_words))
        row = Signal(row_bits(cfg))
        m.d.comb += [front.act_row.eq(row), front.act_addr.eq(front.source + word)]
        with m.State("LOAD"):
            with m.If(front.to_acts):
                self.wait()
            with m.Else():
                self.spend("load")
                m.d.comb += [taken.eq(1), front.act_write.eq(front.i.valid)]
                with m.If(front.i.valid):
                    m.d.sync += word.eq(word + 1)
                    with m.If(word == last_word):
                        m.d.sync += [word.eq(0), row.eq(row + 1)]
                    # The decoder has seen to it that this is the last row's last word.
                    with m.If(self.left.one):
                        m.d.sync += row.eq(0)
                        m.next = "HEADER"

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
                m.d.comb += [front.activity.header.eq(1), self.begins.begin.eq(1)]
                m.next = "SEGMENTS"

        with m.State("SEGMENTS"):
            m.d.sync += self.code.eq(front.segment_error)
            with m.If(descriptors.taking):
                self.spend("header")
            with m.Elif(front.begin | ~(descriptors.done & front.segments_checked)):
                m.d.comb += front.activity.header.eq(1)
            with m.Elif(front.segment_error != 0):
                m.d.comb += front.activity.header.eq(1)
                m.next = "FAIL"
            with m.Elif(front.reading & front.conflict):
                self.wait()
            with m.Else():
                m.d.comb += [front.activity.header.eq(1), self.begins.walk.eq(1)]
                m.next = "WALK"

        with m.State("WALK"):
            m.d.sync += self.code.eq(ErrorCode.LENGTH)
            with m.If(self.left.none):
                m.d.comb += front.activity.header.eq(1)
                m.next = "FAIL"
            with m.Elif(front.walk):
                m.d.comb += front.activity.header.eq(1)
            with m.Elif(front.scales.ready):
                self.spend("load")
            with m.Else():
                m.d.comb += [
                    front.activity.work.eq(front.i.valid & front.planes.ready),
                    front.activity.table.eq(front.i.valid & ~front.planes.ready),
                    front.activity.stream.eq(~front.i.valid),
                ]
                with m.If(front.done):
                    m.next = "HEADER"
                    with m.If(~self.left.one):
                        m.next = "FAIL"

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
                m.d.comb += [front.activity.header.eq(1), self.begins.requantise.eq(1)]
                m.next = "PARAMETERS"
            with m.Else():
                self.wait()
        with m.State("PARAMETERS"):
            with m.If(parameters.taking):
                self.spend("load")
            with m.Else():
                m.d.comb += front.activity.header.eq(1)
                m.d.sync += self.code.eq(ErrorCode.REQUANTISE)
                checked = parameters.checked & ~front.requantise
                with m.If(checked & parameters.bad):
                    m.next = "FAIL"
                with m.Elif(checked):
                    m.d.comb += self.begins.drain.eq(1)
                    m.d.sync += front.to_acts.eq(1)
                    m.next = "HEADER"
