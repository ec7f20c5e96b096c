"""Carry chains without the cells that nextpnr adds for unused carries at their ends."""

from typing import Any

__all__ = ["free_carries"]

#: What Yosys writes where nothing is connected.
_NOTHING = ["x"]


def free_carries(design: dict[str, Any]) -> None:
    """Disconnect the carries of an ECP5 netlist that have no effect.

    Yosys connects every port of a cell: a chain's carry in to 0, and its carry out to a wire of its
    own. nextpnr takes both for connections to the fabric and spends a cell on each. A carry out is
    left open if no cell and no port reads it. A carry in is left open if the first half of its cell
    makes its carry by itself, because that half's table is 0 for the inputs it can have.

    Parameters
    ----------
    design : dict
        Yosys's netlist, read from JSON; changed in place.
    """
    for module in design["modules"].values():
        cells = module.get("cells", {}).values()
        read = {bit for port in module.get("ports", {}).values() for bit in port["bits"]}
        for cell in cells:
            for port, bits in cell["connections"].items():
                if cell["port_directions"].get(port) != "output":
                    read.update(bits)
        for cell in cells:
            if cell["type"] == "CCU2C":
                _free(cell, read)


def _free(cell: dict[str, Any], read: set[int | str]) -> None:
    connections = cell["connections"]
    if "COUT" in connections and not read.intersection(connections["COUT"]):
        connections["COUT"] = _NOTHING
    # With D at 1, the table's upper half says for which inputs the half passes its carry in on,
    # and for those its own sum is the carry in.
    own = connections["D0"] == ["1"] and int(cell["parameters"]["INIT0"], 2) >> 8 == 0
    unread = not read.intersection(connections.get("S0", ()))
    if own and unread and connections.get("CIN") == ["0"]:
        connections["CIN"] = _NOTHING
