"""The families that there are."""

from summand.families.base import FpgaFamily
from summand.families.ecp5.family import ECP5
from summand.families.gowin.family import GOWIN
from summand.families.xilinx import ULTRASCALE_PLUS, XILINX7
from summand.isa import ConfigError

__all__ = ["DEFAULT_FAMILY", "FAMILIES", "find_family"]

FAMILIES = {family.name: family for family in (ECP5, XILINX7, ULTRASCALE_PLUS, GOWIN)}

#: What engines are synthesised for where nothing else is asked for.
DEFAULT_FAMILY = ECP5


def find_family(name: str) -> FpgaFamily:
    """Return the family called ``name``; raises :class:`ConfigError` that lists those there are."""
    if name not in FAMILIES:
        raise ConfigError(f"no family is called {name!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[name]
