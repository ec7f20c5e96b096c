"""Write the Verilog of the SoC in docs/use.md around a simulated DRAM; run as a script.

A second engine, without a memory, is added to it. Reads a description from standard input and
prints, as JSON, the Verilog, what is in csr.json, how bad arguments are refused, and which signals
a native port of a controller of ``litedram_gen`` has.
"""

import json
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from litedram.gen import get_native_user_port_ios
from litedram.modules import MT48LC4M16
from litedram.phy.model import SDRAMPHYModel
from litex.build.generic_platform import Pins
from litex.build.io import CRG
from litex.build.sim import SimPlatform
from litex.soc.integration.export import get_csr_json
from litex.soc.interconnect import wishbone

from summand.boards.soc.integration import add_summand
from summand.isa import ConfigError, EngineConfig

_CLOCK_HZ = 50_000_000
_DRAM_BITS = 16
#: Of a word of it.
_PORT_ADDRESS_BITS = 22


def _refused(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """Return why a call is refused."""
    try:
        call(*arguments, **named)
    except ConfigError as e:
        return str(e)
    return ""


def main() -> None:
    """Answer one description."""
    logging.disable()
    spec = json.load(sys.stdin)
    pins = [(name, 0, Pins(1)) for name in ("clk", "rst")]
    # The host's way to the SoC's bus: in a SoC for a board this is a bridge of LiteX's.
    host = wishbone.Interface(data_width=32, address_width=32, addressing="word")
    platform = SimPlatform("", io=[*pins, *host.get_ios("bus")])

    example: dict[str, Any] = {}
    exec(spec["example"], example)
    part = MT48LC4M16(_CLOCK_HZ, "1:1")
    folder, config = spec["folder"], EngineConfig.from_json(spec["config"])
    soc = example["Soc"](
        platform,
        crg=CRG(platform.request("clk"), platform.request("rst")),
        phy=SDRAMPHYModel(part, data_width=_DRAM_BITS, clk_freq=_CLOCK_HZ),
        part=part,
        clock_hz=_CLOCK_HZ,
        engine=config,
        folder=folder,
    )
    plain = EngineConfig.from_json(spec["plain"])
    named = {"name": "plain", "folder": folder}
    bytewise = SimpleNamespace(csr=SimpleNamespace(data_width=8, ordering="big"))
    refusals = [
        _refused(add_summand, soc, plain, **named, buffer_bytes=128),
        _refused(add_summand, soc, plain, **named, buffer_bytes=768),
        _refused(add_summand, soc, plain, **named, origin=0x9001_0100),
        _refused(add_summand, bytewise, plain, **named),
        _refused(add_summand, soc, config, folder=folder, origin=0x9001_0000),
    ]
    add_summand(soc, plain, **named, origin=0x9001_0000, buffer_bytes=256)

    soc.comb += host.connect_to_pads(platform.request("bus"), mode="slave")
    soc.bus.add_master("host", host)
    soc.finalize()
    output = platform.get_verilog(soc, name="soc", regular_comb=False)
    assert not output.data_files, [*output.data_files]
    # Without comments, among which is the time of day.
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", output.main_source, flags=re.DOTALL)
    text += "".join(Path(path).read_text() for path, *_ in platform.sources)
    places = json.loads(get_csr_json(soc.csr_regions, soc.constants, soc.mem_regions))
    (_, _, *signals) = get_native_user_port_ios(0, _PORT_ADDRESS_BITS, _DRAM_BITS)[0]
    sys.stdout.write(
        json.dumps(
            {
                "verilog": text,
                "places": places,
                "refusals": refusals,
                "user_port": {s.name: len(s.constraints[0].identifiers) for s in signals},
            }
        )
    )


if __name__ == "__main__":
    main()
