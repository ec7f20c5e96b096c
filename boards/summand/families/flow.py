"""The calls that place and pack a family's designs; ``summand.synth`` runs them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from summand.families.parts import FpgaChip
from summand.isa import ConfigError

__all__ = ["DEFAULT_MHZ", "KnownTool", "PlaceFlow", "PlaceOptions", "ToolCall"]

#: The clock that nextpnr is asked for unless a board sets one, MHz.
DEFAULT_MHZ = 180.0


@dataclass(frozen=True, kw_only=True)
class KnownTool:
    """A program that may be installed, on PATH or as a package of Python's.

    Parameters
    ----------
    name : str
        As it is called on PATH.
    asks : str
        The argument with which it prints its version.
    says : str
        A pattern of what it then prints, with groups for the major and the minor number.
    minimum : tuple of int
        The oldest version that is accepted, because no older one has been tried.
    module, function : str
        The package's module, and the function in it that runs the program.
    extra : str
        Our extra that brings the package.
    """

    name: str
    asks: str
    says: str
    minimum: tuple[int, int]
    module: str
    function: str
    extra: str = "synth"

    @property
    def package(self) -> str:
        """The package, by the name that Python imports."""
        return self.module.partition(".")[0]


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """How to place and route.

    Parameters
    ----------
    chip : FpgaChip
        What for.
    mhz : float
        Clock frequency to reach, for clocks that ``constraints`` does not name.
    seed : int
        Of the placement.
    constraints : str or None
        Text of the pin and clock constraints. Pins that it does not name are left open.
    out_of_context : bool
        The design is a block, and its ports are no pins.
    route : bool
        False ends after packing: cells are counted, and no clock is known. Takes a second.
    config : bool
        Write the configuration from which the packer makes a bitstream.
    """

    chip: FpgaChip
    mhz: float = DEFAULT_MHZ
    seed: int = 1
    constraints: str | None = None
    out_of_context: bool = False
    route: bool = True
    config: bool = False

    def __post_init__(self):
        if self.config and (self.out_of_context or not self.route):
            raise ConfigError("a configuration needs pins and routes: not out of context")


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """Arguments and files of one run of a tool, in a folder of its own.

    Parameters
    ----------
    tool : str
        Its name, one of those in :attr:`PlaceFlow.tools`.
    arguments : tuple of str
        Its arguments. Files in them are plain names in the folder.
    inputs : mapping of str to str
        Names and texts of files that it reads.
    outputs : tuple of str
        Names of files that it writes.
    """

    tool: str
    arguments: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


class PlaceFlow(Protocol):
    """Place and route by one of nextpnr's programs, and the packer of its result."""

    @property
    def tools(self) -> tuple[KnownTool, ...]:
        """The programs beside Yosys, in the order in which they run."""
        ...

    @property
    def config(self) -> str:
        """The file that ``place`` writes and ``pack`` reads."""
        ...

    def prepare(self, design: dict[str, Any]) -> None:
        """Change a netlist of Yosys, read from JSON, into one that nextpnr places well."""
        ...

    def place(self, options: PlaceOptions) -> ToolCall:
        """Describe place and route, the netlist, its top and the report left out.

        Raises
        ------
        ConfigError
            If nextpnr does not know the part.
        """
        ...

    def pack(self, bitstream: str) -> ToolCall:
        """Describe how the configuration becomes a file called ``bitstream``."""
        ...
