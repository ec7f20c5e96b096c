"""A memory's pads on a board, as amaranth-boards and LiteDRAM call them."""

from typing import Any

from summand.boards.dram.record import BoardDram
from summand.isa import ConfigError

__all__ = ["request_pads"]

#: LiteDRAM's names, and those that the platforms of amaranth-boards have for them.
_NAMES = {
    "a": ("a",),
    "ba": ("ba",),
    "dq": ("dq",),
    "dm": ("dm", "dqm"),
    "dqs_p": ("dqs",),
    "clk_p": ("clk",),
    "cke": ("clk_en",),
    "cs_n": ("cs",),
    "ras_n": ("ras",),
    "cas_n": ("cas",),
    "we_n": ("we",),
    "odt": ("odt",),
    "reset_n": ("rst",),
}
#: What a board may have tied up.
_OPTIONAL = ("cs_n", "reset_n")
#: What LiteDRAM's PHY of a kind has besides what all have, and the platforms' resource.
_DDR3 = ("dqs_p", "odt", "reset_n")
_RESOURCES = {"DDR3": "ddr3", "SDR": "sdram"}


def request_pads(platform: Any, dram: BoardDram) -> dict[str, Any]:
    """Take the pads of ``dram`` from an Amaranth platform; returns them by LiteDRAM's names.

    Of pairs there is the positive one, for whose pad the attributes ask for both.

    Raises
    ------
    ConfigError
        If the platform lacks one.
    """
    resource = _RESOURCES[dram.kind]
    pins = platform.request(resource, dir="-")
    pads = {}
    for name, known in _NAMES.items():
        if name in _DDR3 and dram.kind != "DDR3":
            continue
        pin = next((getattr(pins, k) for k in known if hasattr(pins, k)), None)
        if pin is not None:
            pads[name] = pin.p if hasattr(pin, "p") else pin.io
        elif name not in _OPTIONAL:
            raise ConfigError(f"the platform's resource {resource} has no {known[0]}")
    return pads
