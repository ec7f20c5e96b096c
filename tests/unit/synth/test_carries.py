import pytest

from summand.families.ecp5.carries import free_carries


def cell(init: int, cin, cout, *, d: str = "1", s=9):
    ports = {"CIN": [cin], "D0": [d], "A0": [2], "COUT": [cout], "S0": [s]}
    return {
        "type": "CCU2C",
        "parameters": {"INIT0": f"{init:016b}"},
        "port_directions": {
            name: "output" if name in ("COUT", "S0") else "input" for name in ports
        },
        "connections": ports,
    }


def freed(*cells, ports=()):
    module = {
        "ports": {f"p{bit}": {"direction": "output", "bits": [bit]} for bit in ports},
        "cells": {f"c{n}": c for n, c in enumerate(cells)},
    }
    design = {"modules": {"top": module}}
    free_carries(design)
    made = design["modules"]["top"]["cells"].values()
    return [(c["connections"]["CIN"], c["connections"]["COUT"]) for c in made]


def test_a_chain_that_makes_its_carry_is_free_at_both_ends():
    assert freed(cell(0x000A, "0", 7), cell(0x96AA, 7, 8)) == [(["x"], [7]), ([7], ["x"])]


@pytest.mark.parametrize("init", [0x96AA, 0x010A])
def test_a_carry_that_goes_through_is_kept(init):
    assert freed(cell(init, "0", 7)) == [(["0"], ["x"])]


def test_a_table_that_may_be_looked_up_elsewhere_is_kept():
    assert freed(cell(0x000A, "0", 7, d="0")) == [(["0"], ["x"])]


def test_a_carry_from_the_fabric_is_kept():
    assert freed(cell(0x000A, 5, 7)) == [([5], ["x"])]


def test_a_carry_that_a_port_reads_is_kept():
    assert freed(cell(0x96AA, 5, 7), ports=[7]) == [([5], [7])]


def test_a_carry_that_is_read_as_a_sum_is_kept():
    assert freed(cell(0x000A, "0", 7, s=11), ports=[11]) == [(["0"], ["x"])]


def test_modules_without_cells_are_left_as_they_are():
    design = {"modules": {"top": {}}}
    free_carries(design)
    assert design == {"modules": {"top": {}}}
