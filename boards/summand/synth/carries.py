"""Carry chains without the cells that nextpnr adds for carries nobody made or hears."""

from typing import Any

__all__ = ["free_carries"]

#: What Yosys writes where nothing is connected.
_NOTHING = ["x"]


def free_carries(design: dict[str, Any]) -> None:
    """Connect carries of an ECP5 netlist that do not matter to nothing.

    Yosys connects each port of a cell: a carry into a chain to 0, and one out of it to a wire of
    its own. nextpnr takes both for connections to the fabric, and spends a cell on each. A carry
    out is left open if no cell and no port hears it; a carry in if the first half of its cell makes
    its carry by itself, which it does where that half's table is 0 for the inputs it can have.

    Parameters
    ----------
    design : dict
        Yosys's netlist, read from JSON; changed in place.
    """
    for module in design["modules"].values():
        cells = module.get("cells", {}).values()
        heard = {bit for port in module.get("ports", {}).values() for bit in port["bits"]}
        for cell in cells:
            for port, bits in cell["connections"].items():
                if cell["port_directions"].get(port) != "output":
                    heard.update(bits)
        for cell in cells:
            if cell["type"] == "CCU2C":
                _free(cell, heard)


def _free(cell: dict[str, Any], heard: set[int | str]) -> None:
    connections = cell["connections"]
    if "COUT" in connections and not heard.intersection(connections["COUT"]):
        connections["COUT"] = _NOTHING
    # With D at 1, the upper half of the table says where the carry goes through. The half's own sum
    # is the carry in, there.
    own = connections["D0"] == ["1"] and int(cell["parameters"]["INIT0"], 2) >> 8 == 0
    unheard = not heard.intersection(connections.get("S0", ()))
    if own and unheard and connections.get("CIN") == ["0"]:
        connections["CIN"] = _NOTHING
